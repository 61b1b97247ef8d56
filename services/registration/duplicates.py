"""Whether a household claims what another holds: Equity Card, national id, payment account. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from services.registration.cells import Flaw
from services.registration.household import Identity

_CALLED = {"equity_card": "Equity Card", "national_id": "national id", "account": "payment account"}
_FIELD = {"equity_card": "card_number", "national_id": "national_id", "account": "account_number"}


class Holder(NamedTuple):
    """The household that holds an identity, and where it lives."""

    household_id: str
    commune: str


class Duplicate(NamedTuple):
    """An identity that the first household holds already."""

    identity: Identity
    first: Holder


class Case(NamedTuple):
    """A duplicate whose first household the caller may not see: it is quoted by number."""

    household_id: str
    first_household_id: str
    kind: str


def case(household_id: str, duplicate: Duplicate, area: str) -> Case | None:
    """The case to open, where the first household lies outside the caller's area."""
    if duplicate.first.commune.startswith(area):
        return None
    return Case(household_id, duplicate.first.household_id, duplicate.identity.kind)


def find(
    household_id: str, identities: Iterable[Identity], holders: Mapping[Identity, Holder]
) -> Duplicate | None:
    """The first identity that another household holds."""
    for identity in identities:
        holder = holders.get(identity)
        if holder is not None and holder.household_id != household_id:
            return Duplicate(identity, holder)
    return None


def flaw(duplicate: Duplicate, case_number: int | None) -> Flaw:
    """The refusal in words: a pointer to the first, or a case number where it is outside the area."""
    kind, value = duplicate.identity
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
