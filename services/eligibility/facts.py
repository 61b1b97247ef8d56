"""What a programme may ask of a household: a flat vocabulary, counted once from its members on one day. Pure.

`Person` and `Circumstances` are that vocabulary; `docs/facts.md` is made of it.
"""

from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import Annotated, NamedTuple, get_type_hints

from msgspec import Meta

from contracts import household
from contracts.condition import ConditionKind, ConditionReport
from contracts.household import (
    AreaType,
    CommuneCode,
    Condition,
    Level,
    Persons,
    Purpose,
    SchoolLevel,
    Sex,
    Work,
)
from contracts.model import UNRECOGNISED
from services.eligibility.conditions import NO_VISITS, NOTHING, Observed, observed
from services.eligibility.shocks import Shock
from services.eligibility.structs import Struct


class School(Struct, frozen=True):
    """What is read of a `School`."""

    level: SchoolLevel
    attendance_percent: int | None = None


class Member(Struct, frozen=True):
    """What is read of a `Member`."""

    birth_date: date
    sex: Sex
    person_id: str = ""
    conditions: tuple[Condition, ...] = ()
    school: School | None = None
    work: Work | None = None


class Card(Struct, frozen=True):
    """What is read of an `EquityCard`."""

    expires_on: date | None = None


class People(Struct, frozen=True):
    """What is read of `Persons`: names, numbers and dwelling stay unread."""

    members: Annotated[tuple[Member, ...], Meta(min_length=1, max_length=40)]
    equity_card: Card | None = None
    consents: tuple[Purpose, ...] = ()


class Fact(NamedTuple):
    """How a fact is measured, and where it comes from."""

    unit: str
    source: str


_TOLD = Fact("as told at registration", "`conditions`")
_SHOCK = Fact("declared for the commune, and not ended, on the reference date", "`shock.declared.v1`")
_REPORTS = "`condition.reported.v1`"
_VISITS = Fact("visits in the month of the reference date, or first reported in it", _REPORTS)
_OF_PERSON = Fact("visits of this person in that month; a child's are reported under the child", _REPORTS)
_BEFORE = Fact("visits of this person in earlier months, since her last delivery; of one pregnancy", _REPORTS)
_POOR = "likelihood, in percent, of living below the national poverty line"
_SCORECARD = "scorecard `ppi-2020`, by `commune`, `members`, `dwelling`, `assets`"
_SCHOOLS = "`none`, `primary`, `lower_secondary`, `upper_secondary`"


class Person(NamedTuple):
    """One member on the reference date."""

    age: Annotated[int, Fact("whole years", "`birth_date`")]
    female: Annotated[bool, Fact("true where `sex` is female", "`sex`")] = False
    disability: Annotated[bool, _TOLD] = False
    pregnancy: Annotated[bool, _TOLD] = False
    hiv: Annotated[bool, Fact("as told, with the consent `health_data`", "`conditions`, `consents`")] = False
    returned_migrant: Annotated[bool, _TOLD] = False
    school: Annotated[str, Fact(_SCHOOLS, "`school.level`")] = "none"
    attendance_percent: Annotated[
        int,
        Fact(
            "percent of last term's days, 0 where unknown",
            "`condition.reported.v1`, else `school.attendance_percent`",
        ),
    ] = 0
    work: Annotated[str, Fact("`formal`, `informal`, `none`, `unknown`", "`work`")] = "unknown"
    visits_antenatal: Annotated[int, _OF_PERSON] = 0
    visits_antenatal_before: Annotated[int, _BEFORE] = 0
    visits_postnatal: Annotated[int, _OF_PERSON] = 0
    visits_postnatal_before: Annotated[int, _BEFORE] = 0
    visits_vaccination: Annotated[int, _OF_PERSON] = 0
    visits_vaccination_before: Annotated[int, _BEFORE] = 0


class Circumstances(NamedTuple):
    """A household on the reference date; every kind of shock is the name of a fact."""

    level: Annotated[str, Fact("`poor_1`, `poor_2`, `at_risk`, `none`", "`level`, from the Equity Card")]
    area: Annotated[str, Fact("`phnom_penh`, `other_urban`, `rural`", "`area_type`, from the gazetteer")]
    province: Annotated[str, Fact("two digits of the gazetteer", "`commune`")] = "00"
    members: Annotated[int, Fact("persons born by then", "`members`")] = 0
    has_card: Annotated[bool, Fact("a card is registered", "`equity_card`")] = True
    card_expired: Annotated[
        bool, Fact("its last valid day is before the reference date", "`equity_card.expires_on`")
    ] = False
    flood: Annotated[bool, _SHOCK] = False
    lockdown: Annotated[bool, _SHOCK] = False
    inflation: Annotated[bool, _SHOCK] = False
    antenatal_visits: Annotated[int, _VISITS] = 0
    deliveries: Annotated[int, Fact("babies delivered, counted like visits", _REPORTS)] = 0
    postnatal_visits: Annotated[int, _VISITS] = 0
    vaccination_visits: Annotated[int, _VISITS] = 0
    ppi_2020_low: Annotated[int, Fact(f"the lowest possible {_POOR}", _SCORECARD)] = 0
    ppi_2020_high: Annotated[int, Fact(f"the highest possible {_POOR}", _SCORECARD)] = 100


