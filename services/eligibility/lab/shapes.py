"""Households that all programmes see alike are one shape; each is decided once, as the stream does. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import NamedTuple

from contracts.eligibility import Outcome
from services.eligibility.expressions import Value
from services.eligibility.facts import Circumstances, Facts, Person
from services.eligibility.lab.proposals import Proposal
from services.eligibility.packages import Judgement, Panel
from services.eligibility.programmes import Programme
from services.eligibility.scoring import Occasion

SIDES = ("current", "proposed")


class Shape(NamedTuple):
    """All that programmes want to know of a household; `classes` are those of its members."""

    circumstances: Mapping[str, Value]
    days_late: int
    classes: Sequence[int]


class Due(NamedTuple):
    """What a programme pays to a household of a shape, in riel; `side` is one of `SIDES`."""

    shape: int
    side: str
    programme: str
    riel: int


@dataclass(frozen=True)
class Day:
    """One day that is judged. `paid_before` are one-off programmes that an earlier day of this run paid."""

    proposal: Proposal
    on: date
    paid_before: frozenset[tuple[str, str]] = frozenset()
    _people: list[Person] = field(default_factory=list)

    @cached_property
    def asked(self) -> tuple[str, ...]:
        """The circumstances that a programme in force asks for, `members` left out: those are counted."""
        read = {name for each in self._programmes for name in each.reads} - {"members"}
        return tuple(name for name in Circumstances._fields if name in read | {"level", "area"})

    @cached_property
    def days_late_most(self) -> int:
        """Whoever registered later than this is too late for all that have a limit; 0 where none has one."""
        limits = (each.document.backdating_days for each in self._programmes)
        return max((limit + 1 for limit in limits if limit is not None), default=0)

    def classes(self, people: Iterable[Person]) -> list[int]:
        """A class for each person, the same for those whom all programmes count alike."""
        known: dict[tuple[tuple[int, ...], ...], int] = {}
        found = []
        for person in people:
            counted = tuple(each.counted(person) for each in self._programmes)
            if counted not in known:
                known[counted] = len(self._people)
                self._people.append(person)
            found.append(known[counted])
        return found

    def due(self, shapes: Iterable[tuple[int, Shape]]) -> Iterator[Due]:
        """What each shape is due on either side; call `classes` first."""
        for number, shape in shapes:
            facts = self._facts(shape)
            for side, panel, judged in self._sides:
                judgements = [each._replace(days_late=shape.days_late) for each in judged]
                for decision in panel.decide(judgements, {self.on: facts}):
                    if decision.outcome is Outcome.ELIGIBLE:
                        yield Due(number, side, decision.programme, decision.amount)

    @cached_property
    def paid_once(self) -> frozenset[tuple[str, str]]:
        """The one-off programmes that later days pay no more, by side."""
        return self.paid_before | {
            (side, each.programme.id)
            for side, _, judged in self._sides
            for each in judged
            if each.programme.document.frequency == "one_off"
        }

    @cached_property
    def _sides(self) -> tuple[tuple[str, Panel, tuple[Judgement, ...]], ...]:
        occasion = Occasion(self.on, None, f"{self.on:%Y-%m}")
        panels = (self.proposal.current, self.proposal.proposed)
        return tuple(
            (
                side,
                panel,
                tuple(
                    Judgement(each, occasion)
                    for name, each in panel.programmes.items()
                    if each.in_force(self.on) and (side, name) not in self.paid_before
                ),
            )
            for side, panel in zip(SIDES, panels, strict=True)
        )

    @cached_property
    def _programmes(self) -> tuple[Programme, ...]:
        """All that may decide otherwise than no: whoever is not in force refuses whatever the facts are."""
        panels = (self.proposal.current, self.proposal.proposed)
        return tuple(
            dict.fromkeys(
                each for panel in panels for each in panel.programmes.values() if each.in_force(self.on)
            )
        )

    def _facts(self, shape: Shape) -> Facts:
        persons = tuple(self._people[each] for each in shape.classes)
        asked = {"level": "none", "area": "rural", **shape.circumstances}
        return Facts(Circumstances._make(_values(asked, len(persons))), persons)


def _values(asked: Mapping[str, Value], members: int) -> Iterator[Value]:
    for name in Circumstances._fields:
        default = Circumstances._field_defaults.get(name, "")
        yield members if name == "members" else asked.get(name, default)
