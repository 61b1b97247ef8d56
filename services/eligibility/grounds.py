"""What decisions about a household rest on, sealed and opened, and the decisions themselves. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple, Protocol

from contracts.appeal import Ruling, Verdict
from contracts.condition import ConditionReport
from contracts.eligibility import ProgrammeDecision
from contracts.household import AreaType, Level
from contracts.sealed import Sealed
from contracts.topics import APPEAL_DECIDED, CONDITION_REPORTED, HOUSEHOLD_REGISTERED
from contracts.wire import load
from services.eligibility.appeals import Appeal, waiver
from services.eligibility.facts import Facts, People, facts_of
from services.eligibility.packages import Judgement, Panel
from services.eligibility.shocks import Shock
from services.eligibility.structs import read

Open = Callable[[Sealed, str, str], bytes | None]
"""Opens what was sealed under an event's id and type; None where the key was destroyed."""


class Registration(NamedTuple):
    """The latest event of a household; persons and payee stay sealed under its `event_id`.

    `due_on` is the day of its next milestone: neither what comes then nor of whom is kept in the clear.
    """

    event_id: str
    commune: str
    area_type: AreaType
    level: Level
    persons: Sealed
    payee: Sealed
    correlation_id: str
    traceparent: str
    due_on: date | None = None


class SealedReport(NamedTuple):
    """A condition report as it was heard, sealed under `event_id`."""

    number: int
    event_id: str
    report: Sealed


class SealedAppeal(NamedTuple):
    """A decided appeal, its ruling sealed under `appeal_id`."""

    number: int
    appeal_id: str
    revision: int
    verdict: Verdict
    ruling: Sealed


class Known(NamedTuple):
    """What a household's decisions rest on, opened; reports and appeals in the order of their numbers.

    `shocks` are those of its commune, on whichever days. `persons` are what `people` was read from, for who
    asks for more of them.
    """

    people: People
    reports: tuple[ConditionReport, ...] = ()
    appeals: tuple[Appeal, ...] = ()
    shocks: tuple[Shock, ...] = ()
    persons: bytes = b""


class Placed(Protocol):
    """Where a household lives, and its level."""

    @property
    def commune(self) -> str: ...
    @property
    def area_type(self) -> AreaType: ...
    @property
    def level(self) -> Level: ...


def opened(
    open_sealed: Open,
    registration: Registration,
    reported: Sequence[SealedReport],
    appealed: Sequence[SealedAppeal],
) -> Known | None:
    """What is told of a household; None where its persons' key was destroyed."""
    persons = open_sealed(registration.persons, registration.event_id, HOUSEHOLD_REGISTERED.name)
    if persons is None:
        return None
    people = read(People, persons)
    if not reported and not appealed:
        return Known(people, persons=persons)
    reports = [open_sealed(each.report, each.event_id, CONDITION_REPORTED.name) for each in reported]
    rulings = [open_sealed(each.ruling, each.appeal_id, APPEAL_DECIDED.name) for each in appealed]
    return Known(
        people,
        tuple(load(ConditionReport, plain) for plain in reports if plain is not None),
        tuple(
            Appeal(each.number, each.appeal_id, each.revision, each.verdict, load(Ruling, plain))
            for each, plain in zip(appealed, rulings, strict=True)
            if plain is not None
        ),
        persons=persons,
    )


class Days(dict[date, Facts]):
    """A household's facts by day, each counted when it is asked for first."""

    def __init__(self, registration: Placed, known: Known) -> None:
        super().__init__()
        self.registration = registration
        self.known = known

    def __missing__(self, day: date) -> Facts:
        found = self[day] = facts_on(day, self.registration, self.known)
        return found


def decide(
    panel: Panel, judgements: Iterable[Judgement], revision: int, registration: Placed, known: Known
) -> tuple[ProgrammeDecision, ...]:
    """Each programme's answer on what is known of a household: the same whenever it is asked."""
    return decide_by(panel, tuple(judgements), revision, Days(registration, known))


def decide_by(
    panel: Panel, judgements: tuple[Judgement, ...], revision: int, days: Days
) -> tuple[ProgrammeDecision, ...]:
    """The same; `days` keeps the facts for who asks for more of the household."""
    on = dict.fromkeys(each.occasion.as_of for each in judgements)
    return panel.decide(_waived(judgements, revision, days.known), _asked(panel, on, days))


def _waived(judgements: tuple[Judgement, ...], revision: int, known: Known) -> tuple[Judgement, ...]:
    """Judgements with what appeals set aside."""
    if not known.appeals:
        return judgements
    return tuple(
        each._replace(
            waiver=waiver(
                known.appeals, revision, each.programme.id, each.occasion.cycle_id, each.occasion.as_of
            )
        )
        for each in judgements
    )


def _asked(panel: Panel, on: Iterable[date], days: Days) -> Mapping[date, Facts]:
    """A household's facts on these days, and where it is asked, how likely it is poor."""
    facts = {day: days[day] for day in on}
    if not panel.asks_poverty:
        return facts
    assert panel.poverty is not None
    commune, persons = days.registration.commune, days.known.persons
    return {day: panel.poverty.told(each, persons, commune, day) for day, each in facts.items()}


def facts_on(day: date, registration: Placed, known: Known) -> Facts:
    """A household's facts on a day."""
    return facts_of(
        known.people,
        registration.level,
        registration.area_type,
        registration.commune,
        day,
        reports=known.reports,
        shocks=known.shocks,
    )
