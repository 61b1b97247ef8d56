"""Whether a checked household may be registered, given what is registered already. Pure."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from services.registration import duplicates
from services.registration.cells import Flaw
from services.registration.duplicates import Duplicate, Holder
from services.registration.household import Household, Identity


class Known(NamedTuple):
    """What registration holds of a household: `revision` grows with every change, `origin` is the import."""

    household_id: str
    revision: int
    exited: bool
    content_hash: bytes
    commune: str
    origin: str | None = None


class New(NamedTuple):
    """It may be registered as revision 1."""


class Unchanged(NamedTuple):
    """It is registered already, with this very content."""

    known: Known


class Conflict(NamedTuple):
    """Its reference is registered already, with other content."""

    known: Known
    flaw: Flaw


class Outside(NamedTuple):
    """Its village lies outside the caller's area."""

    flaw: Flaw


Answer = New | Unchanged | Conflict | Outside | Duplicate


def admit(
    household: Household,
    content_hash: bytes,
    known: Known | None,
    holders: Mapping[Identity, Holder],
    covers: Callable[[str], bool],
) -> Answer:
    """What becomes of a household that asks to be registered for the first time."""
    if not covers(household.commune):
        return Outside(_outside(household))
    if known is not None:
        if known.content_hash == content_hash and not known.exited:
            return Unchanged(known)
        return Conflict(known, _conflict(household, known))
    return duplicates.find(household.household_id, household.identities(), holders) or New()


def _outside(household: Household) -> Flaw:
    return Flaw(
        "village",
        household.place.village,
        "lies outside your area",
        "Correct the village, or ask the office of its commune to register the household.",
    )


def _conflict(household: Household, known: Known) -> Flaw:
    said = "of a household that exited" if known.exited else "registered already, with other content"
    return Flaw(
        "reference",
        household.reference,
        said,
        f"To change it: tonle household revise {known.household_id} (it is at revision {known.revision}); "
        "for another household, use another reference.",
    )
