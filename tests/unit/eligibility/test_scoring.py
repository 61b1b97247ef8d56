"""Facts counted on a day, and what the programme makes of them."""

from datetime import date

import pytest

from contracts.eligibility import Outcome
from contracts.household import AreaType, Condition, Level, Persons, Purpose
from contracts.wire import load
from services.eligibility import facts
from services.eligibility.facts import Facts, People, age_on
from services.eligibility.programmes import Parameters
from services.eligibility.scoring import decide
from tests.unit.eligibility.samples import ADULT, PRESS_CASE, PROGRAMME, member, persons

ON = date(2023, 6, 1)
USUAL = PROGRAMME.document.parameters
EACH = Parameters(
    child_age_most=5, elder_age_least=60, vulnerable_counts="each_condition", card_required=True
)
HEALTH = (Purpose.HEALTH_DATA,)


def facts_of(household: Persons, on: date, parameters: Parameters) -> Facts:
    """Counted from what is read of a household as it was sealed."""
    return facts.facts_of(load(People, household.model_dump_json().encode()), on, parameters)


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
    assert facts_of(household, ON, USUAL).vulnerable_members == vulnerable


def test_a_programme_may_count_each_condition() -> None:
    several = persons(member(date(1950, 1, 1), Condition.DISABILITY, Condition.HIV), consents=HEALTH)
    assert facts_of(several, ON, USUAL).vulnerable_members == 1
    assert facts_of(several, ON, EACH).vulnerable_members == 3
    found = facts_of(several, ON, EACH)
    assert (found.elders, found.with_disability, found.with_hiv, found.children) == (1, 1, 1, 0)


def test_who_is_born_after_the_day_is_no_member_yet() -> None:
    found = facts_of(persons(member(), member(date(2023, 6, 2))), ON, USUAL)
    assert (found.members, found.vulnerable_members) == (1, 0)


def test_the_press_case_is_paid_176_000_riel_and_its_lines_add_up() -> None:
    on = date(2021, 4, 1)
    decision = decide(PROGRAMME, facts_of(PRESS_CASE, on, USUAL), Level.POOR_2, AreaType.RURAL, on)
    assert (decision.outcome, decision.amount) == (Outcome.ELIGIBLE, 176_000)
    assert [(line.component, line.count, line.rate, line.amount) for line in decision.lines] == [
        ("household", 1, 80_000, 80_000),
        ("member", 5, 16_000, 80_000),
        ("vulnerable_member", 1, 16_000, 16_000),
    ]


@pytest.mark.parametrize("condition", [Condition.DISABILITY, Condition.HIV])
def test_a_decision_never_reveals_which_condition_counted(condition: Condition) -> None:
    def decided(household: Persons) -> str:
        found = facts_of(household, ON, USUAL)
        return decide(PROGRAMME, found, Level.POOR_1, AreaType.RURAL, ON).model_dump_json()

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
    facts = Facts(members=4, vulnerable_members=3)
    before = decide(PROGRAMME, facts, Level(level), AreaType(area), date(2023, 12, 31))
    after = decide(PROGRAMME, facts, Level(level), AreaType(area), date(2024, 1, 1))
    assert before.amount == base + 4 * per_member + 3 * extra
    assert after.amount == base + 3 * extra


ADULTS = Facts(members=2, has_card=True, card_expires_on=ON)


@pytest.mark.parametrize(
    ("facts", "level", "on", "reasons"),
    [
        (ADULTS, Level.POOR_1, ON, ()),
        (ADULTS, Level.POOR_1, date(2023, 6, 2), ("card-expired",)),
        (Facts(members=2), Level.POOR_1, ON, ()),
        (Facts(members=2), Level.AT_RISK, ON, ("level-not-covered",)),
        (Facts(members=2), Level.NONE, ON, ("level-not-covered",)),
        (Facts(members=0), Level.POOR_1, ON, ("no-members",)),
        (Facts(members=2), Level.POOR_1, date(2024, 4, 1), ("programme-not-in-force",)),
        (
            ADULTS,
            Level.NONE,
            date(2025, 1, 1),
            ("programme-not-in-force", "level-not-covered", "card-expired"),
        ),
    ],
)
def test_a_refusal_names_every_reason(facts: Facts, level: Level, on: date, reasons: tuple[str, ...]) -> None:
    decision = decide(PROGRAMME, facts, level, AreaType.RURAL, on)
    assert decision.reasons == reasons
    assert (decision.outcome is Outcome.REFUSED) == bool(reasons)
    assert (decision.amount > 0) != bool(reasons)
    assert bool(decision.lines) != bool(reasons)
