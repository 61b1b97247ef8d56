"""One household, every programme at once: what each gives beside the others. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import NamedTuple

from contracts.eligibility import Outcome, ProgrammeDecision
from services.eligibility.appeals import Waiver
from services.eligibility.census import Census, Tally
from services.eligibility.documents import Example
from services.eligibility.facts import Facts
from services.eligibility.milestones import birthdays_that_matter
from services.eligibility.poverty import Poverty, asked_by
from services.eligibility.programmes import Programme, reachable
from services.eligibility.reading import FileRefused
from services.eligibility.scoring import Occasion, answer

FactsOn = Mapping[date, Facts]


class Judgement(NamedTuple):
    """A programme, what it decides for, and how many days after the judged one the household registered."""

    programme: Programme
    occasion: Occasion
    days_late: int = 0
    waiver: Waiver | None = None


@dataclass(frozen=True, eq=False)
class Panel:
    """Programmes decided together, by id; `poverty` scores for those that ask how likely it is."""

    programmes: Mapping[str, Programme]
    poverty: Poverty | None = None

    @cached_property
    def sensitive(self) -> frozenset[str]:
        """Ids of programmes whose decisions travel sealed."""
        return frozenset(name for name, each in self.programmes.items() if each.document.sensitive)

    @cached_property
    def catalogue(self) -> str:
        """Names all these files together: a SHA-256 over their hashes, in the order of their ids."""
        return sha256(
            " ".join(self.programmes[name].hash for name in sorted(self.programmes)).encode()
        ).hexdigest()

    @cached_property
    def birthdays(self) -> tuple[int, ...]:
        """The ages on whose birthday one of them may decide otherwise."""
        return birthdays_that_matter(self.programmes.values())

    @cached_property
    def asks_poverty(self) -> bool:
        """Whether one of them asks how likely a household is poor."""
        return any(asked_by(each.reads) for each in self.programmes.values())

    @lru_cache(maxsize=512)  # noqa: B019 - a process has one panel
    def in_force(self, on: date) -> frozenset[str]:
        """Ids of programmes that pay on a day."""
        return frozenset(name for name, each in self.programmes.items() if each.in_force(on))

    def decide(self, judgements: Iterable[Judgement], facts: FactsOn) -> tuple[ProgrammeDecision, ...]:
        """Each programme's answer, in this order; `facts` are the household's on every day judged.

        A member whom an earlier one of them pays for is no member to a later one of the same purpose.
        """
        judgements = tuple(judgements)
        census = self.census(tuple(each.programme for each in judgements))
        tallies = {day: census.tally(each) for day, each in facts.items()}
        found: list[ProgrammeDecision] = []
        paying: dict[str, list[Programme]] = {}
        for programme, occasion, days_late, waiver in judgements:
            day = occasion.as_of
            besides = self._besides(programme, day, census, tallies[day]) if programme.stacks else ()
            limit = programme.document.backdating_days
            if limit is not None and days_late > limit:
                besides = (*besides, "registered-too-late")
            before = paying.setdefault(programme.document.purpose, [])
            left = _left(facts[day], before) if before else None
            asked = programme.asked(*left) if left else census.asked(programme, tallies[day])
            decision = answer(programme, asked, occasion, besides, waiver)
            found.append(decision)
            if decision.outcome is Outcome.ELIGIBLE:
                before.append(programme)
        return tuple(found)

    @lru_cache(maxsize=16)  # noqa: B019 - a process has one panel
    def census(self, judged: tuple[Programme, ...]) -> Census:
        """Of those judged, and of all that they hang on."""
        hung_on = (name for each in judged for name in each.document.stacking.others)
        names = set[str]().union(*(reachable(self.programmes, name) for name in hung_on))
        return Census(tuple(dict.fromkeys((*judged, *(self.programmes[name] for name in sorted(names))))))

    def _besides(self, programme: Programme, on: date, census: Census, tally: Tally) -> tuple[str, ...]:
        """Why other programmes stand in the way on a day."""
        stacking = programme.document.stacking
        needs = (f"needs-{name}" for name in stacking.needs if not self._entitles(name, on, census, tally))
        yields = (
            f"yields-to-{each.programme}"
            for each in stacking.yields_to
            if (each.until is None or on <= each.until) and self._entitles(each.programme, on, census, tally)
        )
        return (*needs, *yields)

    def _entitles(self, name: str, on: date, census: Census, tally: Tally) -> bool:
        programme = self.programmes[name]
        besides = self._besides(programme, on, census, tally)
        asked = census.asked(programme, tally)
        return answer(programme, asked, Occasion(on), besides).outcome is Outcome.ELIGIBLE


def _left(facts: Facts, before: Iterable[Programme]) -> Facts:
    """The facts without the members for whom a programme pays already."""
    paid = frozenset[int]().union(*(each.pays_for(facts.persons) for each in before))
    if not paid:
        return facts
    persons = tuple(person for at, person in enumerate(facts.persons) if at not in paid)
    return Facts(facts.circumstances._replace(members=len(persons)), persons)


class Tried(NamedTuple):
    """A worked example of a file: what it must come out as, and what it comes out as."""

    name: str
    expected: str
    found: str


def try_examples(panel: Panel, programme: Programme) -> list[Tried]:
    """Decide a programme's worked examples, beside the others of the panel."""
    together = Panel({**panel.programmes, programme.id: programme})
    return [_try(together, programme, example) for example in programme.document.examples]


def check_examples(panel: Panel) -> None:
    """Raises `FileRefused` where a worked example of a file comes out otherwise."""
    wrong = [
        f"{programme.id}.yaml: example '{name}' comes out as {found}; correct it or the rates"
        for programme in panel.programmes.values()
        for name, expected, found in try_examples(panel, programme)
        if found != expected
    ]
    if wrong:
        raise FileRefused("\n".join(wrong))


def _try(panel: Panel, programme: Programme, example: Example) -> Tried:
    household = example.household._replace(members=len(example.persons))
    facts = {example.as_of: Facts(household, example.persons)}
    (decision,) = panel.decide([Judgement(programme, Occasion(example.as_of))], facts)
    expected = _said(example.amount, example.refused)
    return Tried(example.name, expected, _said(decision.amount, decision.reasons))


def _said(amount: int, reasons: tuple[str, ...]) -> str:
    return ", ".join(reasons) or f"{amount} riel"
