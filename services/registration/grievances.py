"""A complaint on its way through the offices: steps, deadlines in working days, who may take them. Pure."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta, timezone
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from contracts.grievance import GrievanceState as State

PHNOM_PENH = timezone(timedelta(hours=7))
NATION = 4
AREA_DIGITS_MOST: Mapping[int, int] = {1: 8, 2: 4, 3: 2, NATION: 0}
"""A grievance of this level is worked on by offices whose area code is no longer."""
OPEN = frozenset({State.OPENED, State.ACKNOWLEDGED, State.IN_WORK, State.REOPENED})
ENDED = frozenset({State.RESOLVED, State.REJECTED})


class Category(BaseModel):
    """Something to complain about, and the working days that its first office has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: Annotated[int, Field(ge=1, le=90)]
    en: str
    km: str


class Rules(BaseModel):
    """`grievances.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    escalated_days: Annotated[int, Field(ge=1, le=90)]
    holidays: str
    categories: Annotated[dict[str, Category], Field(min_length=1)]


class Verb(StrEnum):
    """What an office does with a grievance."""

    ACKNOWLEDGE = "acknowledge"
    TAKE = "take"
    RESOLVE = "resolve"
    REJECT = "reject"
    REOPEN = "reopen"
    CLOSE = "close"


_STEPS: Mapping[Verb, tuple[frozenset[State], State]] = {
    Verb.ACKNOWLEDGE: (frozenset({State.OPENED, State.REOPENED}), State.ACKNOWLEDGED),
    Verb.TAKE: (OPEN, State.IN_WORK),
    Verb.RESOLVE: (frozenset({State.IN_WORK}), State.RESOLVED),
    Verb.REJECT: (frozenset({State.IN_WORK}), State.REJECTED),
    Verb.REOPEN: (ENDED, State.REOPENED),
    Verb.CLOSE: (ENDED, State.CLOSED),
}
EXPLAINED = frozenset({Verb.RESOLVE, Verb.REJECT, Verb.REOPEN})
"""Steps that say why."""


class Refused(Exception):
    """A step that can't be taken; `remedy` says what to do instead."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


class Grievance(NamedTuple):
    """A complaint as it stands. `commune` is '' where no household is known; `text` None where it came by SMS
    from a number that is no one household's: then notifications has it, under `message_id`.

    `decision_id`: the decision it is an appeal against. `sequence` counts its steps.
    """

    grievance_id: str
    number: str
    household_id: str | None
    message_id: str | None
    commune: str
    channel: str
    category: str
    text: str | None
    decision_id: str | None
    state: State
    level: int
    due_on: date
    assigned_to: str | None
    opened_at: datetime
    sequence: int


class Calendar(NamedTuple):
    """Whether a day is one on which offices work."""

    is_working: Callable[[date], bool]

    def after(self, day: date, working_days: int) -> date:
        """The last of so many working days after a day."""
        while working_days:
            day += timedelta(days=1)
            working_days -= self.is_working(day)
        return day


def day_of(at: datetime) -> date:
    """The day in Phnom Penh."""
    return at.astimezone(PHNOM_PENH).date()


def first_level(commune: str) -> int:
    """Where a grievance begins: at its household's commune, else at the national office."""
    return 1 if commune else NATION


def act(known: Grievance, verb: Verb, by: str, due_on: date) -> Grievance:
    """The grievance after a step; the same grievance where the step was taken already.

    `due_on` is the new deadline of one that is reopened. Raises `Refused`.
    """
    come_from, leads_to = _STEPS[verb]
    if known.state is leads_to and (verb is not Verb.TAKE or known.assigned_to == by):
        return known
    if known.state not in come_from:
        raise Refused(
            f"grievance {known.number} is {known.state.value}",
            f"`{verb.value}` takes one that is {' or '.join(sorted(each.value for each in come_from))}.",
        )
    changed = known._replace(state=leads_to, sequence=known.sequence + 1)
    if verb is Verb.TAKE:
        return changed._replace(assigned_to=by)
    return changed._replace(assigned_to=None, due_on=due_on) if verb is Verb.REOPEN else changed


def escalate(known: Grievance, due_on: date) -> Grievance:
    """A grievance that is late, one level up; at the national office it stays, and stays late."""
    level = known.level + 1
    return known._replace(level=level, due_on=due_on, assigned_to=None, sequence=known.sequence + 1)


def covers(area: str, known: Grievance) -> bool:
    """Whether an office of this area sees the grievance."""
    return known.commune.startswith(area)


def may_work(area: str, known: Grievance) -> bool:
    """Whether an office of this area may take the grievance's next step."""
    return covers(area, known) and len(area) <= AREA_DIGITS_MOST[known.level]
