"""Counting for all programmes at once gives every household what asking one after another gives it."""

from collections.abc import Iterable
from datetime import date
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.eligibility import Outcome, ProgrammeDecision
from services.eligibility import programmes, scoring
from services.eligibility.app import FOLDER, read_programmes
from services.eligibility.census import Census
from services.eligibility.facts import Circumstances, Facts, Person
from services.eligibility.packages import Judgement, Panel
from services.eligibility.programmes import Programme
from services.eligibility.scoring import Occasion
from tests.unit.eligibility.samples import FILE, PROGRAMME

DAYS = (date(2020, 12, 1), date(2022, 12, 10), date(2023, 6, 1), date(2025, 2, 1))
NEEDS = "stacking:\n  needs: [second]\n  yields_to: [{programme: flood-supplement-wfp, until: 2022-12-10}]\n"


def again(programme_id: str, *changes: tuple[str, str]) -> Programme:
    content = FILE.read_text().replace(f"id: {PROGRAMME.id}", f"id: {programme_id}")
    for before, after in changes:
        assert before in content
        content = content.replace(before, after)
    return programmes.parse(f"{programme_id}.yaml", content.encode())


SECOND = again("second", ("age <= 5, age >= 60, disability, hiv", "age <= 5"))
THIRD = again("third", ("levels: [poor_1", f"{NEEDS}levels: [poor_1"), ("purpose: social", "purpose: other"))
SHIPPED = read_programmes(FOLDER / "programmes")
PANEL = Panel({**SHIPPED, SECOND.id: SECOND, THIRD.id: THIRD})

people = st.builds(
    partial(Person),
    age=st.sampled_from([0, 1, 5, 6, 17, 30, 59, 60]),
    female=st.booleans(),
    disability=st.booleans(),
    pregnancy=st.booleans(),
    hiv=st.booleans(),
    school=st.sampled_from(["none", "primary", "upper_secondary"]),
    attendance_percent=st.sampled_from([0, 80, 100]),
    visits_vaccination=st.integers(0, 2),
    visits_vaccination_before=st.sampled_from([0, 6, 7]),
)
households = st.builds(
    partial(Circumstances),
    level=st.sampled_from(["poor_1", "poor_2", "at_risk", "none"]),
    area=st.sampled_from(["phnom_penh", "other_urban", "rural"]),
    card_expired=st.booleans(),
    flood=st.booleans(),
)
facts = st.builds(
    lambda household, members: Facts(household._replace(members=len(members)), tuple(members)),
    households,
    st.lists(people, max_size=5),
)
orders = st.permutations(list(PANEL.programmes.values()))


@settings(max_examples=150)
@given(facts, orders, st.sampled_from(DAYS))
def test_all_programmes_at_once_decide_as_one_after_another(
    found: Facts, judged: list[Programme], on: date
) -> None:
    judgements = [Judgement(each, Occasion(on)) for each in judged]
    assert PANEL.decide(judgements, {on: found}) == tuple(one_by_one(judged, found, on))


def one_by_one(judged: Iterable[Programme], found: Facts, on: date) -> Iterable[ProgrammeDecision]:
    """Each programme asks for itself; whom an earlier one of its purpose pays for is no member to it."""
    paid: dict[str, list[Programme]] = {}
    for programme in judged:
        before = paid.setdefault(programme.document.purpose, [])
        taken = {at for each in before for at in each.pays_for(found.persons)}
        left = tuple(person for at, person in enumerate(found.persons) if at not in taken)
        seen = Facts(found.circumstances._replace(members=len(left)), left)
        made = scoring.decide(programme, seen, Occasion(on), tuple(besides(programme, found, on)))
        yield made
        if made.outcome is Outcome.ELIGIBLE:
            before.append(programme)


def besides(programme: Programme, found: Facts, on: date) -> Iterable[str]:
    stacking = programme.document.stacking
    for name in stacking.needs:
        if not entitled(PANEL.programmes[name], found, on):
            yield f"needs-{name}"
    for each in stacking.yields_to:
        if (each.until is None or on <= each.until) and entitled(PANEL.programmes[each.programme], found, on):
            yield f"yields-to-{each.programme}"


def entitled(programme: Programme, found: Facts, on: date) -> bool:
    made = scoring.decide(programme, found, Occasion(on), tuple(besides(programme, found, on)))
    return made.outcome is Outcome.ELIGIBLE


@given(facts)
def test_a_census_counts_for_each_programme_what_it_would_count_itself(found: Facts) -> None:
    every = list(PANEL.programmes.values())
    census = Census(every)
    tally = census.tally(found)
    assert [census.asked(each, tally) for each in every] == [each.asked(*found) for each in every]
