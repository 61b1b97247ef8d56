"""A household as eligibility knows it: its latest event sealed, and the decisions made of it. Pure."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple

from contracts.condition import ConditionKind, ConditionReport, ConditionReported
from contracts.eligibility import Outcome, ProgrammeDecision
from contracts.household import AreaType, HouseholdExited, HouseholdRegistered, Level
from contracts.topics import CONDITION_REPORTED, ELIGIBILITY_SCORED, HOUSEHOLD_REGISTERED
from contracts.wire import Cause, Received, event_id, load
from postbox.errors import Park
from services.eligibility import milestones, referring
from services.eligibility.agenda import Agenda, day_of
from services.eligibility.conditions import UnknownKind
from services.eligibility.cycles import Cycle, Misplaced
from services.eligibility.facts import People
from services.eligibility.grounds import (
    Days,
    Known,
    Open,
    Registration,
    SealedAppeal,
    SealedReport,
    decide,
    opened,
)
from services.eligibility.milestones import Notice
from services.eligibility.packages import Judgement, Panel
from services.eligibility.referrals import Sending
from services.eligibility.referring import NOBODY, Referred, Referrer, Told
from services.eligibility.shocks import Shock, held
from services.eligibility.sittings import Made, Sitting

NOTICE = Notice()


class Standing(StrEnum):
    """How a household stands by its latest decisions; `forgotten`: its keys were destroyed before."""

    ELIGIBLE = "eligible"
    REFUSED = "refused"
    FORGOTTEN = "forgotten"


class UnknownWord(Park):
    """household: an area or a level this version does not know"""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Scored(NamedTuple):
    """One scoring of a household: every programme's decision, to be told as event number `sequence`.

    What is `made` of sensitive programmes, and `payee`, are in the clear, to be sealed for that event.
    """

    household_id: str
    sequence: int
    revision: int
    registration: Registration
    made: Made
    payee: bytes
    cause: Cause
    reports: int
    appeals: int
    judged_on: date
    catalogue: str
    shocks: tuple[str, ...]

    @property
    def decisions(self) -> tuple[ProgrammeDecision, ...]:
        """Those that may be read."""
        return self.made.decisions

    @property
    def event_id(self) -> str:
        """The id of the event that tells it."""
        return event_id(ELIGIBILITY_SCORED, self.household_id, self.sequence)


class Household(NamedTuple):
    """What eligibility knows; `sequence` counts its scorings, `basis` names what the last one rests on.

    `standing` and `riel` are of the decisions for cycles, where there are any, and of none that is sensitive.

    `reports` and `appeals` number the last of either, `judged_on` is the last day it was judged as of.

    `arrived` is the event that this batch brought, `kept` the one before it where it was loaded, `scored` are
    this batch's scorings, and `heard` its condition reports.

    `referrals` counts what ministries were told of it, `referred` are those that stand, `letters` what this
    batch tells.
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
    reports: int = 0
    appeals: int = 0
    judged_on: date | None = None
    is_new: bool = True
    kept: Registration | None = None
    reported: tuple[SealedReport, ...] = ()
    appealed: tuple[SealedAppeal, ...] = ()
    heard: tuple[SealedReport, ...] = ()
    referrals: int = 0
    referred: tuple[Referred, ...] = ()
    letters: tuple[Told, ...] = ()
    arrived: Registration | None = None
    scored: tuple[Scored, ...] = ()

    @property
    def has_left(self) -> bool:
        return self.exit_revision >= self.revision

    @property
    def registered_on(self) -> date:
        """The day of its last registration in Phnom Penh."""
        assert self.registered_at is not None
        return day_of(self.registered_at)

    def until(self, day: date) -> "Household":
        """Judged as of this day, where it was not as of a later one."""
        return self._replace(judged_on=max(self.judged_on or day, day))

    def telling(self, told: Sequence[Told]) -> "Household":
        """With what ministries are told of it now."""
        if not told:
            return self
        return self._replace(
            referrals=told[-1].number,
            referred=referring.standing_after(self.referred, told),
            letters=(*self.letters, *told),
        )


