"""Facts counted on a day, and what the programme makes of them."""

from datetime import date

import pytest

from contracts.eligibility import Outcome
from contracts.household import AreaType, Condition, Level, Persons, Purpose
from services.eligibility import facts
from services.eligibility.facts import Facts, People, Person, age_on
from services.eligibility.programmes import Programme
from services.eligibility.scoring import Occasion, decide
from services.eligibility.structs import read
from tests.unit.eligibility.samples import ADULT, PRESS_CASE, PROGRAMME, changed, member, persons

ON = date(2023, 6, 1)
HEALTH = (Purpose.HEALTH_DATA,)


def facts_of(
    household: Persons, on: date = ON, level: Level = Level.POOR_2, area: AreaType = AreaType.RURAL
) -> Facts:
    """Counted from what is read of a household as it was sealed."""
    people = read(People, household.model_dump_json().encode())
    return facts.facts_of(people, level, area, "010201", on)


def vulnerable_members(found: Facts, programme: Programme = PROGRAMME) -> object:
    asked = programme.asked(found.circumstances, found.persons)
    return dict(zip(programme.reads, asked, strict=True))["vulnerable_member"]


@pytest.mark.parametrize(
    ("birth_date", "on", "age"),
    [
        (date(2017, 6, 1), date(2023, 6, 1), 6),
        (date(2017, 6, 2), date(2023, 6, 1), 5),
        (date(2020, 2, 29), date(2023, 2, 28), 2),
        (date(2020, 2, 29), date(2023, 3, 1), 3),
        (date(2020, 2, 29), date(2024, 2, 29), 4),
        (date(2023, 6, 1), date(2023, 6, 1), 0),
        (date(2023, 6, 2), date(2023, 6, 1), -1),
    ],
)
def test_an_age_is_in_whole_years(birth_date: date, on: date, age: int) -> None:
    assert age_on(birth_date, on) == age


@pytest.mark.parametrize(
    ("household", "vulnerable"),
    [
        (persons(member()), 0),
        (persons(member(date(2017, 6, 2))), 1),  # five, the day before the sixth birthday
        (persons(member(date(2017, 6, 1))), 0),
        (persons(member(date(1963, 6, 1))), 1),  # sixty today
        (persons(member(date(1963, 6, 2))), 0),
        (persons(member(ADULT, Condition.DISABILITY)), 1),
        (persons(member(ADULT, Condition.PREGNANCY)), 0),
        (persons(member(ADULT, Condition.HIV), consents=HEALTH), 1),
        (persons(member(ADULT, Condition.HIV)), 0),  # without consent
        (persons(member(ADULT, Condition.UNRECOGNISED)), 0),
        (persons(member(date(2022, 1, 1), Condition.DISABILITY), member(date(1950, 1, 1))), 2),
    ],
)
def test_each_vulnerable_member_counts_once(household: Persons, vulnerable: int) -> None:
    assert vulnerable_members(facts_of(household)) == vulnerable


def test_a_programme_may_count_each_condition() -> None:
    several = persons(member(date(1950, 1, 1), Condition.DISABILITY, Condition.HIV), consents=HEALTH)
    each = changed("counts: each_person_once", "counts: each_condition")
    assert vulnerable_members(facts_of(several)) == 1
    assert vulnerable_members(facts_of(several), each) == 3


def test_the_age_that_makes_a_child_is_the_programmes() -> None:
    six = facts_of(persons(member(date(2017, 6, 1))))
    assert vulnerable_members(six) == 0
    assert vulnerable_members(six, changed("age <= 5", "age <= 6")) == 1


def test_who_is_born_after_the_day_is_no_member_yet() -> None:
    found = facts_of(persons(member(), member(date(2023, 6, 2))))
    assert (found.circumstances.members, vulnerable_members(found)) == (1, 0)


def test_the_press_case_is_paid_176_000_riel_and_its_lines_add_up() -> None:
    on = date(2021, 4, 1)
    decision = decide(PROGRAMME, facts_of(PRESS_CASE, on), Occasion(on))
    assert (decision.outcome, decision.amount) == (Outcome.ELIGIBLE, 176_000)
    assert [(line.component, line.count, line.rate, line.amount) for line in decision.lines] == [
        ("household", 1, 80_000, 80_000),
        ("member", 5, 16_000, 80_000),
        ("vulnerable_member", 1, 16_000, 16_000),
    ]


