"""What many households are judged for alike, and what each comes to, remembered by what it counts. Pure."""

from collections.abc import Hashable, Iterable
from datetime import date
from functools import cached_property, lru_cache
from hashlib import sha256
from itertools import accumulate, chain
from typing import NamedTuple, TypeVar

from contracts.eligibility import Outcome, ProgrammeDecision
from contracts.household import Purpose
from contracts.wire import dump
from services.eligibility.census import Census, Tally
from services.eligibility.facts import (
    Circumstances,
    Member,
    Person,
    circumstances_of,
    person_of,
    place_in_year,
)
from services.eligibility.grounds import Days, Known, Placed, decide_by
from services.eligibility.packages import Judgement, Panel
from services.eligibility.referrals import Sending, Services, Together

REMEMBERED = 8_192
K = TypeVar("K")
V = TypeVar("V")


class Made(NamedTuple):
    """What a household comes to: decisions that may be read, and those of sensitive programmes.

    `json` are the former as they are told, `digest` its SHA-256.

    It is eligible for `riel` by its decisions for cycles, where there are any (`in_cycle`), else by all.
    """

    decisions: tuple[ProgrammeDecision, ...]
    sensitive: tuple[ProgrammeDecision, ...]
    json: str
    digest: bytes
    is_eligible: bool
    riel: int
    in_cycle: bool


class Day(NamedTuple):
    """A day that programmes ask about, or services, or both."""

    on: date
    census: Census
    services: Together

    @property
    def groups(self) -> int:
        """How many groups a person may count in."""
        return self.census.groups + self.services.groups

    def counts(self, person: Person) -> tuple[int, ...]:
        """How often a person counts in each group, those of programmes first."""
        return (*self.census.count(person), *self.services.count(person))