@dataclass(frozen=True)
class Desk:
    """What scoring needs besides the household."""

    panel: Panel
    cycles: Sequence[Cycle]
    open_sealed: Open
    notice: Notice = NOTICE
    shocks: Sequence[Shock] = ()
    referrer: Referrer = NOBODY

    @cached_property
    def birthdays(self) -> tuple[int, ...]:
        """The ages on whose birthday a programme or a service may come out otherwise."""
        return tuple(sorted({*self.panel.birthdays, *self.referrer.services.birthdays}))

    def opened(self, household: "Household", kept: Registration) -> Known | None:
        """What the household's decisions rest on; None where its persons' key was destroyed."""
        known = opened(self.open_sealed, kept, household.reported, household.appealed)
        shocks = self.shocks_of.get(kept.commune)
        return known._replace(shocks=shocks) if known and shocks else known

    @cached_property
    def agenda(self) -> Agenda:
        """What there is to decide under these cycles."""
        return Agenda(self.panel, self.cycles, self.referrer.services)

    @cached_property
    def shocks_of(self) -> dict[str, tuple[Shock, ...]]:
        """Shocks by commune; communes of none are left out."""
        found: dict[str, tuple[Shock, ...]] = {}
        for shock in self.shocks:
            for commune in shock.communes:
                found[commune] = (*found.get(commune, ()), shock)
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
    if household is not None and said.revision <= household.revision:
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
    known = _arrived(household, said, registered.time, registration)
    if known.has_left:
        return known
    cause = Cause(registered.id, registered.correlation_id, registered.traceparent)
    return _score(desk, known, registration, cause)


def _arrived(
    known: Household | None, said: HouseholdRegistered, at: datetime, registration: Registration
) -> Household:
    today = day_of(at)
    if known is None:
        return Household(
            *(said.household_id, said.revision, 0, at),
            judged_on=today,
            arrived=registration,
            kept=registration,
        )
    return known._replace(
        revision=said.revision,
        registered_at=at,
        judged_on=max(known.judged_on or today, today),
        arrived=registration,
        kept=registration,
        basis="",
    )


def leave(
    recipients: Container[str], household: Household | None, exited: Received[HouseholdExited]
) -> Household | None:
    """Take in an exit: revisions at or below it are scored no more, and what those `recipients` were told is
    withdrawn. None for one that is not newer."""
    said = exited.data
    if exited.key != said.household_id:
        raise Misplaced
    known = household or Household(said.household_id)
    if said.revision <= known.exit_revision:
        return None
    known = known._replace(exit_revision=said.revision)
    void = [each for each in known.referred if each.recipient in recipients] if known.has_left else []
    cause = Cause(exited.id, exited.correlation_id, exited.traceparent)
    about = referring.About(known.household_id, said.revision, known.referrals, None, cause)
    return known.telling(list(referring.withdraw(about, void)))


def report(
    desk: Desk, household: Household | None, reported: Received[ConditionReported]
) -> Household | None:
    """Take in a condition report and score the household (`kept`); None for one that is not newer.

    A household not registered yet, or that left, keeps it for later. Raises `Misplaced`, `UnknownKind`, or
    what opening and reading it raises; then nothing changed.
    """
    said = reported.data
    if reported.key != said.household_id:
        raise Misplaced
    known = household or Household(said.household_id)
    if said.number <= known.reports:
        return None
    plain = desk.open_sealed(said.report, reported.id, CONDITION_REPORTED.name)
    known = known._replace(reports=said.number)
    if plain is None:
        return known
    if load(ConditionReport, plain).kind is ConditionKind.UNRECOGNISED:
        raise UnknownKind
    sealed = SealedReport(said.number, reported.id, said.report)
    known = known._replace(reported=(*known.reported, sealed), heard=(*known.heard, sealed))
    if known.kept is None or known.has_left:
        return known
    cause = Cause(reported.id, reported.correlation_id, reported.traceparent)
    return _score(desk, known.until(day_of(reported.time)), known.kept, cause)


def appeal(desk: Desk, household: Household, decided: SealedAppeal, cause: Cause, on: date) -> Household:
    """Take in an appeal decided on a day, and score the household (`kept`)."""
    assert household.kept is not None
    known = household._replace(appeals=decided.number, appealed=(*household.appealed, decided))
    return _score(desk, known.until(on), household.kept, cause)


