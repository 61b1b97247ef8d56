"""What condition reports say of a household on a day: visits of its month, and days at school. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import NamedTuple

from contracts.condition import ConditionKind, ConditionReport
from postbox.errors import Park

VISITS = frozenset(ConditionKind) - {ConditionKind.ATTENDANCE, ConditionKind.UNRECOGNISED}


class UnknownKind(Park):
    """condition report: a kind this version does not know"""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Observed(NamedTuple):
    """Visits (of deliveries: babies) by kind, and the last attendance in percent by person."""

    visits: Mapping[ConditionKind, int]
    attendance: Mapping[str, int]


NOTHING = Observed(MappingProxyType({}), MappingProxyType({}))


def observed(reports: Sequence[ConditionReport], on: date) -> Observed:
    """What reports, in the order of their numbers, say of a day.

    A visit counts in the month it was made, or, reported later, in the month of its first report: so none
    is lost to a month that is over, and none counts twice. Attendance is that of the last term ended by then.
    """
    if not reports:
        return NOTHING
    standing = _standing(reports)
    visits = Counter[ConditionKind]()
    for each in standing:
        if each.kind in VISITS and _month(max(each.on, each.reported_on)) == _month(on):
            visits[each.kind] += each.babies or 1
    terms = sorted(
        (each for each in standing if each.kind is ConditionKind.ATTENDANCE and each.on <= on),
        key=lambda each: each.on,
    )
    return Observed(visits, {each.person_id: each.attendance_percent or 0 for each in terms})


def _standing(reports: Iterable[ConditionReport]) -> list[ConditionReport]:
    """The last report of each reference; those withdrawn are left out."""
    last = {each.reference: each for each in reports}
    return [each for each in last.values() if not each.withdrawn]


def _month(day: date) -> tuple[int, int]:
    return day.year, day.month
