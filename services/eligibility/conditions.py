"""What condition reports say of a household on a day: visits of its month, and days at school. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from types import MappingProxyType
from typing import NamedTuple

from contracts.condition import ConditionKind, ConditionReport
from postbox.errors import Park

VISITS = frozenset(ConditionKind) - {ConditionKind.ATTENDANCE, ConditionKind.UNRECOGNISED}


class UnknownKind(Park):
    """condition report: a kind this version does not know"""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Visits(NamedTuple):
    """One person's visits in a month, and those counted in the months before it.

    Before are, of antenatal visits, those of the same pregnancy; of the others, those since the person's last
    delivery, or all where there is none: a child's.
    """

    visits_antenatal: int = 0
    visits_antenatal_before: int = 0
    visits_postnatal: int = 0
    visits_postnatal_before: int = 0
    visits_vaccination: int = 0
    visits_vaccination_before: int = 0


class Observed(NamedTuple):
    """Visits (of deliveries: babies) by kind and by person, and the last attendance in percent by person."""

    visits: Mapping[ConditionKind, int]
    attendance: Mapping[str, int]
    visits_of: Mapping[str, Visits]


NO_VISITS = Visits()
NOTHING = Observed(MappingProxyType({}), MappingProxyType({}), MappingProxyType({}))
PREGNANCY_DAYS_MOST = 300
"""No pregnancy is longer (42 weeks, WHO's post-term, and some days for the dating)."""


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
        if each.kind in VISITS and _counted_in(each) == _month(on):
            visits[each.kind] += each.babies or 1
    terms = sorted(
        (each for each in standing if each.kind is ConditionKind.ATTENDANCE and each.on <= on),
        key=lambda each: each.on,
    )
    seen = {each.person_id for each in standing if each.kind in VISITS and _counted_in(each) == _month(on)}
    return Observed(
        visits,
        {each.person_id: each.attendance_percent or 0 for each in terms},
        {
            person_id: _visits([each for each in standing if each.person_id == person_id], on)
            for person_id in seen
        },
    )


def _visits(of_person: Sequence[ConditionReport], on: date) -> Visits:
    born = [each.on for each in of_person if each.kind is ConditionKind.DELIVERY]
    counts: list[int] = []
    for kind in (ConditionKind.ANTENATAL_VISIT, ConditionKind.POSTNATAL_VISIT, ConditionKind.VACCINATION):
        visits = [each for each in of_person if each.kind is kind]
        now = [each for each in visits if _counted_in(each) == _month(on)]
        since = _since(kind, max(each.on for each in now), born) if now else date.max
        before = [each for each in visits if each.on >= since and _counted_in(each) < _month(on)]
        counts += (len(now), len(before))
    return Visits(*counts)


def _since(kind: ConditionKind, day: date, born: Iterable[date]) -> date:
    """The first day whose visits go together with one of that day."""
    if kind is not ConditionKind.ANTENATAL_VISIT:
        return max((birth for birth in born if birth <= day), default=date.min)
    began = day - timedelta(days=PREGNANCY_DAYS_MOST)
    return max((birth + timedelta(days=1) for birth in born if began <= birth < day), default=began)


def _standing(reports: Iterable[ConditionReport]) -> list[ConditionReport]:
    """The last report of each reference; those withdrawn are left out."""
    last = {each.reference: each for each in reports}
    return [each for each in last.values() if not each.withdrawn]


def _counted_in(report: ConditionReport) -> tuple[int, int]:
    return _month(max(report.on, report.reported_on))


def _month(day: date) -> tuple[int, int]:
    return day.year, day.month
