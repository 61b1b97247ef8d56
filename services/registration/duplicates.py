"""Whether a household claims what another holds: Equity Card, national id, payment account. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from services.registration.cells import Flaw
from services.registration.household import ACCOUNT, EQUITY_CARD, NATIONAL_ID

_KIND = {EQUITY_CARD: "equity_card", NATIONAL_ID: "national_id", ACCOUNT: "account"}
_CALLED = {EQUITY_CARD: "Equity Card", NATIONAL_ID: "national id", ACCOUNT: "payment account"}
_FIELD = {EQUITY_CARD: "card_number", NATIONAL_ID: "national_id", ACCOUNT: "account_number"}


class Holder(NamedTuple):
    """The household that holds a claim, and where it lives."""

    household_id: str
    commune: str


class Duplicate(NamedTuple):
    """A claim that the first household holds already."""

    claim: str
    first: Holder


class Case(NamedTuple):
    """A duplicate, by its reference, whose first household the caller may not see: quoted by number."""

    reference: str
    first_household_id: str
    kind: str


def case(reference: str, duplicate: Duplicate, area: str) -> Case | None:
    """The case to open, where the first household lies outside the caller's area."""
    if duplicate.first.commune.startswith(area):
        return None
    return Case(reference, duplicate.first.household_id, _KIND[duplicate.claim[0]])


def find(claims: Iterable[str], holders: Mapping[str, Holder], own: str | None = None) -> Duplicate | None:
    """The first claim that another household holds; `own`: the id of this one, where it has one yet."""
    for claim in claims:
        holder = holders.get(claim)
        if holder is not None and holder.household_id != own:
            return Duplicate(claim, holder)
    return None


def flaw(duplicate: Duplicate, case_number: int | None) -> Flaw:
    """The refusal in words: a pointer to the first, or a case number where it is outside the area."""
    kind, value = duplicate.claim[0], duplicate.claim[1:]
    reason = f"the {_CALLED[kind]} is held by "
    if case_number is None:
        return Flaw(
            _FIELD[kind],
            value,
            f"{reason}household {duplicate.first.household_id}",
            f"Look at it with: tonle household show {duplicate.first.household_id}; correct one of the two.",
        )
    return Flaw(
        _FIELD[kind],
        value,
        f"{reason}a household outside your area",
        f"Quote case {case_number} to the office above yours; correct the number if it is a slip.",
    )
