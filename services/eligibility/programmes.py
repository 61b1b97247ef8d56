"""Programmes as data: strict models of a programme file, and what is wrong with one. Pure."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import pairwise, product
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from contracts.money import PAYABLE_MULTIPLE_RIEL

Area = Literal["phnom_penh", "other_urban", "rural"]
Covered = Literal["poor_1", "poor_2", "at_risk"]
Component = Literal["household", "member", "vulnerable_member"]
AREAS: tuple[Area, ...] = ("phnom_penh", "other_urban", "rural")
_Place = tuple[str | int, ...]

_REMEDIES = {
    "extra_forbidden": "remove it, or correct its spelling",
    "missing": "add it",
    "multiple_of": f"payments are made in multiples of {PAYABLE_MULTIPLE_RIEL} riel: correct the rate",
    "greater_than": "write a positive amount of whole riel",
    "int_type": "write a whole number without quotes",
    "bool_type": "write true or false",
    "literal_error": "write one of the words it may be: {expected}",
    "string_pattern_mismatch": "write it in small letters, digits and hyphens",
    "date_from_datetime_parsing": "write year-month-day, for instance 2020-06-25",
}


class ProgrammeRefused(Exception):
    """A programme file that can't be used: a line for each thing wrong, with where it is and what to do."""


