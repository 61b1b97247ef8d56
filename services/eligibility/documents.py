"""A programme file, field by field: strict models, and what contradicts itself in one. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from itertools import pairwise, product
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from contracts.money import PAYABLE_MULTIPLE_RIEL
from services.eligibility.facts import Circumstances, Person

Area = Literal["phnom_penh", "other_urban", "rural"]
Covered = Literal["poor_1", "poor_2", "at_risk", "none"]
AREAS: tuple[Area, ...] = ("phnom_penh", "other_urban", "rural")
Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80)]
Component = Annotated[str, Field(pattern=r"^[a-z]+(_[a-z0-9]+)*$", max_length=80)]
Text = Annotated[str, Field(min_length=1)]
Cell = tuple[str, str, str]
"""(area, level, component)"""


class Strict(BaseModel):
    """Frozen; refuses fields it does not know and values of another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Words(Strict):
    """The same in plain English and in Khmer."""

    en: Text
    km: Text


class Rate(Strict):
    """One cell of the rate table, or a row of them, in riel; how well it is known, and from where.

    Without `riel` it was not found, and must be filled in before the programme can be put in force.
    """

    area: Area | Literal["any"] = "any"
    level: Covered | Literal["any"] = "any"
    component: Component
    riel: Annotated[int, Field(gt=0, multiple_of=PAYABLE_MULTIPLE_RIEL)] | None
    evidence: Literal["sourced", "inferred", "memory", "missing"]
    source: Annotated[tuple[str, ...], Field(min_length=1)]
    note: str | None = None

    @model_validator(mode="after")
    def _graded(self) -> Self:
        if (self.riel is None) != (self.evidence == "missing"):
            raise wrong(
                "evidence is `missing` where there is no riel, and only there", "fill in the rate or grade it"
            )
        return self

    def cells(self, levels: tuple[Covered, ...]) -> Iterator[Cell]:
        """The cells it stands for, in a programme for these levels."""
        yield from product(
            AREAS if self.area == "any" else (self.area,),
            levels if self.level == "any" else (self.level,),
            (self.component,),
        )


class Version(Strict):
    """The rates in force from one day to another, both included; without `valid_to`, until further notice.

    `dates` says how well the days are known. Without `valid_from` it was not found, and must be filled in
    before the programme can be put in force.
    """

    valid_from: date | None
    valid_to: date | None
    dates: Literal["sourced", "inferred", "memory", "missing"]
    components: Annotated[tuple[Component, ...], Field(min_length=1)]
    rates: tuple[Rate, ...]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.valid_from and self.valid_to and self.valid_to < self.valid_from:
            raise wrong("ends before it begins", "correct valid_from or valid_to")
        return self

    @property
    def first(self) -> date:
        return self.valid_from or date.min

    @property
    def last(self) -> date:
        return self.valid_to or date.max


class Counted(Strict):
    """Members a programme pays for: those of whom one condition of `any_of` (CEL, on one person) holds.

    `each_condition` counts a person once for every condition that holds; `sum`, instead of `any_of`, counts
    a person as often as it says (CEL, a whole number).
    """

    any_of: tuple[str, ...] = ()
    counts: Literal["each_person_once", "each_condition"] = "each_person_once"
    sum: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.any_of) == (self.sum is not None):
            raise wrong("counts nobody, or in two ways", "write either any_of or sum")
        return self


class Condition(Words):
    """What must hold of a household (CEL); `reason` is the code of the refusal where it does not."""

    reason: Name
    holds: str


class Benefit(Words):
    """A line of the amount: how many times its rate is paid (CEL, a whole number)."""

    count: str


class Yielding(Strict):
    """Not paid to a household that is entitled to `programme`, to the day `until` or for ever."""

    programme: Name
    until: date | None = None


