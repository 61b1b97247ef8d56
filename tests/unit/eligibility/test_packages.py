"""Every programme at once: what stands beside what, who is counted once, and what travels sealed."""

from datetime import UTC, date, datetime
from functools import partial

import pytest

from contracts.eligibility import SEALED_TOGETHER, EligibilityScored, SensitiveDecisions
from contracts.household import AreaType, Condition, Level, Persons, Purpose, School, SchoolLevel
from contracts.topics import ELIGIBILITY_SCORED
from contracts.wire import Record, load
from services.eligibility import events, households, programmes
from services.eligibility.app import FOLDER, read_programmes
from services.eligibility.cycles import Cycle
from services.eligibility.facts import facts_of
from services.eligibility.households import Desk, Household
from services.eligibility.packages import Judgement, Panel
from services.eligibility.programmes import Programme
from services.eligibility.scoring import Occasion
from tests.unit.eligibility.samples import ADULT, CYCLE, FILE, JUNE, PROGRAMME, START, Sealer, member, persons

SHIPPED = Panel(read_programmes(FOLDER / "programmes"))
MAY = date(2025, 5, 1)
OLD = date(1950, 1, 1)


def again(programme_id: str, *changes: tuple[str, str]) -> Programme:
    """The COVID-19 programme under another id, with its file changed."""
    content = FILE.read_text().replace(f"id: {PROGRAMME.id}", f"id: {programme_id}")
    for before, after in changes:
        assert before in content
        content = content.replace(before, after)
    return programmes.parse(f"{programme_id}.yaml", content.encode())


