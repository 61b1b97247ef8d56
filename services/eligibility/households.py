"""A household as eligibility knows it: its latest event sealed, and the decisions made of it. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from enum import StrEnum
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import NamedTuple

from contracts.eligibility import Outcome, ProgrammeDecision
from contracts.household import AreaType, HouseholdExited, HouseholdRegistered, Level
from contracts.sealed import Sealed
from contracts.wire import Cause, Received, load
from postbox.errors import Park
from services.eligibility.cycles import Cycle, Misplaced, governing
from services.eligibility.facts import Facts, People, facts_of
from services.eligibility.packages import Judgement, Panel
from services.eligibility.scoring import Occasion

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

    `sensitive` and `payee` are in the clear, to be sealed for that event.
    """

    household_id: str
    sequence: int
    revision: int
    registration: Registration
    decisions: tuple[ProgrammeDecision, ...]
    sensitive: tuple[ProgrammeDecision, ...]
    payee: bytes
    cause: Cause


class Household(NamedTuple):
    """What eligibility knows; `sequence` counts its scorings, `basis` names what the last one rests on.

    `standing` and `riel` are of the decisions for cycles, where there are any, and of none that is sensitive.

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


@dataclass(frozen=True)
class Desk:
    """What scoring needs besides the household. `open_sealed` gives None where the key was destroyed."""

    panel: Panel
    cycles: Sequence[Cycle]
    open_sealed: Callable[[Sealed, str], bytes | None]

    @cached_property
    def cycles_of(self) -> dict[str, list[Cycle]]:
        """Cycles by programme."""
        found: dict[str, list[Cycle]] = {}
        for cycle in self.cycles:
            found.setdefault(cycle.programme, []).append(cycle)
        return found


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


def entitled(desk: Desk, household: Household, registration: Registration, people: People) -> tuple[str, ...]:
    """Ids of the programmes that entitle a household by what is known now, sensitive ones among them."""
    judgements = _judge(desk, household)
    facts = _facts(people, registration, {each.occasion.as_of for each in judgements})
    made = desk.panel.decide(judgements, facts)
    return tuple(each.programme for each in made if each.outcome is Outcome.ELIGIBLE)


def _score(desk: Desk, household: Household, registration: Registration, cause: Cause) -> Household:
    sealed_persons = desk.open_sealed(registration.persons, registration.event_id)
    payee = desk.open_sealed(registration.payee, registration.event_id)
    if sealed_persons is None or payee is None:
        return household._replace(standing=Standing.FORGOTTEN, riel=0, in_cycle=False, basis="")
    judgements = _judge(desk, household)
    facts = _facts(load(People, sealed_persons), registration, {each.occasion.as_of for each in judgements})
    made = desk.panel.decide(judgements, facts)
    sequence = household.sequence + 1
    scored = Scored(
        household.household_id,
        sequence,
        household.revision,
        registration,
        tuple(each for each in made if each.programme not in desk.panel.sensitive),
        tuple(each for each in made if each.programme in desk.panel.sensitive),
        payee,
        cause,
    )
    in_cycle = [each for each in scored.decisions if each.cycle_id is not None]
    eligible = [each for each in in_cycle or scored.decisions if each.outcome is Outcome.ELIGIBLE]
    return household._replace(
        sequence=sequence,
        standing=Standing.ELIGIBLE if eligible else Standing.REFUSED,
        riel=sum(each.amount for each in eligible),
        in_cycle=bool(in_cycle),
        basis=_basis(household, judgements),
        scored=(*household.scored, scored),
    )


def _facts(people: People, registration: Registration, days: Iterable[date]) -> dict[date, Facts]:
    """A household's facts on each of these days, mostly one."""
    area, level = registration.area_type, registration.level
    return {day: facts_of(people, level, area, registration.commune, day) for day in days}


def _judge(desk: Desk, household: Household) -> tuple[Judgement, ...]:
    """What there is to decide: programmes with a cycle on the cycle's day, others in force on the event's.

    The event's day is that in Phnom Penh. Sensitive programmes are decided for a cycle only: nobody acts on
    what is decided without one, and what need not be told of them is not.
    """
    at = household.registered_at
    assert at is not None
    today = at.astimezone(PHNOM_PENH).date()
    in_force = desk.panel.in_force(today)
    found = []
    for name, programme in desk.panel.programmes.items():
        cycle = governing(desk.cycles_of[name], at) if name in desk.cycles_of else None
        if cycle is not None:
            day = cycle.reference_date
            occasion = Occasion(day, cycle.cycle_id, cycle.period)
            found.append(Judgement(programme, occasion, (today - day).days))
        elif name in in_force and name not in desk.panel.sensitive:
            found.append(Judgement(programme, Occasion(today)))
    return tuple(found)


def _basis(household: Household, judgements: tuple[Judgement, ...]) -> str:
    return f"{household.revision} {_digest(judgements)}"


@lru_cache(4096)
def _digest(judgements: tuple[Judgement, ...]) -> str:
    """Names programmes, cycles and days; most households of a batch share it."""
    named = (f"{each.programme.hash} {' '.join(map(str, each.occasion))}" for each in judgements)
    return sha256(";".join(named).encode()).hexdigest()[:32]