class Stacking(Strict):
    """What the programme needs or excludes of others; without a word, it is paid beside all of them.

    A person is counted for one purpose by one programme only, whatever stands here.
    """

    needs: tuple[Name, ...] = ()
    yields_to: tuple[Yielding, ...] = ()

    @property
    def others(self) -> tuple[str, ...]:
        return (*self.needs, *(each.programme for each in self.yields_to))


class Example(Strict):
    """A household in facts and the amount in riel it must get, or the reasons why it is refused."""

    name: Text
    as_of: date
    household: Circumstances
    persons: tuple[Person, ...]
    amount: int = 0
    refused: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _counted(self) -> Self:
        if self.household.members:
            raise wrong("members are counted from persons", "leave them out")
        return self


class Document(Strict):
    """A programme file."""

    id: Name
    name: Words
    purpose: Name
    frequency: Literal["monthly", "one_off", "per_event", "on_dates"]
    dates: tuple[date, ...] = ()
    sensitive: bool
    draft: bool = False
    # The hash of the file that this one takes the place of, where that has decided already.
    replaces: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    currency: Literal["KHR"]
    # What is judged is judged on the cycle's reference date; without a cycle, on the day of the event.
    reference_date: Literal["cycle"]
    # How many days after the reference date a household may be registered and still be paid; null: any.
    backdating_days: Annotated[int, Field(ge=0)] | None
    stacking: Stacking = Stacking()
    levels: Annotated[tuple[Covered, ...], Field(min_length=1)]
    persons: Mapping[Component, Counted] = {}
    conditions: tuple[Condition, ...]
    lines: Annotated[Mapping[Component, Benefit], Field(min_length=1)]
    sources: Mapping[str, str]
    versions: Annotated[tuple[Version, ...], Field(min_length=1)]
    examples: Annotated[tuple[Example, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.frequency == "on_dates") != bool(self.dates):
            raise wrong("dates belong to the frequency on_dates, and only there", "add or remove them")
        for problem in (*self._overlaps(), *self._strangers(), *self._cells(), *self._unsourced()):
            raise problem
        return self

    def _overlaps(self) -> Iterator[PydanticCustomError]:
        for earlier, later in pairwise(sorted(self.versions, key=lambda each: each.first)):
            if later.first <= earlier.last:
                yield wrong(
                    f"versions overlap: one is valid to {earlier.valid_to}, another from {later.valid_from}",
                    f"end the earlier one on {later.first - timedelta(days=1)}, or move the later one",
                )

    def _strangers(self) -> Iterator[PydanticCustomError]:
        for version in self.versions:
            for component in version.components:
                if component not in self.lines:
                    yield wrong(f"component {component} has no line", "add it under lines with its count")

    def _cells(self) -> Iterator[PydanticCustomError]:
        for version in self.versions:
            of = f"version of {version.valid_from}"
            wanted: set[Cell] = set(product(AREAS, self.levels, version.components))
            found = Counter(cell for rate in version.rates for cell in rate.cells(self.levels))
            for cell in sorted(wanted - found.keys()):
                yield wrong(f"{of} has no rate for {_named(cell)}", "add the rate")
            for cell, count in sorted(found.items()):
                if cell not in wanted:
                    yield wrong(
                        f"{of} has a rate for {_named(cell)}, not covered",
                        "remove the rate, or add its level or component",
                    )
                elif count > 1:
                    yield wrong(f"{of} has {count} rates for {_named(cell)}", "keep one")

    def _unsourced(self) -> Iterator[PydanticCustomError]:
        cited = {name for version in self.versions for rate in version.rates for name in rate.source}
        for name in sorted(cited - self.sources.keys()):
            yield wrong(f"source {name} is not listed", "add it under sources with its address")


def wrong(what: str, remedy: str) -> PydanticCustomError:
    """What a file contradicts itself in, and what to do."""
    return PydanticCustomError("programme", "{what}; {remedy}", {"what": what, "remedy": remedy})


def _named(cell: Cell) -> str:
    return "/".join(cell)