def decided(household: Persons, *judgements: Judgement) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Amount and reasons by programme, for a rural household of level Poor 2."""
    panel = Panel({each.programme.id: each.programme for each in judgements})
    days = {each.occasion.as_of for each in judgements}
    facts = {day: facts_of(household, Level.POOR_2, AreaType.RURAL, "010201", day) for day in days}
    return {each.programme: (each.amount, each.reasons) for each in panel.decide(judgements, facts)}


NO_HOUSEHOLD_AMOUNT = ("household: {count: '1',", "household: {count: '0',")
NO_MEMBER_AMOUNT = ("member: {count: members,", "member: {count: '0',")
OTHER_PURPOSE = ("purpose: social-transfer", "purpose: elder-support")


def test_a_person_is_counted_once_for_one_purpose_across_programmes() -> None:
    first = Judgement(PROGRAMME, Occasion(JUNE))
    second = Judgement(again("second"), Occasion(JUNE))
    family = persons(member(), member(OLD))
    assert decided(family, first, second) == {
        PROGRAMME.id: (80_000 + 2 * 16_000 + 16_000, ()),
        "second": (0, ("no-members",)),
    }
    other = Judgement(again("second", OTHER_PURPOSE), Occasion(JUNE))
    assert decided(family, first, other)["second"] == (128_000, ())


def test_only_those_an_earlier_programme_pays_for_are_taken() -> None:
    for_elders = again("first", NO_HOUSEHOLD_AMOUNT, NO_MEMBER_AMOUNT, ("age <= 5, ", ""))
    family = persons(member(), member(OLD), member(date(2020, 1, 1)))
    found = decided(family, Judgement(for_elders, Occasion(JUNE)), Judgement(PROGRAMME, Occasion(JUNE)))
    assert found["first"] == (16_000, ())
    assert found[PROGRAMME.id] == (80_000 + 2 * 16_000 + 16_000, ())


def test_who_is_refused_by_a_programme_may_be_counted_by_the_next() -> None:
    refusing = again("first", ("members > 0", "members > 5"))
    found = decided(
        persons(member()), Judgement(refusing, Occasion(JUNE)), Judgement(PROGRAMME, Occasion(JUNE))
    )
    assert found == {"first": (0, ("no-members",)), PROGRAMME.id: (96_000, ())}


@pytest.mark.parametrize(("days_late", "reasons"), [(0, ()), (30, ()), (31, ("registered-too-late",))])
def test_a_household_registered_long_after_the_reference_date_is_too_late_where_the_file_says(
    days_late: int, reasons: tuple[str, ...]
) -> None:
    strict = again("strict", ("backdating_days: null", "backdating_days: 30"))
    found = decided(persons(member()), Judgement(strict, Occasion(JUNE, CYCLE, "2023-06"), days_late))
    assert found["strict"][1] == reasons


@pytest.mark.parametrize(("period", "reasons"), [("2023-04", ()), ("2023-05", ("not-due",)), (None, ())])
def test_a_programme_paid_on_dates_is_due_in_their_months(
    period: str | None, reasons: tuple[str, ...]
) -> None:
    dated = again("dated", ("frequency: monthly", "frequency: on_dates\ndates: [2022-12-10, 2023-04-10]"))
    found = decided(persons(member()), Judgement(dated, Occasion(JUNE, period and "cycle", period)))
    assert found["dated"][1] == reasons


PUPIL = member(date(2015, 1, 1)).model_copy(
    update={"school": School(level=SchoolLevel.PRIMARY, attendance_percent=90)}
)
WITH_HIV = persons(member(ADULT, Condition.HIV), PUPIL, consents=(Purpose.HEALTH_DATA,))


def scored(sealer: Sealer, of: Persons, *cycles: Cycle) -> tuple[Household, Record]:
    minutes = (datetime(2025, 5, 1, 12, tzinfo=UTC) - START).total_seconds() // 60
    registered = sealer.registered(of=of, minute=int(minutes))
    household = households.register(Desk(SHIPPED, cycles, sealer.open), None, registered)
    assert household is not None
    (record,) = events.of_households([household], sealer.keys, START)
    return household, record


def cycle_of(programme_id: str) -> Cycle:
    return Cycle(f"{programme_id}-2025-05", programme_id, "2025-05", MAY, 1, START)


HIV_CYCLE, PREGNANCY_CYCLE = cycle_of("family-package-hiv"), cycle_of("pregnancy-and-children-under-2")


def test_every_programme_in_force_is_decided_at_once() -> None:
    household, _ = scored(Sealer(), WITH_HIV, HIV_CYCLE, PREGNANCY_CYCLE)
    (one,) = household.scored
    assert {each.programme: each.amount for each in (*one.decisions, *one.made.sensitive)} == {
        "family-package-students": 20_000,
        "family-package-hiv": 28_000,
        "pregnancy-and-children-under-2": 0,
    }
    assert {each.as_of for each in one.decisions} == {MAY}


def test_sensitive_programmes_are_decided_for_a_cycle_only() -> None:
    household, told = scored(Sealer(), WITH_HIV)
    assert household.scored[0].made.sensitive == ()
    assert load(EligibilityScored, told.value).sensitive is None


def test_a_cycle_that_pays_sensitive_programmes_together_has_all_of_them_decided() -> None:
    together = cycle_of(SEALED_TOGETHER)
    household, told = scored(Sealer(), WITH_HIV, together)
    (one,) = household.scored
    decided = {each.programme: each for each in one.made.sensitive}
    drafts = {name for name, each in SHIPPED.programmes.items() if each.document.draft}
    assert decided.keys() == SHIPPED.sensitive - drafts
    assert {each.cycle_id for each in one.made.sensitive} == {together.cycle_id}
    assert decided["family-package-hiv"].amount == 28_000
    assert SEALED_TOGETHER.encode() + b"-2025-05" not in told.value


def test_a_cycle_of_one_programme_leaves_the_others_to_the_day() -> None:
    cycle = Cycle(CYCLE, PROGRAMME.id, "2023-06", JUNE, 1, START)
    household, _ = scored(Sealer(), WITH_HIV, cycle)
    (one,) = household.scored
    assert {each.programme: (each.cycle_id, each.as_of) for each in one.decisions} == {
        PROGRAMME.id: (CYCLE, JUNE),
        "family-package-students": (None, MAY),
    }
    assert (household.riel, household.in_cycle) == (80_000 + 2 * 16_000 + 16_000, True)


def test_decisions_of_sensitive_programmes_travel_sealed_and_all_alike() -> None:
    sealer = Sealer()
    concerned, told = scored(sealer, WITH_HIV, HIV_CYCLE, PREGNANCY_CYCLE)
    _, as_others = scored(Sealer(), persons(member(), PUPIL), HIV_CYCLE, PREGNANCY_CYCLE)
    for word in (b"hiv", b"HIV", b"pregnan", b"28000"):
        assert word not in told.value
    said = load(EligibilityScored, told.value)
    assert [each.programme for each in said.decisions] == ["family-package-students"]
    assert said.sensitive is not None
    other = load(EligibilityScored, as_others.value).sensitive
    assert other is not None
    assert len(other.blob) == len(said.sensitive.blob)
    known_as = dict(told.headers)["ce_id"].decode()
    open_as = partial(sealer.keys.open, said.sensitive.key_id, said.sensitive.blob, event_id=known_as)
    opened = load(SensitiveDecisions, open_as(event_type=events.SENSITIVE_TYPE))
    assert opened.decisions == concerned.scored[0].made.sensitive
    with pytest.raises(Exception, match="seal"):
        open_as(event_type=ELIGIBILITY_SCORED.name)


def test_what_a_sensitive_programme_pays_is_not_in_the_households_row() -> None:
    household, _ = scored(Sealer(), WITH_HIV, HIV_CYCLE)
    assert (household.riel, household.in_cycle) == (20_000, False)
