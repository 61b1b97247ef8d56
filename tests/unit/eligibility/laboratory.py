"""Households with their reports, a proposal, and a lab over them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from functools import cache
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pyarrow.parquet
from hypothesis import strategies as st

from contracts.condition import ConditionKind, ConditionReport
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
from contracts.wire import dump
from services.eligibility import library
from services.eligibility.answers import Home
from services.eligibility.app import FOLDER, read_programmes
from services.eligibility.facts import Facts, facts_of
from services.eligibility.lab import running
from services.eligibility.lab.columns import (
    EXITS,
    PERSONS,
    REPORTS,
    REVISIONS,
    SHOCKS,
    Columns,
    Readable,
    Registered,
    Rows,
    batch,
    reported,
    shock_rows,
)
from services.eligibility.lab.proposals import Proposal, propose
from services.eligibility.lab.shapes import Day
from services.eligibility.lab.store import Lab
from services.eligibility.poverty import SCORECARD
from services.eligibility.shocks import Shock
from services.eligibility.structs import read

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
    reports: tuple[ConditionReport, ...] = ()


PERSONS_NAMED = ["p", "q"]
"""So few that members share one, and that reports find somebody."""


def dates(first: date, last: date) -> st.SearchStrategy[date]:
    return st.dates(first, last) | st.sampled_from(BIRTHDAYS)


members = st.builds(
    Member,
    person_id=st.sampled_from(PERSONS_NAMED),
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
visited = st.builds(
    lambda day, earlier: day - timedelta(earlier),
    st.sampled_from(DAYS),
    st.integers(-3, 40) | st.integers(290, 330),
)
reports = st.builds(
    ConditionReport,
    reference=st.sampled_from("abcdef"),
    person_id=st.sampled_from([*PERSONS_NAMED, "nobody"]),
    kind=st.sampled_from(list(ConditionKind)[:5]),
    on=visited,
    reported_on=visited,
    attendance_percent=st.none() | st.sampled_from([79, 80]),
    babies=st.none() | st.integers(1, 3),
    withdrawn=st.sampled_from([False, False, True]),
)
households = st.builds(
    Household,
    reports=st.just(()) | st.lists(reports, max_size=12).map(tuple),
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


def facts_by_stream(of: Household, on: date) -> Facts:
    here = [each for each in STRUCK if of.commune in each.communes]
    return facts_of(of.persons, of.level, of.area, of.commune, on, reports=of.reports, shocks=here)


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
            ("report", REPORTS, list(chain.from_iterable(map(heard, told)))),
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
    return columns.read(at, said, of.registered_on, read(Home, dump(of.persons)))


def heard(told: tuple[str, int, Household, Readable]) -> list[tuple[object, ...]]:
    household_id, _, of, _ = told
    return [reported(household_id, number, each) for number, each in enumerate(of.reports, 1)]


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