def score_again(
    desk: Desk, household: Household, registration: Registration, cause_id: str
) -> Household | None:
    """Score a household because of a cycle or a shock; None where nothing that its decisions rest on has
    changed."""
    shocks = desk.shocks_of.get(registration.commune, ())
    if household.has_left or household.basis == _basis(household, _sitting(desk, household), shocks):
        return None
    cause = Cause(cause_id, registration.correlation_id, registration.traceparent)
    return _score(desk, household, registration, cause)


def entitled(desk: Desk, household: Household, registration: Registration, known: Known) -> tuple[str, ...]:
    """Ids of the programmes that entitle a household by what is known now, sensitive ones among them."""
    made = decide(desk.panel, judge(desk, household), household.revision, registration, known)
    return tuple(each.programme for each in made if each.outcome is Outcome.ELIGIBLE)


def _score(desk: Desk, household: Household, registration: Registration, cause: Cause) -> Household:
    known = desk.opened(household, registration)
    payee = desk.open_sealed(registration.payee, registration.event_id, HOUSEHOLD_REGISTERED.name)
    if known is None or payee is None:
        return household._replace(standing=Standing.FORGOTTEN, riel=0, in_cycle=False, basis="")
    sitting = _sitting(desk, household)
    days = Days(registration, known)
    made, sending = sitting.hear(household.revision, days)
    sequence = household.sequence + 1
    judged_on = household.judged_on or household.registered_on
    scored = Scored(
        household.household_id,
        sequence,
        household.revision,
        registration,
        made,
        payee,
        cause,
        household.reports,
        household.appeals,
        judged_on,
        desk.panel.catalogue,
        _struck(known.shocks, sitting),
    )
    return household._replace(
        sequence=sequence,
        standing=Standing.ELIGIBLE if made.is_eligible else Standing.REFUSED,
        riel=made.riel,
        in_cycle=made.in_cycle,
        basis=_basis(household, sitting, known.shocks),
        judged_on=judged_on,
        arrived=_with_due_on(desk, household, known.people),
        scored=(*household.scored, scored),
    ).telling(_letters(desk, household, scored, days, sending))


def _struck(shocks: Sequence[Shock], sitting: Sitting) -> tuple[str, ...]:
    """The shocks that hold on a day that is judged; most households know of none."""
    return tuple([each.named for each in held(shocks, sitting.days)]) if shocks else ()


def _letters(
    desk: Desk, household: Household, scored: Scored, days: Days, sending: Sending | None
) -> Sequence[Told]:
    """What ministries are to be told with a scoring; most households are asked no further."""
    seen = referring.Seen(days, scored.judged_on)
    wanted = referring.due(desk.referrer, scored.registration.persons.key_id, seen, sending)
    if not wanted and not household.referred:
        return ()
    decision_id = scored.event_id
    cause = Cause(decision_id, scored.cause.correlation_id, scored.cause.traceparent)
    about = referring.About(
        household.household_id, household.revision, household.referrals, decision_id, cause
    )
    of_whom = referring.Of(seen, scored.payee)
    return referring.refer(desk.referrer, about, wanted, household.referred, of_whom)


def _with_due_on(desk: Desk, household: Household, people: People) -> Registration | None:
    arrived = household.arrived
    if arrived is None:
        return None
    on = household.registered_on
    return arrived._replace(due_on=milestones.next_day(people, on, on, desk.birthdays, desk.notice))


def judge(desk: Desk, household: Household) -> tuple[Judgement, ...]:
    """What there is to decide: programmes with a cycle on the cycle's day, others in force on the last day
    that the household was judged as of: of its registration, a report, an appeal or a milestone.

    Days are those in Phnom Penh.
    """
    return _sitting(desk, household).judgements


def _sitting(desk: Desk, household: Household) -> Sitting:
    assert household.registered_at is not None
    return desk.agenda.sitting(household.registered_at, household.judged_on or household.registered_on)


def _basis(household: Household, sitting: Sitting, shocks: Sequence[Shock]) -> str:
    told = f" {household.reports}/{household.appeals}" if household.reports or household.appeals else ""
    days = sorted(sitting.days) if shocks else ()
    struck = [f"{day}:{shock.name}" for day in days for shock in held(shocks, (day,))]
    shaken = f" {sha256(' '.join(struck).encode()).hexdigest()[:16]}" if struck else ""
    return f"{household.revision}{told}{shaken} {sitting.digest}"
