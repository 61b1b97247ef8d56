"""A household as eligibility knows it: its latest event sealed, and the decisions made of it. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from enum import StrEnum
from typing import NamedTuple

from contracts.eligibility import Outcome, ProgrammeDecision
from contracts.household import AreaType, HouseholdExited, HouseholdRegistered, Level
from contracts.sealed import Sealed
from contracts.wire import Cause, Received, load
from postbox.errors import Park
from services.eligibility.cycles import Cycle, Misplaced, governing
from services.eligibility.facts import Facts, People, facts_of
from services.eligibility.programmes import Programme
from services.eligibility.scoring import Occasion, decide

PHNOM_PENH = timezone(timedelta(hours=7))


class Standing(StrEnum):
    """How a household stands by its latest decisions; `forgotten`: its keys were destroyed before."""

    ELIGIBLE = "eligible"
    REFUSED = "refused"
    FORGOTTEN = "forgotten"


class UnknownWord(Park):
    """household: an area or a level this version does not know"""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Registration(NamedTuple):
    """The latest event of a household; persons and payee stay sealed under its `event_id`."""

    event_id: str
    commune: str
    area_type: AreaType
    level: Level
    persons: Sealed
    payee: Sealed
    correlation_id: str
    traceparent: str


class Scored(NamedTuple):
    """One scoring of a household: every programme's decision, to be told as event number `sequence`.

    `payee` is in the clear, to be sealed again for that event.
    """

    household_id: str
    sequence: int
    revision: int
    registration: Registration
    decisions: tuple[ProgrammeDecision, ...]
    payee: bytes
    cause: Cause


class Household(NamedTuple):
    """What eligibility knows; `sequence` counts its scorings, `basis` names what the last one rests on.

    `arrived` is the event that this batch brought, `scored` are this batch's scorings.
    """

    household_id: str
    revision: int = 0
    exit_revision: int = 0
    registered_at: datetime | None = None
    sequence: int = 0
    standing: Standing | None = None
    riel: int = 0
    in_cycle: bool = False
    basis: str = ""
    is_new: bool = True
    arrived: Registration | None = None
    scored: tuple[Scored, ...] = ()

    @property
    def has_left(self) -> bool:
        return self.exit_revision >= self.revision


@dataclass(frozen=True, slots=True)
class Desk:
    """What scoring needs besides the household. `open_sealed` gives None where the key was destroyed."""

    programmes: Sequence[Programme]
    cycles: Sequence[Cycle]
    open_sealed: Callable[[Sealed, str], bytes | None]


def register(
    desk: Desk, household: Household | None, registered: Received[HouseholdRegistered]
) -> Household | None:
    """Take in a revision and score it; one that is not newer changes nothing (None).

    One at or below the household's exit is kept, and not scored. Raises `Misplaced`, `UnknownWord` or what
    opening and reading the sealed parts raises; then nothing changed.
    """
    said = registered.data
    if registered.key != said.household_id:
        raise Misplaced
    if said.area_type is AreaType.UNRECOGNISED or said.level is Level.UNRECOGNISED:
        raise UnknownWord
    known = household or Household(said.household_id)
    if said.revision <= known.revision:
        return None
    registration = Registration(
        event_id=registered.id,
        commune=said.commune,
        area_type=said.area_type,
        level=said.level,
        persons=said.persons,
        payee=said.payee,
        correlation_id=registered.correlation_id,
        traceparent=registered.traceparent,
    )
    known = known._replace(
        revision=said.revision, registered_at=registered.time, arrived=registration, basis=""
    )
    if known.has_left:
        return known
    cause = Cause(registered.id, registered.correlation_id, registered.traceparent)
    return _score(desk, known, registration, cause)


def leave(household: Household | None, exited: Received[HouseholdExited]) -> Household | None:
    """Take in an exit: revisions at or below it are scored no more. None for one that is not newer."""
    said = exited.data
    if exited.key != said.household_id:
        raise Misplaced
    known = household or Household(said.household_id)
    if said.revision <= known.exit_revision:
        return None
    return known._replace(exit_revision=said.revision)


def score_again(
    desk: Desk, household: Household, registration: Registration, cause_id: str
) -> Household | None:
    """Score a household because of a cycle; None where nothing that its decisions rest on has changed."""
    if household.has_left or household.basis == _basis(household, _judge(desk, household)):
        return None
    cause = Cause(cause_id, registration.correlation_id, registration.traceparent)
    return _score(desk, household, registration, cause)


def _score(desk: Desk, household: Household, registration: Registration, cause: Cause) -> Household:
    sealed_persons = desk.open_sealed(registration.persons, registration.event_id)
    payee = desk.open_sealed(registration.payee, registration.event_id)
    if sealed_persons is None or payee is None:
        return household._replace(standing=Standing.FORGOTTEN, riel=0, in_cycle=False, basis="")
    judgements = _judge(desk, household)
    facts = _facts(load(People, sealed_persons), registration, {each.occasion.as_of for each in judgements})
    decisions = tuple(
        decide(each.programme, facts[each.occasion.as_of], each.occasion) for each in judgements
    )
    sequence = household.sequence + 1
    scored = Scored(
        household.household_id, sequence, household.revision, registration, decisions, payee, cause
    )
    eligible = [each for each in decisions if each.outcome is Outcome.ELIGIBLE]
    return household._replace(
        sequence=sequence,
        standing=Standing.ELIGIBLE if eligible else Standing.REFUSED,
        riel=sum(each.amount for each in eligible),
        in_cycle=any(each.cycle_id is not None for each in decisions),
        basis=_basis(household, judgements),
        scored=(*household.scored, scored),
    )


def _facts(people: People, registration: Registration, days: Iterable[date]) -> dict[date, Facts]:
    """A household's facts on each of these days, mostly one."""
    area, level = registration.area_type, registration.level
    return {day: facts_of(people, level, area, registration.commune, day) for day in days}


class _Judgement(NamedTuple):
    """A programme, and the cycle and day it decides for."""

    programme: Programme
    occasion: Occasion

    def __str__(self) -> str:
        cycle_id = self.occasion.cycle_id or "-"
        return f"{self.programme.id} {self.programme.hash[:16]} {cycle_id} {self.occasion.as_of}"


def _judge(desk: Desk, household: Household) -> list[_Judgement]:
    """The day is the cycle's, else the event's in Phnom Penh."""
    registered_at = household.registered_at
    assert registered_at is not None
    day = registered_at.astimezone(PHNOM_PENH).date()
    found = []
    for programme in desk.programmes:
        cycle = governing(desk.cycles, programme.id, registered_at)
        occasion = Occasion(cycle.reference_date, cycle.cycle_id, cycle.period) if cycle else Occasion(day)
        found.append(_Judgement(programme, occasion))
    return found


def _basis(household: Household, judgements: Sequence[_Judgement]) -> str:
    return ";".join((str(household.revision), *map(str, judgements)))
