"""Days that matter to a household: birthdays that programmes ask for, its card, its recertification. Pure."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple, Protocol

from contracts.milestone import MilestoneKind, MilestoneReached
from contracts.sealed import Sealed
from contracts.topics import MILESTONE_REACHED
from contracts.wire import Cause, Record, emit, event_id
from services.eligibility.compiling import Counted
from services.eligibility.facts import People, place_in_year
from vault.sealing import Keys

_COMPARED = re.compile(r"\bage\s*(<=|>=|<|>|==|!=)\s*(\d+)")
_AGE = re.compile(r"\bage\b")
_CHANGES_AT = {"<": (0,), ">=": (0,), "<=": (1,), ">": (1,), "==": (0, 1), "!=": (0, 1)}
_EVERY_BIRTHDAY = range(121)
_KINDS = tuple(MilestoneKind)


class Notice(NamedTuple):
    """When households are told ahead, in days: before a card's last day, and after their registration."""

    card_days: int = 30
    recertification_days: int = 1095


class Milestone(NamedTuple):
    """What a day means to a household, and by when something must be done."""

    day: date
    kind: MilestoneKind
    due_on: date | None = None


class Asking(Protocol):
    """A file that counts persons, by group."""

    @property
    def persons(self) -> Mapping[str, Counted]: ...


def birthdays_that_matter(files: Iterable[Asking]) -> tuple[int, ...]:
    """The ages on whose birthday a file may come out otherwise; being born (0) is one.

    Of a rule that asks for age in another way than by comparing it to a number, every birthday is.
    """
    ages = {0}
    for each in files:
        for rule in (rule for group in each.persons.values() for rule in group.rules):
            compared = _COMPARED.findall(rule.text)
            if len(compared) < len(_AGE.findall(rule.text)):
                ages.update(_EVERY_BIRTHDAY)
            for sign, number in compared:
                ages |= {int(number) + more for more in _CHANGES_AT[sign]}
    return tuple(sorted(ages))


def ahead(
    people: People, registered_on: date, after: date, ages: Sequence[int], notice: Notice
) -> list[Milestone]:
    """A household's milestones after a day, the next one first."""
    found = sorted(_all(people, registered_on, ages, notice), key=lambda each: (each.day, each.kind))
    return [each for each in found if each.day > after]


def next_day(
    people: People, registered_on: date, after: date, ages: Sequence[int], notice: Notice
) -> date | None:
    """The day of the first milestone after a day, which alone is kept of a household; None for none.

    `ages` stand in order.
    """
    days = [each.day for each in _of_household(people, registered_on, notice) if each.day > after]
    if coming := _birthdays_after(people, after, ages):
        *_, birth_date, age = min(coming)
        days.append(birthday(birth_date, age))
    return min(days, default=None)


def _birthdays_after(people: People, after: date, ages: Sequence[int]) -> list[tuple[int, int, date, int]]:
    """Each member's next birthday: its year and place therein, of whom, which. One alone becomes a date."""
    year, today = after.year, place_in_year(after)
    found = []
    for member in people.members:
        birth_date = member.birth_date
        born, place = birth_date.year, place_in_year(birth_date)
        at = bisect_right(ages, year - born - (today < place))
        if at < len(ages):
            found.append((born + ages[at], place, birth_date, ages[at]))
    return found


def _all(people: People, registered_on: date, ages: Sequence[int], notice: Notice) -> Iterator[Milestone]:
    for member in people.members:
        for age in ages:
            yield Milestone(birthday(member.birth_date, age), MilestoneKind.CIRCUMSTANCES_CHANGED)
    yield from _of_household(people, registered_on, notice)


def _of_household(people: People, registered_on: date, notice: Notice) -> tuple[Milestone, ...]:
    expires_on = people.equity_card.expires_on if people.equity_card else None
    return _of_card(expires_on, registered_on, notice)


@lru_cache(4096)
def _of_card(expires_on: date | None, registered_on: date, notice: Notice) -> tuple[Milestone, ...]:
    return tuple(_dated(expires_on, registered_on, notice))


def _dated(expires_on: date | None, registered_on: date, notice: Notice) -> Iterator[Milestone]:
    if expires_on:
        warned_on = expires_on - timedelta(days=notice.card_days)
        yield Milestone(warned_on, MilestoneKind.CARD_EXPIRING, expires_on)
        yield Milestone(expires_on + timedelta(days=1), MilestoneKind.CIRCUMSTANCES_CHANGED)
    recertify_on = registered_on + timedelta(days=notice.recertification_days)
    yield Milestone(recertify_on, MilestoneKind.RECERTIFICATION_DUE, recertify_on)


def birthday(birth_date: date, age: int) -> date:
    """The day a person reaches an age; who is born on 29 February, on 1 March in other years."""
    try:
        return birth_date.replace(year=birth_date.year + age)
    except ValueError:
        return date(birth_date.year + age, 3, 1)


class Reached(NamedTuple):
    """A milestone of a household at a revision; `payee` in the clear, to be sealed for that event."""

    household_id: str
    revision: int
    commune: str
    milestone: Milestone
    payee: bytes
    payee_key_id: str

    @property
    def event_id(self) -> str:
        """The same for the same household, day and kind, whenever it is announced."""
        return event_id(MILESTONE_REACHED, self.household_id, self.milestone.day, self.milestone.kind)


def record(reached: Reached, keys: Keys, *, at: datetime, cause: Cause) -> Record:
    """The milestone as an event."""
    milestone, key_id = reached.milestone, reached.payee_key_id
    known_as = reached.event_id
    blob = keys.seal(key_id, reached.payee, event_id=known_as, event_type=MILESTONE_REACHED.name)
    said = MilestoneReached(
        household_id=reached.household_id,
        revision=reached.revision,
        as_of=milestone.day,
        kind=milestone.kind,
        commune=reached.commune,
        due_on=milestone.due_on,
        payee=Sealed(key_id=key_id, blob=blob),
    )
    return emit(
        MILESTONE_REACHED,
        said,
        id=known_as,
        key=reached.household_id,
        sequence=milestone.day.toordinal() * len(_KINDS) + _KINDS.index(milestone.kind),
        time=at,
        cause=cause,
    )
