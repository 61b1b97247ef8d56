"""Reports, milestones and appeals as rules: what counts when, which days matter, what is set aside."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.appeal import Ruling, Verdict
from contracts.condition import ConditionKind, ConditionReport
from contracts.eligibility import Outcome
from contracts.household import AreaType, Condition, Level, Sex
from contracts.milestone import MilestoneKind
from services.eligibility import conditions, library, milestones
from services.eligibility.app import FOLDER, read_programmes
from services.eligibility.appeals import FIRM, Appeal, Waiver, waiver
from services.eligibility.facts import Member, People, facts_of
from services.eligibility.milestones import Notice, birthdays_that_matter
from services.eligibility.scoring import Occasion, decide
from services.eligibility.store_library import Archived
from services.eligibility.structs import read
from tests.unit.eligibility.samples import JUNE, PROGRAMME, changed, member, persons

VISIT = ConditionReport(
    reference="1",
    person_id="p",
    kind=ConditionKind.VACCINATION,
    on=date(2025, 3, 28),
    reported_on=date(2025, 3, 30),
)


def report(**changes: object) -> ConditionReport:
    return VISIT.model_copy(update=changes)


@pytest.mark.parametrize(
    ("reports", "counted"),
    [
        ([VISIT], {3: 1, 4: 0}),
        ([report(reported_on=date(2025, 4, 2))], {3: 0, 4: 1}),
        ([VISIT, report()], {3: 1}),
        ([VISIT, report(reference="2")], {3: 2}),
        ([VISIT, report(on=date(2025, 4, 1))], {3: 0, 4: 1}),
        ([VISIT, report(withdrawn=True)], {3: 0, 4: 0}),
        ([report(withdrawn=True), VISIT], {3: 1}),
    ],
    ids=["its month", "late", "same key", "two", "corrected", "withdrawn", "reported again"],
)
def test_a_visit_counts_in_one_month_only(reports: list[ConditionReport], counted: dict[int, int]) -> None:
    found = {
        month: conditions.observed(reports, date(2025, month, 1)).visits.get(ConditionKind.VACCINATION, 0)
        for month in counted
    }
    assert found == counted


def antenatal(*days: date, **changes: object) -> list[ConditionReport]:
    return [
        report(
            reference=f"a-{day}", kind=ConditionKind.ANTENATAL_VISIT, on=day, **{"reported_on": day} | changes
        )
        for day in days
    ]


FIVE = [date(2025, 2, 20), date(2025, 3, 2), date(2025, 3, 20), date(2025, 4, 2), date(2025, 4, 20)]
DELIVERED = report(reference="d", kind=ConditionKind.DELIVERY, on=date(2025, 3, 25))


@pytest.mark.parametrize(
    ("reports", "now_and_before"),
    [
        (antenatal(*FIVE), (2, 3)),
        (antenatal(*FIVE, person_id="another"), (0, 0)),
        ([*antenatal(*FIVE), DELIVERED], (2, 0)),
        ([*antenatal(*FIVE), report(reference="d", kind=ConditionKind.DELIVERY, on=FIVE[-1])], (2, 3)),
        (antenatal(date(2024, 6, 1), *FIVE), (2, 3)),
        (antenatal(*FIVE[:3], reported_on=date(2025, 4, 25)), (3, 0)),
        (antenatal(*FIVE, withdrawn=True), (0, 0)),
    ],
    ids=["one pregnancy", "of another", "after a birth", "that birth ends", "long ago", "late", "withdrawn"],
)
def test_antenatal_visits_are_numbered_within_a_pregnancy(
    reports: list[ConditionReport], now_and_before: tuple[int, int]
) -> None:
    found = conditions.observed(reports, date(2025, 4, 30)).visits_of.get("p", conditions.NO_VISITS)
    assert (found.visits_antenatal, found.visits_antenatal_before) == now_and_before


def test_visits_after_a_birth_are_numbered_from_that_birth_on() -> None:
    months = [report(reference=str(month), on=date(2025, month, 26)) for month in (1, 2, 3, 4)]
    late = [each.model_copy(update={"reported_on": each.on}) for each in months]
    without = conditions.observed(late, date(2025, 4, 30)).visits_of["p"]
    since_birth = conditions.observed([*late, DELIVERED], date(2025, 4, 30)).visits_of["p"]
    assert (without.visits_vaccination, without.visits_vaccination_before) == (1, 3)
    assert (since_birth.visits_vaccination, since_birth.visits_vaccination_before) == (1, 1)


def test_the_fifth_visit_of_a_pregnancy_is_not_paid() -> None:
    mother = member().model_copy(update={"person_id": "p", "conditions": (Condition.PREGNANCY,)})
    programme = read_programmes(FOLDER / "programmes")["pregnancy-and-children-under-2"]

    def riel(month: int) -> int:
        on = date(2025, month, 28)
        facts = facts_of(
            persons(mother), Level.POOR_1, AreaType.RURAL, "010201", on, reports=antenatal(*FIVE)
        )
        return decide(programme, facts, Occasion(on)).amount

    assert [riel(month) for month in (2, 3, 4, 5)] == [80_000, 160_000, 80_000, 0]


def test_twins_are_two_deliveries() -> None:
    twins = report(kind=ConditionKind.DELIVERY, babies=2)
    facts = facts_of(persons(), Level.POOR_1, AreaType.RURAL, "010201", date(2025, 3, 1), reports=[twins])
    assert facts.circumstances.deliveries == 2


@pytest.mark.parametrize(("on", "percent"), [(30, 0), (31, 70)])
def test_attendance_counts_from_the_terms_last_day_on(on: int, percent: int) -> None:
    term = report(kind=ConditionKind.ATTENDANCE, on=date(2025, 3, 31), attendance_percent=70)
    assert conditions.observed([term], date(2025, 3, on)).attendance.get("p", 0) == percent


@pytest.mark.parametrize(
    ("rule", "ages"),
    [
        ("age <= 5", {0, 6}),
        ("age < 5 && female", {0, 5}),
        ("age >= 60", {0, 60}),
        ("age > 17 || disability", {0, 18}),
        ("age == 3", {0, 3, 4}),
        ("disability", {0}),
    ],
)
def test_the_birthdays_that_matter_are_those_a_programme_asks_for(rule: str, ages: set[int]) -> None:
    programme = changed("[age <= 5, age >= 60, disability, hiv]", f"['{rule}']")
    assert set(birthdays_that_matter([programme])) == ages


def test_where_age_is_asked_for_otherwise_every_birthday_matters() -> None:
    assert len(birthdays_that_matter([changed("age <= 5", "'age in [3, 4]'")])) == 121


def test_a_households_days_are_known_ahead() -> None:
    people = persons(member(date(2020, 2, 29)), card_expires_on=date(2026, 2, 10))
    found = milestones.ahead(
        read(People, people.model_dump_json().encode()),
        date(2025, 1, 1),
        date(2025, 1, 1),
        birthdays_that_matter([PROGRAMME]),
        Notice(),
    )
    assert [(str(each.day), each.kind, str(each.due_on or "")) for each in found] == [
        ("2026-01-11", MilestoneKind.CARD_EXPIRING, "2026-02-10"),
        ("2026-02-11", MilestoneKind.CIRCUMSTANCES_CHANGED, ""),
        ("2026-03-01", MilestoneKind.CIRCUMSTANCES_CHANGED, ""),
        ("2028-01-01", MilestoneKind.RECERTIFICATION_DUE, "2028-01-01"),
        ("2080-02-29", MilestoneKind.CIRCUMSTANCES_CHANGED, ""),
    ]


DAYS = st.dates(date(2020, 1, 1), date(2022, 1, 1))


@given(st.lists(DAYS, min_size=2, max_size=4), DAYS)
def test_the_day_that_is_kept_is_the_first_of_those_ahead(born: list[date], after: date) -> None:
    people = People(members=tuple(Member(birth_date=each, sex=Sex.FEMALE) for each in born))
    known = (people, after, after, birthdays_that_matter([PROGRAMME]), Notice())
    assert milestones.next_day(*known) == milestones.ahead(*known)[0].day


RULING = Ruling(
    programme=PROGRAMME.id,
    cycle_id="c",
    waived=("card-expired",),
    why="late",
    stands_until=date(2023, 12, 31),
)
OVERTURNED = Appeal(1, "a-1", 2, Verdict.OVERTURNED, RULING)


@pytest.mark.parametrize(
    ("appeals", "revision", "cycle", "on", "stands"),
    [
        ([OVERTURNED], 2, "c", JUNE, True),
        ([OVERTURNED], 3, "c", JUNE, False),
        ([OVERTURNED], 2, "d", JUNE, False),
        ([OVERTURNED], 2, "c", date(2024, 1, 1), False),
        ([OVERTURNED._replace(verdict=Verdict.UPHELD)], 2, "c", JUNE, False),
        ([OVERTURNED, OVERTURNED._replace(number=2, verdict=Verdict.UPHELD)], 2, "c", JUNE, False),
    ],
    ids=["stands", "next revision", "another cycle", "ran out", "upheld", "a later one upheld"],
)
def test_an_appeal_stands_for_one_revision_and_cycle_until_its_day(
    appeals: list[Appeal], revision: int, cycle: str, on: date, stands: bool
) -> None:
    assert (waiver(appeals, revision, PROGRAMME.id, cycle, on) is not None) == stands


def test_an_appeal_pays_by_the_programmes_rates_and_only_where_it_names_every_reason() -> None:
    expired = persons(member(), card_expires_on=date(2023, 1, 1))
    facts = facts_of(expired, Level.POOR_2, AreaType.RURAL, "010201", JUNE)
    set_aside = Waiver("a-1", frozenset({"card-expired"}))
    paid = decide(PROGRAMME, facts, Occasion(JUNE), (), set_aside)
    assert (paid.outcome, paid.amount, paid.appeal_id) == (Outcome.ELIGIBLE, 96_000, "a-1")
    assert paid.reasons == ("overturned-on-appeal", "card-expired")
    refused = decide(PROGRAMME, facts, Occasion(JUNE), ("registered-too-late",), set_aside)
    assert (refused.outcome, refused.appeal_id) == (Outcome.REFUSED, None)


def test_no_appeal_invents_a_rate() -> None:
    everything = OVERTURNED._replace(ruling=RULING.model_copy(update={"waived": tuple(FIRM)}))
    found = waiver([everything], 2, PROGRAMME.id, "c", JUNE)
    assert found is not None
    assert found.reasons == frozenset()


def test_a_changed_file_is_refused_with_line_and_remedy() -> None:
    before = Archived(PROGRAMME.hash, PROGRAMME.content)
    after = changed("riel: 120_000", "riel: 130_000")
    line = 1 + PROGRAMME.content.splitlines().index(
        next(each for each in PROGRAMME.content.splitlines() if b"120_000" in each)
    )
    said = library.refusal(after, before)
    assert said.startswith(f"{PROGRAMME.id}.yaml:{line}: ")
    assert f"replaces: {PROGRAMME.hash}" in said
