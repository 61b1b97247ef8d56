"""How many people programmes reach, by who they are: counted by household, told without small counts. Pure.

A programme reaches everyone in a household that it entitles by what is known that day; the floor if any does.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from services.eligibility.facts import Facts, Person
from services.eligibility.suppression import ROUNDED_TO, THRESHOLD, shown

REGISTERED, FLOOR = "registered", "floor"
EVERYONE = "everyone"
GROUPS: dict[str, tuple[str, ...]] = {
    EVERYONE: (EVERYONE,),
    "province": tuple(f"{number:02}" for number in range(1, 26)),
    "sex": ("female", "male"),
    "age": ("0-5", "6-17", "18-59", "60+"),
    "disability": ("yes", "no"),
    "work": ("formal", "informal", "none", "unknown"),
}
"""Dimension -> its groups, in the order they are told."""

Counts = dict[str, dict[str, dict[str, int]]]
"""Dimension -> group -> measure (a programme's id, `registered` or `floor`) -> people."""


class Reach(NamedTuple):
    """A programme that is told of; a sensitive one by its total alone."""

    programme: str
    sensitive: bool


def add(counts: Counts, facts: Facts, reached: Sequence[str]) -> None:
    """Count a household's members, reached by these programmes, into `counts`."""
    measures = (REGISTERED, FLOOR, *reached) if reached else (REGISTERED,)
    for person in facts.persons:
        for dimension, group in _groups(facts.circumstances.province, person):
            cell = counts.setdefault(dimension, {}).setdefault(group, {})
            for measure in measures:
                cell[measure] = cell.get(measure, 0) + 1


def report(counts: Counts, programmes: Iterable[Reach]) -> dict[str, object]:
    """What may be read by everyone; null stands for a count that is too small to be shown."""
    told = list(programmes)
    return {
        "threshold": THRESHOLD,
        "rounded_to": ROUNDED_TO,
        "tables": [
            {"dimension": dimension, "groups": [_row(counts, dimension, group, told) for group in groups]}
            for dimension, groups in GROUPS.items()
        ],
    }


def _row(counts: Counts, dimension: str, group: str, programmes: Sequence[Reach]) -> dict[str, object]:
    cell = counts.get(dimension, {}).get(group, {})
    whole = dimension == EVERYONE
    measures = (REGISTERED, FLOOR, *(each.programme for each in programmes if whole or not each.sensitive))
    return {"group": group, "people": {measure: shown(cell.get(measure, 0)) for measure in measures}}


def _groups(province: str, person: Person) -> Iterator[tuple[str, str]]:
    yield EVERYONE, EVERYONE
    yield "province", province
    yield "sex", "female" if person.female else "male"
    yield "age", _age_band(person.age)
    yield "disability", "yes" if person.disability else "no"
    yield "work", person.work


def _age_band(age: int) -> str:
    return "0-5" if age <= 5 else "6-17" if age <= 17 else "18-59" if age <= 59 else "60+"