class Facts(NamedTuple):
    """A household in facts. Never leaves the service: it says conditions."""

    circumstances: Circumstances
    persons: tuple[Person, ...]


def facts_of(
    people: People | Persons,
    level: Level,
    area: AreaType,
    commune: CommuneCode,
    on: date,
    *,
    reports: Sequence[ConditionReport] = (),
    shocks: Sequence[Shock] = (),
) -> Facts:
    """A household's facts on a day; `reports` are its condition reports, in the order of their numbers, and
    `shocks` those of its commune.

    Who is born later is no member yet. HIV counts only where the household consented to health data.
    """
    seen = observed(reports, on)
    may_use_health = Purpose.HEALTH_DATA in people.consents
    persons = tuple(
        [
            person_of(member, age_on(member.birth_date, on), may_use_health, seen)
            for member in people.members
            if member.birth_date <= on
        ]
    )
    found = circumstances_of(people, level, area, commune, on, members=len(persons), shocks=shocks)
    if seen is not NOTHING:
        found = found._replace(
            antenatal_visits=seen.visits.get(ConditionKind.ANTENATAL_VISIT, 0),
            deliveries=seen.visits.get(ConditionKind.DELIVERY, 0),
            postnatal_visits=seen.visits.get(ConditionKind.POSTNATAL_VISIT, 0),
            vaccination_visits=seen.visits.get(ConditionKind.VACCINATION, 0),
        )
    return Facts(found, persons)


def circumstances_of(
    people: People | Persons,
    level: Level,
    area: AreaType,
    commune: CommuneCode,
    on: date,
    *,
    members: int,
    shocks: Sequence[Shock] = (),
) -> Circumstances:
    """A household's circumstances on a day, with so many members, of which no visit is reported."""
    card = people.equity_card
    expires_on = card.expires_on if card else None
    is_expired = expires_on is not None and expires_on < on
    found = _plainly((level, area, commune[:2]), members, card is not None, is_expired)
    struck = {each.kind.value for each in shocks if each.holds(on)} if shocks else None
    if not struck:
        return found
    return Circumstances._make(
        name in struck or known for name, known in zip(Circumstances._fields, found, strict=True)
    )


@lru_cache(16_384)
def _plainly(
    place: tuple[Level, AreaType, str], members: int, has_card: bool, card_expired: bool
) -> Circumstances:
    """A household of which no shock is known: most are alike."""
    level, area, province = place
    return Circumstances(level.value, area.value, province, members, has_card, card_expired)


def person_of(
    member: Member | household.Member, age: int, may_use_health: bool, seen: Observed = NOTHING
) -> Person:
    """A member at an age: HIV is told where the household's health data may be used."""
    told, school = member.conditions, member.school
    female = member.sex is Sex.FEMALE
    visits = NO_VISITS if seen is NOTHING else seen.visits_of.get(member.person_id, NO_VISITS)
    if not told and school is None and member.work is None and visits is NO_VISITS:
        return _plain(age, female)
    attended = seen.attendance.get(member.person_id)
    return Person(
        age,
        female,
        disability=Condition.DISABILITY in told,
        pregnancy=Condition.PREGNANCY in told,
        hiv=may_use_health and Condition.HIV in told,
        returned_migrant=Condition.RETURNED_MIGRANT in told,
        school=school.level.value if school and school.level.value != UNRECOGNISED else "none",
        attendance_percent=_attendance(school, attended),
        work=member.work.value if member.work and member.work is not Work.UNRECOGNISED else "unknown",
        **(visits._asdict() if visits is not NO_VISITS else {}),
    )


_plain = lru_cache(512)(Person)
"""A member of whom nothing else is told."""


def _attendance(school: School | household.School | None, attended: int | None) -> int:
    """The last reported term's, else the registered one's; nobody who goes to no school attends."""
    if school is None:
        return 0
    return (school.attendance_percent or 0) if attended is None else attended


def age_on(birth_date: date, on: date) -> int:
    """Age in whole years; who is born on 29 February has a birthday on 1 March in other years."""
    return on.year - birth_date.year - (place_in_year(on) < place_in_year(birth_date))


def place_in_year(day: date) -> int:
    """A number for month and day, in their order."""
    return day.month << 5 | day.day


Vocabulary = dict[str, type]
"""Name of a fact -> `int`, `bool` or `str`."""

PERSON: Vocabulary = get_type_hints(Person)
CIRCUMSTANCES: Vocabulary = get_type_hints(Circumstances)
