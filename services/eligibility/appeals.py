"""Appeals: which refusal people set aside, for how long, and how that is told. Pure."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import NamedTuple

from contracts.appeal import AppealDecided, Ruling, Verdict
from contracts.sealed import Sealed
from contracts.topics import APPEAL_DECIDED
from contracts.wire import Cause, Record, dump, emit, event_id, load
from vault.sealing import Keys

OVERTURNED = "overturned-on-appeal"
"""The reason code of a decision that pays because a refusal was set aside."""
FIRM = frozenset({"programme-not-in-force", "level-not-covered", "nothing-due"})
"""Reasons that no appeal can set aside: there is no rate to pay by."""
RULING_MULTIPLE_BYTES = 1024


class Appeal(NamedTuple):
    """A decided appeal, opened; it is the household's number `number`."""

    number: int
    appeal_id: str
    revision: int
    verdict: Verdict
    ruling: Ruling


class Waiver(NamedTuple):
    """Reasons of refusal that an appeal set aside for one programme and its cycle."""

    appeal_id: str
    reasons: frozenset[str]


def waiver(
    appeals: Iterable[Appeal], revision: int, programme: str, cycle_id: str | None, on: date
) -> Waiver | None:
    """What the last appeal about a programme sets aside; None where none does.

    An appeal stands for one revision of its household, one cycle (or none), and days to `stands_until`.
    """
    about = [
        each
        for each in appeals
        if each.revision == revision
        and (each.ruling.programme, each.ruling.cycle_id) == (programme, cycle_id)
    ]
    last = max(about, key=lambda each: each.number, default=None)
    if last is None or last.verdict is not Verdict.OVERTURNED or on > last.ruling.stands_until:
        return None
    return Waiver(last.appeal_id, frozenset(last.ruling.waived) - FIRM)


def decided(
    household_id: str,
    appeal: Appeal,
    people: tuple[str, str],
    keys: Keys,
    *,
    key_id: str,
    at: datetime,
    cause: Cause,
) -> Record:
    """The appeal as an event; `people` are who prepared it and who decided it."""
    known_as = event_id_of(household_id, appeal.number)
    plain = dump(appeal.ruling)
    padded = plain + b" " * (-len(plain) % RULING_MULTIPLE_BYTES)
    blob = keys.seal(key_id, padded, event_id=known_as, event_type=APPEAL_DECIDED.name)
    said = AppealDecided(
        household_id=household_id,
        number=appeal.number,
        appeal_id=appeal.appeal_id,
        revision=appeal.revision,
        verdict=appeal.verdict,
        prepared_by=people[0],
        decided_by=people[1],
        ruling=Sealed(key_id=key_id, blob=blob),
    )
    return emit(
        APPEAL_DECIDED, said, id=known_as, key=household_id, sequence=appeal.number, time=at, cause=cause
    )


def event_id_of(household_id: str, number: int) -> str:
    """The id of the event that tells a household's appeal."""
    return event_id(APPEAL_DECIDED, household_id, number)


def read(plain: bytes) -> Ruling:
    """A ruling as it was sealed."""
    return load(Ruling, plain)
