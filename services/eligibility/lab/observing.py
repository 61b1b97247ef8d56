"""What condition reports say on the day that is judged, in columns, by the stream's own rule. Pure."""

from collections.abc import Iterable, Iterator
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from contracts.condition import ConditionKind, ConditionReport
from services.eligibility.conditions import NO_VISITS, observed
from services.eligibility.lab.columns import VISIT_FACTS

Row = tuple[object, ...]


class Heard(NamedTuple):
    """A report as a row of `columns.REPORTS`."""

    household_id: str
    number: int
    reference: str
    person_id: str
    kind: str
    seen_on: date
    reported_on: date
    attendance_percent: int | None
    babies: int | None
    withdrawn: bool


class Seen(NamedTuple):
    """One household's row of `columns.OBSERVED_HOUSEHOLDS`, and its rows of `columns.OBSERVED_PERSONS`."""

    household: Row
    persons: list[Row]


def observe(heard: Iterable[Heard], on: date) -> Iterator[Seen]:
    """What is seen of each household on a day; `heard` are all its reports together, by number."""
    for household_id, each in groupby(heard, itemgetter(0)):
        seen = observed(list(map(_report, each)), on)
        yield Seen(
            (household_id, *(seen.visits.get(kind, 0) for kind in VISIT_FACTS)),
            [
                (household_id, person, seen.attendance.get(person), *seen.visits_of.get(person, NO_VISITS))
                for person in dict.fromkeys((*seen.attendance, *seen.visits_of))
            ],
        )


def _report(heard: Heard) -> ConditionReport:
    return ConditionReport.model_construct(
        reference=heard.reference,
        person_id=heard.person_id,
        kind=ConditionKind(heard.kind),
        on=heard.seen_on,
        reported_on=heard.reported_on,
        attendance_percent=heard.attendance_percent,
        babies=heard.babies,
        withdrawn=heard.withdrawn,
    )
