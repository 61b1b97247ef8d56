"""The lab decides a household as the stream does, and tells no more than it may."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.eligibility import Outcome
from contracts.household import (
    AreaType,
    Condition,
    EquityCard,
    Level,
    Member,
    Persons,
    Purpose,
    Relation,
    School,
    SchoolLevel,
    Sex,
    Work,
)
from contracts.sealed import Sealed
from contracts.shock import ShockKind
from contracts.wire import dump, load
from services.eligibility import library
from services.eligibility.app import FOLDER, read_programmes
from services.eligibility.facts import facts_of
from services.eligibility.lab import running, telling
from services.eligibility.lab.columns import (
    EXITS,
    PERSONS,
    REVISIONS,
    SHOCKS,
    Columns,
    Everyone,
    Readable,
    Registered,
    Rows,
    batch,
    shock_rows,
)
from services.eligibility.lab.proposals import Proposal, propose
from services.eligibility.lab.shapes import Day
from services.eligibility.lab.store import Lab
from services.eligibility.packages import Judgement
from services.eligibility.poverty import SCORECARD
from services.eligibility.reading import FileRefused
from services.eligibility.scoring import Occasion
from services.eligibility.shocks import Shock

CURRENT = read_programmes(FOLDER / "programmes")
COVID = (FOLDER / "programmes" / "covid-19-cash-transfer.yaml").read_text()
DAYS = (date(2020, 12, 1), date(2022, 12, 10), date(2023, 2, 28), date(2024, 2, 29), date(2025, 2, 1))
ENDS = date(2026, 1, 1)
BIRTHDAYS = [
    date(day.year - age, day.month, day.day) + timedelta(days=late)
    for day in DAYS
    for age in (4, 16, 60)
    for late in (0, 1)
]
"""Who is born then has a birthday on a day judged, or on the day after."""

# A purpose paid twice, a need, a programme that gives way, a limit on who registers late, a draft.
PROPOSED = {
    "covid-19-cash-transfer.yaml": COVID.replace("riel: 120_000", "riel: 150_000"),
    "children.yaml": """
id: children
name: {en: Children, km: កុមារ}
purpose: social-transfer
frequency: monthly
sensitive: false
draft: true
currency: KHR
reference_date: cycle
backdating_days: 100
stacking:
  needs: [covid-19-cash-transfer]
  yields_to: [{programme: family-package-students, until: 2024-02-29}]
levels: [poor_1, poor_2]
persons:
  child: {any_of: [age < 18 && work != 'formal', disability], counts: each_condition}
conditions:
  - {reason: too-few, holds: 'members > 1 && province != "12"', en: more than one, km: ច្រើនជាងមួយ}
lines:
  child: {count: child, en: for each child, km: សម្រាប់កុមារ}