class Sitting:
    """What there is to decide of households that registered at a time: `judgements`, on `days`.

    No facts are made of a household that is answered: its members are counted as the few kinds there are of
    them, and households that count alike get what was made before.
    """

    def __init__(
        self, panel: Panel, services: Services, judgements: tuple[Judgement, ...], judged_on: date
    ) -> None:
        """`services` are asked as of `judged_on`, the last day that these households are judged as of."""
        self.judgements = judgements
        self.days = tuple(dict.fromkeys(each.occasion.as_of for each in judgements))
        self._panel = panel
        self._judged_on = judged_on
        self._services = services.sending(judged_on)
        self._kinds: dict[Hashable, tuple[int, ...]] = {}
        self._made: dict[tuple[Tally, ...], Made] = {}

    @cached_property
    def digest(self) -> str:
        """Names programmes, cycles and days."""
        named = (f"{each.programme.hash} {' '.join(map(str, each.occasion))}" for each in self.judgements)
        return sha256(";".join(named).encode()).hexdigest()[:32]

    def hear(self, revision: int, days: Days) -> tuple[Made, Sending | None]:
        """What a household comes to, and which services it is to be referred to, where they were asked."""
        known = days.known
        if known.reports or known.appeals or self._counts_not:
            return made(self._panel, decide_by(self._panel, self.judgements, revision, days)), None
        seen = self._seen(known, days.registration)
        asked = self._asking[: len(self.days)]
        key = tuple([day.census.read((*who, *how)) for day, (who, how) in zip(asked, seen, strict=False)])
        found = self._made.get(key)
        if found is None:
            found = made(self._panel, decide_by(self._panel, self.judgements, revision, days))
            _remember(self._made, key, found)
        day = self._asking[self._judged_at]
        who, how = seen[self._judged_at]
        return found, day.services.answer(who, how[day.census.groups :])

    @cached_property
    def _counts_not(self) -> bool:
        """Whether more than counts is asked: whose member one is, or how likely a household is poor."""
        purposes = [each.programme.document.purpose for each in self.judgements]
        return len(set(purposes)) < len(purposes) or self._panel.asks_poverty

    @cached_property
    def _asking(self) -> tuple[Day, ...]:
        """What is asked about each day: those of judgements first."""
        nobody = Together(())
        return tuple(
            Day(
                day,
                self._panel.census(
                    tuple(one.programme for one in self.judgements if one.occasion.as_of == day)
                ),
                self._services if day == self._judged_on else nobody,
            )
            for day in dict.fromkeys((*self.days, self._judged_on))
        )

    @cached_property
    def _todays(self) -> list[tuple[int, int]]:
        """The year of each day asked about, and its place therein: ages are counted by both."""
        return [(each.on.year, place_in_year(each.on)) for each in self._asking]

    @cached_property
    def _judged_at(self) -> int:
        return [each.on for each in self._asking].index(self._judged_on)

    @cached_property
    def _slices(self) -> list[tuple[date, int, int]]:
        """Each day, and where it begins and ends in what a member counts for."""
        ends = list(accumulate(1 + each.groups for each in self._asking))
        return [
            (each.on, begin, end) for each, begin, end in zip(self._asking, (0, *ends), ends, strict=False)
        ]

    def _seen(self, known: Known, place: Placed) -> list[tuple[Circumstances, tuple[int, ...]]]:
        """A household on each day: its circumstances, and how often its members count."""
        people = known.people
        may_use_health = Purpose.HEALTH_DATA in people.consents
        rows = [self._counted(member, may_use_health) for member in people.members]
        totals = tuple(map(sum, zip(*rows, strict=True)))
        found = []
        for on, begin, end in self._slices:
            who = circumstances_of(
                *(people, place.level, place.area_type, place.commune, on),
                members=totals[begin],
                shocks=known.shocks,
            )
            found.append((who, totals[begin + 1 : end]))
        return found

    def _counted(self, member: Member, may_use_health: bool) -> tuple[int, ...]:
        """For each day: whether a member is born by then, and how often it counts in each group."""
        school = member.school
        birth_date = member.birth_date
        born, place = birth_date.year, place_in_year(birth_date)
        ages = tuple([year - born - (today < place) for year, today in self._todays])
        kind: Hashable = (ages, member.sex)
        if member.conditions or school is not None or member.work is not None:
            schooled = None if school is None else (school.level, school.attendance_percent)
            kind = (ages, member.sex, may_use_health, member.conditions, member.work, schooled)
        found = self._kinds.get(kind)
        if found is None:
            found = tuple(
                chain.from_iterable(
                    (0,) * (1 + day.groups)
                    if age < 0
                    else (1, *day.counts(person_of(member, age, may_use_health)))
                    for age, day in zip(ages, self._asking, strict=True)
                )
            )
            _remember(self._kinds, kind, found)
        return found


@lru_cache(maxsize=8)
def sitting(panel: Panel, services: Services, judgements: tuple[Judgement, ...], judged_on: date) -> Sitting:
    """The same for the same judgements, so that what was made is remembered from batch to batch."""
    return Sitting(panel, services, judgements, judged_on)


def _remember(known: dict[K, V], key: K, value: V) -> None:
    if len(known) >= REMEMBERED:
        known.clear()
    known[key] = value


def made(panel: Panel, decided: Iterable[ProgrammeDecision]) -> Made:
    """What decisions come to together."""
    shown: list[ProgrammeDecision] = []
    sensitive: list[ProgrammeDecision] = []
    for each in decided:
        (sensitive if each.programme in panel.sensitive else shown).append(each)
    in_cycle = [each for each in shown if each.cycle_id is not None]
    eligible = [each for each in in_cycle or shown if each.outcome is Outcome.ELIGIBLE]
    text = f"[{','.join(dump(each).decode() for each in shown)}]"
    return Made(
        tuple(shown),
        tuple(sensitive),
        text,
        sha256(text.encode()).digest(),
        bool(eligible),
        sum(each.amount for each in eligible),
        bool(in_cycle),
    )