class Strict(BaseModel):
    """Frozen; refuses fields it does not know and values of another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Rate(Strict):
    """One cell of the rate table, in riel, with how well it is known and from where."""

    area: Area
    level: Covered
    component: Component
    riel: Annotated[int, Field(gt=0, multiple_of=PAYABLE_MULTIPLE_RIEL)]
    evidence: Literal["sourced", "inferred", "memory"]
    source: Annotated[tuple[str, ...], Field(min_length=1)]
    note: str | None = None

    @property
    def cell(self) -> tuple[Area, Covered, Component]:
        return self.area, self.level, self.component


class Version(Strict):
    """The rates in force from one day to another, both included."""

    valid_from: date
    valid_to: date
    components: Annotated[tuple[Component, ...], Field(min_length=1)]
    rates: tuple[Rate, ...]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.valid_to < self.valid_from:
            raise _wrong("ends before it begins", "correct valid_from or valid_to")
        return self


class Parameters(Strict):
    """Who is vulnerable (ages in whole years on the reference date), and what the Equity Card must be."""

    child_age_most: Annotated[int, Field(ge=0, le=17)]
    elder_age_least: Annotated[int, Field(ge=40, le=120)]
    vulnerable_counts: Literal["each_person_once", "each_condition"]
    card_required: bool


class Example(Strict):
    """A household in numbers and the amount in riel it must get, or the reasons why it is refused."""

    name: str
    as_of: date
    area: Area
    level: Literal["poor_1", "poor_2", "at_risk", "none"]
    members: Annotated[int, Field(ge=0)]
    vulnerable_members: Annotated[int, Field(ge=0)]
    amount: int = 0
    refused: tuple[str, ...] = ()


class Document(Strict):
    """A programme file, field by field."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80)]
    name: Annotated[str, Field(min_length=1)]
    purpose: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80)]
    frequency: Literal["monthly"]
    # Events carry a sensitive programme's decisions sealed, which scoring does not do.
    sensitive: Literal[False]
    currency: Literal["KHR"]
    levels: Annotated[tuple[Covered, ...], Field(min_length=1)]
    parameters: Parameters
    sources: Mapping[str, str]
    versions: Annotated[tuple[Version, ...], Field(min_length=1)]
    examples: Annotated[tuple[Example, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for problem in (*self._overlaps(), *self._cells(), *self._unsourced()):
            raise problem
        return self

    def _overlaps(self) -> Iterator[PydanticCustomError]:
        for earlier, later in pairwise(sorted(self.versions, key=lambda each: each.valid_from)):
            if later.valid_from <= earlier.valid_to:
                yield _wrong(
                    f"versions overlap: one is valid to {earlier.valid_to}, another from {later.valid_from}",
                    f"end the earlier one on {later.valid_from - timedelta(days=1)}, or move the later one",
                )

    def _cells(self) -> Iterator[PydanticCustomError]:
        for version in self.versions:
            wanted = set(product(AREAS, self.levels, version.components))
            found = Counter(rate.cell for rate in version.rates)
            for cell in sorted(wanted - found.keys()):
                yield _wrong(
                    f"version of {version.valid_from} has no rate for {_named(cell)}", "add the rate"
                )
            for cell, count in sorted(found.items()):
                if cell not in wanted:
                    yield _wrong(
                        f"version of {version.valid_from} has a rate for {_named(cell)}, not covered",
                        "remove the rate, or add its level or component",
                    )
                elif count > 1:
                    yield _wrong(
                        f"version of {version.valid_from} has {count} rates for {_named(cell)}", "keep one"
                    )

    def _unsourced(self) -> Iterator[PydanticCustomError]:
        cited = {name for version in self.versions for rate in version.rates for name in rate.source}
        for name in sorted(cited - self.sources.keys()):
            yield _wrong(f"source {name} is not listed", "add it under sources with its address")


Rates = Mapping[str, int]
"""Component -> riel, in the order of the version's components."""

RateTable = Mapping[tuple[str, str], Rates]
"""(area, level) -> rates."""


@dataclass(frozen=True)
class Programme:
    """A programme as it is applied; `hash` is the SHA-256 of its file's bytes and names it in decisions."""

    document: Document
    hash: str

    @property
    def id(self) -> str:
        return self.document.id

    def rates(self, on: date) -> RateTable | None:
        """The rates in force on a day; None where no version is."""
        return next((table for first, last, table in self._tables if first <= on <= last), None)

    @cached_property
    def _tables(self) -> list[tuple[date, date, RateTable]]:
        return [(each.valid_from, each.valid_to, _table(each)) for each in self.document.versions]


def _table(version: Version) -> RateTable:
    riel = {rate.cell: rate.riel for rate in version.rates}
    places = sorted({(rate.area, rate.level) for rate in version.rates})
    return {
        (area, level): {component: riel[area, level, component] for component in version.components}
        for area, level in places
    }


def parse(file: str, content: bytes) -> Programme:
    """A programme from its file's name and bytes. Raises `ProgrammeRefused`."""
    try:
        root = yaml.compose(content.decode(), yaml.SafeLoader)
        plain = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        raise ProgrammeRefused(
            f"{file}:{mark.line + 1 if mark else 1}: is no YAML; correct the line, and save it as UTF-8"
        ) from None
    if twice := [f"{file}:{line}: {key} stands twice; keep one" for line, key in _repeated(root)]:
        raise ProgrammeRefused("\n".join(twice))
    try:
        document = Document.model_validate_json(json.dumps(plain, default=str))
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
        raise ProgrammeRefused(
            "\n".join(
                f"{file}:{_line(root, problem['loc'])}: "
                f"{_said(problem['loc'], problem['type'], problem['msg'], problem.get('ctx', {}))}"
                for problem in problems
            )
        ) from None
    return Programme(document, hashlib.sha256(content).hexdigest())


def catalogue(files: Mapping[str, bytes]) -> dict[str, Programme]:
    """Programmes by id, from the bytes of their files by name. Raises `ProgrammeRefused`."""
    found: dict[str, Programme] = {}
    for file, content in sorted(files.items()):
        programme = parse(file, content)
        if f"{programme.id}.yaml" != file:
            raise ProgrammeRefused(f"{file}: its id is {programme.id}; name the file {programme.id}.yaml")
        found[programme.id] = programme
    return found


def _wrong(what: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("programme", "{what}; {remedy}", {"what": what, "remedy": remedy})


def _named(cell: tuple[str, ...]) -> str:
    return "/".join(cell)


def _said(place: _Place, kind: str, message: str, context: Mapping[str, object]) -> str:
    where = ".".join(map(str, place))
    if kind == "programme":
        return f"{where}: {message}" if where else message
    remedy = _REMEDIES.get(kind, "correct it").format(expected=context.get("expected", ""))
    return f"{where}: {message}; {remedy}"


def _line(node: yaml.Node | None, place: _Place) -> int:
    """The line (from 1) of the innermost part of `place` that is in the file."""
    if node is None:
        return 1
    for step in place:
        below: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            below = next((value for key, value in node.value if key.value == step), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            below = node.value[step]
        if below is None:
            break
        node = below
    return int(node.start_mark.line) + 1


def _repeated(node: yaml.Node | None) -> Iterator[tuple[int, str]]:
    """Keys that stand twice in one mapping, of which YAML would silently take the last."""
    if isinstance(node, yaml.MappingNode):
        counts = Counter(key.value for key, _ in node.value)
        for key, value in node.value:
            if counts[key.value] > 1:
                yield int(key.start_mark.line) + 1, str(key.value)
            yield from _repeated(value)
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from _repeated(each)