sources: {us: https://example.org}
versions:
  - valid_from: 2020-01-01
    valid_to: null
    dates: inferred
    components: [child]
    rates: [{component: child, riel: 10_000, evidence: inferred, source: [us]}]
examples:
  - name: one
    as_of: 2020-12-01
    household: {area: rural, level: poor_1}
    persons: [{age: 30}, {age: 3}]
    refused: [needs-covid-19-cash-transfer]
""",
    "grant.yaml": COVID.replace("id: covid-19-cash-transfer", "id: grant")
    .replace("frequency: monthly", "frequency: one_off")
    .replace("purpose: social-transfer", "purpose: grant"),
}


STRUCK = (
    Shock("open", ShockKind.FLOOD, frozenset({"010201"}), DAYS[1], None),
    Shock("long", ShockKind.FLOOD, frozenset({"010201", "240101"}), DAYS[0], DAYS[1]),
    Shock("ended", ShockKind.FLOOD, frozenset({"120101"}), DAYS[0], None, version=2, ended_on=DAYS[1]),
    Shock("locked", ShockKind.LOCKDOWN, frozenset({"120101"}), DAYS[0], DAYS[2]),
)


class Household(NamedTuple):
    commune: str
    area: AreaType
    level: Level
    registered_on: date
    persons: Persons


def dates(first: date, last: date) -> st.SearchStrategy[date]:
    return st.dates(first, last) | st.sampled_from(BIRTHDAYS)


members = st.builds(
    Member,
    person_id=st.just("p"),
    name_km=st.just("សុខ"),
    name_latin=st.just("Sok"),
    sex=st.sampled_from([Sex.FEMALE, Sex.MALE]),
    birth_date=dates(date(1930, 1, 1), ENDS) | st.sampled_from([date(2004, 2, 29), date(1960, 2, 29)]),
    relation=st.sampled_from([Relation.HEAD, Relation.CHILD]),
    conditions=st.lists(st.sampled_from(list(Condition)[:4]), unique=True, max_size=2).map(tuple),
    school=st.none()
    | st.builds(
        School,
        level=st.sampled_from(list(SchoolLevel)[:3]),
        attendance_percent=st.none() | st.sampled_from([79, 80, 100]),
    ),
    work=st.none() | st.sampled_from(list(Work)[:3]),
)
households = st.builds(
    Household,
    commune=st.sampled_from(["010201", "120101", "240101"]),
    area=st.sampled_from(list(AreaType)[:3]),
    level=st.sampled_from(list(Level)[:4]),
    registered_on=st.sampled_from([date(2019, 1, 1), *DAYS, date(2021, 3, 11), ENDS]),
    persons=st.builds(
        Persons,
        members=st.lists(members, min_size=1, max_size=6).map(tuple),
        village=st.just("01020101"),
        equity_card=st.none()
        | st.builds(EquityCard, number=st.just("1"), expires_on=st.none() | st.sampled_from(DAYS)),
        consents=st.sampled_from([(), (Purpose.HEALTH_DATA,)]),
    ),
)


@cache
def proposal() -> Proposal:
    return propose(CURRENT, {file: text.encode() for file, text in PROPOSED.items()})


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(households, min_size=1, max_size=40))
def test_columns_give_every_household_what_the_stream_gives_it(everybody: list[Household]) -> None:
    with laboratory(everybody, shocks=STRUCK) as lab:
        before = frozenset[tuple[str, str]]()
        for on in DAYS:
            day = Day(proposal(), on, before)
            running.decide(lab, day)
            expected = {f"h-{at}": by_stream(each, day) for at, each in enumerate(everybody)}
            assert lab.riel() == expected
            before = day.paid_once


def by_stream(household: Household, day: Day) -> tuple[int, int]:
    """Riel on either side, one household at a time, with the stream's own facts and package."""
    on = day.on
    home = (household.level, household.area, household.commune)
    here = [each for each in STRUCK if household.commune in each.communes]
    facts = {on: facts_of(household.persons, *home, on, shocks=here)}
    days_late = max(0, (household.registered_on - on).days)
    found = []
    for side, panel in (("current", day.proposal.current), ("proposed", day.proposal.proposed)):
        judgements = [
            Judgement(each, Occasion(on, None, f"{on:%Y-%m}"), days_late)
            for name, each in panel.programmes.items()
            if each.in_force(on) and (side, name) not in day.paid_before
        ]
        made = panel.decide(judgements, facts)
        found.append(sum(each.amount for each in made if each.outcome is Outcome.ELIGIBLE))
    return found[0], found[1]


@contextmanager
def laboratory(
    everybody: Sequence[Household],
    registered: Sequence[tuple[str, int, Household, Readable]] = (),
    exits: Sequence[tuple[str, int, date]] = (),
    shocks: Sequence[Shock] = (),
) -> Iterator[Lab]:
    """A lab over households `h-0`, `h-1` and so on, and over what else was registered: id, revision, what."""
    columns = Columns(library.scorecards(FOLDER / "scorecards")[SCORECARD], ENDS)
    told = [*((f"h-{at}", 1, each, Readable.READ) for at, each in enumerate(everybody)), *registered]
    rows = [row(columns, at, each) for at, each in enumerate(told)]
    with TemporaryDirectory() as folder:
        for table, schema, found in (
            ("revision", REVISIONS, [each.revision for each in rows]),
            ("person", PERSONS, [person for each in rows for person in each.persons]),
            ("exit", EXITS, list(exits)),
            ("shock", SHOCKS, shock_rows(shocks)),
        ):
            (Path(folder) / table).mkdir()
            columnar = pyarrow.Table.from_batches([batch(schema, found)])
            pyarrow.parquet.write_table(columnar, Path(folder) / table / "0.parquet")
        yield Lab(Path(folder), threads=1)


def row(columns: Columns, at: int, told: tuple[str, int, Household, Readable]) -> Rows:
    household_id, revision, of, why = told
    said = Registered(
        household_id=household_id,
        revision=revision,
        commune=of.commune,
        area_type=of.area,
        level=of.level,
        persons=Sealed(key_id="k", blob=b"0" * 29),
    )
    if why is not Readable.READ:
        return columns.unread(at, said, of.registered_on, why)
    return columns.read(at, said, of.registered_on, load(Everyone, dump(of.persons)))


def rural(registered_on: date = date(2019, 1, 1), level: Level = Level.POOR_1) -> Household:
    """A woman of thirty in 2020, with a card that does not expire."""
    woman = Member(
        person_id="p",
        name_km="សុខ",
        name_latin="Sok",
        sex=Sex.FEMALE,
        birth_date=date(1990, 5, 1),
        relation=Relation.HEAD,
    )
    persons = Persons(members=(woman,), village="01020101", equity_card=EquityCard(number="1"))
    return Household("010201", AreaType.RURAL, level, registered_on, persons)


def judged(lab: Lab, on: date) -> Mapping[str, tuple[int, int]]:
    running.decide(lab, Day(proposal(), on))
    return lab.riel()


def report_of(lab: Lab, days: Sequence[date], of: Proposal | None = None) -> Any:
    """The report as a program reads it."""
    return json.loads(json.dumps(running.judge(lab, of or proposal(), days, lambda *_: None)))


def test_a_household_is_as_it_was_registered_last_by_the_day() -> None:
    registered = [
        ("h", 1, rural(date(2020, 11, 1)), Readable.READ),
        ("h", 2, rural(date(2022, 12, 10), Level.POOR_2), Readable.READ),
        ("h", 2, rural(date(2022, 12, 10), Level.POOR_2), Readable.READ),  # published again
        ("late", 1, rural(ENDS), Readable.READ),
    ]
    poor_1, poor_2 = 80_000 + 24_000, 80_000 + 16_000
    with laboratory([], registered) as lab:
        for on, expected in (
            (date(2020, 12, 1), poor_1),
            (date(2022, 12, 9), poor_1),
            (date(2022, 12, 10), poor_2),
        ):
            found = {name: current for name, (current, _) in judged(lab, on).items()}
            assert found == {"h": expected, "late": poor_1}


def test_who_left_by_the_day_is_judged_no_more_unless_registered_again() -> None:
    registered = [
        ("gone", 1, rural(), Readable.READ),
        ("back", 1, rural(), Readable.READ),
        ("back", 2, rural(date(2022, 12, 10)), Readable.READ),
    ]
    exits = [("gone", 1, date(2022, 1, 1)), ("back", 1, date(2022, 1, 1))]
    with laboratory([], registered, exits) as lab:
        days = (date(2021, 12, 31), date(2022, 1, 1), date(2022, 12, 10))
        assert [set(judged(lab, on)) for on in days] == [{"gone", "back"}, set(), {"back"}]


def test_who_could_not_be_read_is_counted_and_not_dropped() -> None:
    why = [Readable.FORGOTTEN, Readable.KEY_MISSING, Readable.KEY_MISSING, Readable.BROKEN]
    with laboratory([rural()], [(f"u-{at}", 1, rural(), each) for at, each in enumerate(why)]) as lab:
        (day,) = report_of(lab, [DAYS[0]])["days"]
    assert day["unread"] == {"forgotten": 1, "key_missing": 2, "broken": 1}


def test_a_one_off_payment_is_counted_on_the_first_day_alone() -> None:
    with laboratory([rural() for _ in range(40)]) as lab:
        first, second = report_of(lab, [date(2020, 12, 1), date(2021, 1, 1)])["days"]
    monthly = 40 * (80_000 + 24_000)
    assert (first["proposed"]["riel"], second["proposed"]["riel"]) == (2 * monthly, monthly)


def test_nobody_is_recognised_by_what_is_told() -> None:
    nine = [rural(level=Level.NONE) for _ in range(9)]
    with laboratory([rural() for _ in range(31)] + nine) as lab:
        report = report_of(lab, [DAYS[0]])
        levels = next(each for each in report["tables"] if each["dimension"] == "level")
        few, many = levels["groups"]
        assert (few["group"], few["households"], few["current"]["riel"]) == ("none", None, None)
        assert (many["households"], many["current"]["riel"]) == (40, 40 * 104_000)
        hiv = propose(CURRENT, {"h.yaml": (FOLDER / "programmes" / "family-package-hiv.yaml").read_bytes()})
        assert [each["dimension"] for each in report_of(lab, [DAYS[0]], hiv)["tables"]] == ["everyone"]


def test_errors_of_targeting_are_ranges() -> None:
    sums = {
        "poor_lowest": 40.0,
        "poor_highest": 80.0,
        "current_households": 100,
        "current_poor_lowest": 30.0,
        "current_poor_highest": 60.0,
    }
    found = telling.targeting(sums)["current"]
    # Of 40 to 80 poor, 10 are missed at least and 20 at most; of 100 reached, 40 to 70 are not poor.
    assert found == {"poor_reached": [40, 60], "exclusion_percent": [14, 40], "inclusion_percent": [40, 70]}


CHILDREN = PROPOSED["children.yaml"]


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        (
            CHILDREN.replace("age < 18", "aeg < 18"),
            r"children.yaml:\d+: persons.child.any_of.0: .*correct it",
        ),
        (
            CHILDREN.replace("[covid-19-cash-transfer]", "[nobody]"),
            "nobody is no programme; correct its name",
        ),
        (CHILDREN.replace("riel: 10_000", "riel: 10_050"), r"children.yaml:\d+: .*multiples of 100 riel"),
        ("id: [", r"children.yaml:\d: is no YAML"),
    ],
)
def test_a_proposal_that_does_not_compile_is_refused_with_line_and_remedy(text: str, refused: str) -> None:
    with pytest.raises(FileRefused, match=refused):
        propose(CURRENT, {"children.yaml": text.encode()})


def test_a_draft_counts_as_in_force_unless_a_rate_is_missing() -> None:
    draft = propose(CURRENT, {"children.yaml": CHILDREN.encode()})
    assert draft.proposed.programmes["children"].in_force(DAYS[0])
    lacking = propose(CURRENT, {"p.yaml": (FOLDER / "programmes" / "family-package.yaml").read_bytes()})
    assert not lacking.proposed.programmes["family-package"].in_force(DAYS[-1])
    assert "rate of elder" in "".join(lacking.notes)