@pytest.mark.parametrize("condition", [Condition.DISABILITY, Condition.HIV])
def test_a_decision_never_reveals_which_condition_counted(condition: Condition) -> None:
    def decided(household: Persons) -> str:
        return decide(PROGRAMME, facts_of(household), Occasion(ON)).model_dump_json()

    old = persons(member(date(1950, 1, 1)), consents=HEALTH)
    assert decided(persons(member(ADULT, condition), consents=HEALTH)) == decided(old)


AMOUNTS = [
    ("phnom_penh", "poor_1", 52_000, 40_000, 120_000),
    ("phnom_penh", "poor_2", 36_000, 28_000, 120_000),
    ("other_urban", "poor_1", 40_000, 40_000, 120_000),
    ("other_urban", "poor_2", 28_000, 28_000, 120_000),
    ("rural", "poor_1", 24_000, 24_000, 80_000),
    ("rural", "poor_2", 16_000, 16_000, 80_000),
]


@pytest.mark.parametrize(("area", "level", "per_member", "extra", "base"), AMOUNTS)
def test_each_area_and_level_pays_its_rates(
    area: str, level: str, per_member: int, extra: int, base: int
) -> None:
    three_vulnerable = persons(member(), *(member(date(1950, 1, day)) for day in (1, 2, 3)))
    found = facts_of(three_vulnerable, ON, Level(level), AreaType(area))
    before = decide(PROGRAMME, found, Occasion(date(2023, 12, 31)))
    after = decide(PROGRAMME, found, Occasion(date(2024, 1, 1)))
    assert before.amount == base + 4 * per_member + 3 * extra
    assert after.amount == base + 3 * extra


ADULTS = persons(member(), member(), card_expires_on=ON)
UNBORN = persons(member(date(2026, 1, 1)), card_expires_on=None)


@pytest.mark.parametrize(
    ("household", "level", "on", "reasons"),
    [
        (ADULTS, Level.POOR_1, ON, ()),
        (ADULTS, Level.POOR_1, date(2023, 6, 2), ("card-expired",)),
        (persons(card_expires_on=None), Level.POOR_1, ON, ()),
        (ADULTS, Level.AT_RISK, ON, ("level-not-covered",)),
        (ADULTS, Level.NONE, ON, ("level-not-covered",)),
        (UNBORN, Level.POOR_1, ON, ("no-members",)),
        (persons(), Level.POOR_1, date(2024, 4, 1), ("programme-not-in-force",)),
        (
            ADULTS,
            Level.NONE,
            date(2025, 1, 1),
            ("programme-not-in-force", "level-not-covered", "card-expired"),
        ),
    ],
)
def test_a_refusal_names_every_reason(
    household: Persons, level: Level, on: date, reasons: tuple[str, ...]
) -> None:
    decision = decide(PROGRAMME, facts_of(household, on, level), Occasion(on))
    assert decision.reasons == reasons
    assert (decision.outcome is Outcome.REFUSED) == bool(reasons)
    assert (decision.amount > 0) != bool(reasons)
    assert bool(decision.lines) != bool(reasons)


def test_a_programme_that_counts_nobody_has_nothing_to_pay() -> None:
    only_extra = changed("household: {count: '1',", "household: {count: '0',")
    decision = decide(only_extra, facts_of(persons(member())), Occasion(date(2024, 1, 1)))
    assert (decision.outcome, decision.reasons) == (Outcome.REFUSED, ("nothing-due",))


def test_households_that_are_alike_to_a_programme_get_the_answer_given_before() -> None:
    alike = [facts_of(persons(member(date(year, 1, 1)))) for year in (1980, 1990)]
    first, second = (decide(PROGRAMME, each, Occasion(ON)) for each in alike)
    assert first is second


def test_a_fact_of_a_person_is_read_only_where_it_is_known() -> None:
    (known,) = facts_of(persons(member(ADULT, Condition.PREGNANCY))).persons
    assert known == Person(38, female=True, pregnancy=True)
