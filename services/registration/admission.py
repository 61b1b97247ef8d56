"""Whether a checked household may be registered, given what is registered already. Pure."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from services.registration import duplicates
from services.registration.cells import Flaw
from services.registration.duplicates import Duplicate, Holder
from services.registration.household import Content, Household


class Known(NamedTuple):
    """What registration holds of a household: `revision` grows with every change, `origin` is the import."""

    household_id: str
    revision: int
    exited: bool
    content_hash: bytes
    commune: str
    origin: str | None = None


class Candidate(NamedTuple):
    """A checked household that asks to be registered."""

    household: Household
    content: Content


class New(NamedTuple):
    """It is registered as revision 1, under this id."""

    household_id: str


class Unchanged(NamedTuple):
    """It is registered already, with this very content."""

    known: Known


class Conflict(NamedTuple):
    """Its reference is registered already, with other content."""

    known: Known
    flaw: Flaw


class Repeated(NamedTuple):
    """The same file brought it before, with this very content."""

    known: Known
    flaw: Flaw


class Outside(NamedTuple):
    """Its village lies outside the caller's area."""

    flaw: Flaw


Old = Unchanged | Conflict | Repeated | Outside | Duplicate
Answer = New | Old


def admit(
    candidates: Iterable[Candidate],
    known: Mapping[str, Known],
    holders: Mapping[str, Holder],
    covers: Callable[[str], bool],
    origin: str | None,
    *,
    id_of: Callable[[str], str],
) -> list[Answer]:
    """Answer candidates in order; each sees those admitted before it.

    `known` by reference; `origin`: the import they come from; `id_of` gives a new reference its id.
    """
    known, holders = dict(known), dict(holders)
    answers: list[Answer] = []
    for candidate in candidates:
        household = candidate.household
        old = _unless_new(candidate, known.get(household.reference), holders, covers, origin)
        if old is not None:
            answers.append(old)
            continue
        id_, commune = id_of(household.reference), household.commune
        answers.append(New(id_))
        known[household.reference] = Known(id_, 1, False, candidate.content.hash, commune, origin)
        holders |= dict.fromkeys(household.claims, Holder(id_, commune))
    return answers


def _unless_new(
    candidate: Candidate,
    known: Known | None,
    holders: Mapping[str, Holder],
    covers: Callable[[str], bool],
    origin: str | None,
) -> Old | None:
    household = candidate.household
    if not covers(household.commune):
        return Outside(_outside(household))
    if known is None:
        return duplicates.find(household.claims, holders)
    if known.exited or not household.has_hash(known.content_hash, candidate.content):
        return Conflict(known, _conflict(household, known))
    if origin is not None and known.origin == origin:
        return Repeated(known, _repeated(household))
    return Unchanged(known)


def _repeated(household: Household) -> Flaw:
    return Flaw(
        "reference",
        household.reference,
        "stands in this file before",
        "Nothing, if it is the same household.",
    )


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
