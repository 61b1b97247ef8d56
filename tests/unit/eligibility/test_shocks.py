"""Shocks: when each holds, what its file may say, and what programmes and the recomputation make of it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

import pytest

from contracts.household import Level
from contracts.model import Contract
from contracts.shock import ShockDeclared, ShockEnded, ShockKind
from contracts.topics import SHOCK_DECLARED, SHOCK_ENDED
from contracts.wire import Received, Record, decode
from services.eligibility import gazetteer, households, shock_files, shocks
from services.eligibility.app import FOLDER, read_programmes
from services.eligibility.cycles import Cycle
from services.eligibility.households import Desk, Household
from services.eligibility.packages import Panel
from services.eligibility.reading import FileRefused
from services.eligibility.shocks import Shock
from tests.unit.eligibility.samples import START, TRACE, Sealer, member, persons

SHIPPED = Panel(read_programmes(FOLDER / "programmes"))
DECEMBER, FEBRUARY = date(2022, 12, 10), date(2023, 2, 1)
HOME, ELSEWHERE = "010201", "010202"
FLOOD = Shock("flood", ShockKind.FLOOD, frozenset({HOME}), date(2022, 12, 1), date(2023, 1, 31))
GOVERNMENT, INFLATION = "flood-supplement-government", "inflation-supplement"
FILE = """name: flood-2022-12
kind: flood
communes:
- '010201'
- '010202'
dates:
  first: 2022-12-01
  last: 2023-01-31
"""
AT = datetime(2022, 12, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("shock", "on", "holds"),
    [
        (FLOOD, date(2022, 11, 30), False),
        (FLOOD, date(2022, 12, 1), True),
        (FLOOD, date(2023, 1, 31), True),
        (FLOOD, FEBRUARY, False),
        (FLOOD.end(DECEMBER), date(2022, 12, 9), True),
        (FLOOD.end(DECEMBER), DECEMBER, False),
        (FLOOD.end(FLOOD.first_day), FLOOD.first_day, False),
        (Shock("open", ShockKind.FLOOD, frozenset({HOME}), DECEMBER, None), date(2030, 1, 1), True),
    ],
)
def test_a_shock_holds_on_its_first_and_last_day_and_not_on_the_day_it_is_ended(
    shock: Shock, on: date, holds: bool
) -> None:
    assert shock.holds(on) is holds


def test_an_end_may_come_earlier_and_never_later() -> None:
    ended = FLOOD.end(DECEMBER)
    assert ended is not None
    earlier = ended.end(FLOOD.first_day)
    assert earlier is not None
    assert (earlier.version, earlier.named) == (3, "flood@3")
    assert ended.end(date(2022, 12, 20)) is None
    assert FLOOD.end(FEBRUARY) is None


def scored(level: Level, cycles: Sequence[Cycle], *declared: Shock) -> Household:
    sealer = Sealer()
    at = Desk(SHIPPED, cycles, sealer.open, shocks=declared)
    household = households.register(at, None, sealer.registered(level=level, of=persons(member(), member())))
    assert household is not None
    return household


def cycle(programme: str, day: date) -> Cycle:
    return Cycle(f"{programme}-{day:%Y-%m}", programme, f"{day:%Y-%m}", day, 1, START)


def reasons(household: Household) -> dict[str, tuple[str, ...]]:
    return {each.programme: each.reasons for each in household.scored[-1].decisions if each.cycle_id}


BOTH = [cycle(GOVERNMENT, DECEMBER), cycle(INFLATION, DECEMBER)]


@pytest.mark.parametrize(
    ("cycles", "declared", "expected"),
    [
        (BOTH, [], {GOVERNMENT: ("commune-not-flooded",), INFLATION: ()}),
        (BOTH, [FLOOD], {GOVERNMENT: (), INFLATION: (f"yields-to-{GOVERNMENT}",)}),
        (BOTH, [FLOOD.end(DECEMBER)], {GOVERNMENT: ("commune-not-flooded",), INFLATION: ()}),
        (BOTH, [FLOOD.end(date(2022, 12, 11))], {GOVERNMENT: (), INFLATION: (f"yields-to-{GOVERNMENT}",)}),
        ([cycle(INFLATION, date(2023, 4, 10))], [FLOOD], {INFLATION: ()}),
        ([cycle(GOVERNMENT, date(2023, 2, 1))], [FLOOD], {GOVERNMENT: ("commune-not-flooded",)}),
    ],
)
def test_who_is_flooded_gets_the_supplement_and_skips_the_first_inflation_payment(
    cycles: list[Cycle], declared: list[Shock], expected: dict[str, tuple[str, ...]]
) -> None:
    assert reasons(scored(Level.AT_RISK, cycles, *declared)) == expected


OTHERS = Shock("others", ShockKind.FLOOD, frozenset({ELSEWHERE}), DECEMBER, None)
AGAIN = Shock("again", ShockKind.FLOOD, frozenset({HOME}), DECEMBER, DECEMBER)


@pytest.mark.parametrize(
    ("declared", "named"),
    [
        ([], ()),
        ([OTHERS], ()),
        ([FLOOD, OTHERS], ("flood@1",)),
        ([FLOOD, AGAIN], ("again@1", "flood@1")),
        ([FLOOD.end(FEBRUARY.replace(month=1))], ("flood@2",)),
        ([FLOOD.end(DECEMBER)], ()),
    ],
)
def test_a_decision_names_the_shocks_that_held_in_its_commune_on_a_day_judged(
    declared: list[Shock], named: tuple[str, ...]
) -> None:
    household = scored(Level.AT_RISK, BOTH, *declared)
    assert household.scored[-1].shocks == named
    assert household.riel == (80_000 + 32_000 if named else 81_300 + 40_000)


JANUARY = date(2023, 1, 10)
TWO_DAYS = [cycle(GOVERNMENT, JANUARY), cycle(INFLATION, DECEMBER)]


def again(cycles: Sequence[Cycle], before: Sequence[Shock], after: Sequence[Shock]) -> Household | None:
    """Scored under some shocks, and again because of others."""
    sealer = Sealer()
    registered = sealer.registered(level=Level.AT_RISK)
    household = households.register(Desk(SHIPPED, cycles, sealer.open, shocks=before), None, registered)
    assert household is not None
    assert household.arrived is not None
    at = Desk(SHIPPED, cycles, sealer.open, shocks=after)
    return households.score_again(at, household, household.arrived, "shock")


@pytest.mark.parametrize(
    ("cycles", "before", "after", "changes"),
    [
        (BOTH, [], [FLOOD], True),
        (BOTH, [FLOOD], [FLOOD.end(DECEMBER)], True),
        (BOTH, [FLOOD], [FLOOD], False),
        (BOTH, [], [OTHERS], False),
        (BOTH, [], [FLOOD.end(DECEMBER)], False),
        (BOTH, [FLOOD], [FLOOD.end(date(2022, 12, 11))], False),
        (TWO_DAYS, [FLOOD], [FLOOD.end(JANUARY)], True),
        (TWO_DAYS, [FLOOD], [FLOOD.end(date(2023, 1, 11))], False),
    ],
)
def test_a_household_is_decided_again_only_where_a_shock_holds_otherwise_on_its_days(
    cycles: list[Cycle], before: list[Shock], after: list[Shock], changes: bool
) -> None:
    assert (again(cycles, before, after) is not None) is changes


def test_a_shocks_file_is_read() -> None:
    shock = shock_files.parse("flood.yaml", FILE.encode(), gazetteer.communes())
    assert shock == Shock(
        "flood-2022-12",
        ShockKind.FLOOD,
        frozenset({HOME, ELSEWHERE}),
        date(2022, 12, 1),
        date(2023, 1, 31),
    )


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "'010202'",
            "'010299'",
            "correct it: those of district 0102 run from 010201 (Banteay Neang) to 010213 (Ta Lam)",
        ),
        ("'010202'", "'010299'", "flood.yaml:5: no commune has the code 010299"),
        ("'010202'", "'019901'", "correct it: the districts of province 01 run from 0102 to 0110"),
        ("'010202'", "'990101'", "correct it: provinces run from 01 to 25"),
        ("'010202'", "'010201'", "flood.yaml:4: commune 010201 stands 2 times; keep one line of it"),
        ("'010202'", "010202", "flood.yaml:5: communes.1: Input should be a valid string; write it within"),
        ("'010202'", "'0102'", "flood.yaml:5: communes.1"),
        ("kind: flood", "kind: drought", "flood.yaml:2: kind: Input should be 'flood', 'inflation' or"),
        (
            "2023-01-31",
            "2022-11-30",
            "flood.yaml:7: dates: the last day is before the first; write the first",
        ),
        ("  last: 2023-01-31\n", "", "flood.yaml:7: dates.last: Field required; add it"),
        ("2023-01-31", "soon", "flood.yaml:8: dates.last"),
        ("name: flood-2022-12", "name: Flood 2022", "flood.yaml:1: name"),
        ("kind: flood", "kind: flood\nlevels: [poor_1]", "flood.yaml:3: levels: Extra inputs"),
        ("kind: flood", "kind: [", "is no YAML"),
    ],
)
def test_a_shocks_file_is_refused_with_file_line_and_remedy(before: str, after: str, said: str) -> None:
    assert before in FILE
    with pytest.raises(FileRefused) as refused:
        shock_files.parse("flood.yaml", FILE.replace(before, after).encode(), gazetteer.communes())
    assert said in str(refused.value)


def heard(record: Record, contract: type[Contract]) -> Received[Contract]:
    return decode(contract, record.topic, record.key, record.value, record.headers)


def test_what_was_told_of_a_shock_gives_it_back_as_a_decision_names_it() -> None:
    ended = FLOOD.end(DECEMBER)
    assert ended is not None
    earlier = ended.end(FLOOD.first_day)
    assert earlier is not None
    told = [heard(shocks.told(FLOOD, "Sokha", AT, TRACE), ShockDeclared)]
    ends = [heard(shocks.told(each, "Sokha", AT, TRACE), ShockEnded) for each in (ended, earlier)]
    for each in (FLOOD, ended, earlier):
        assert shocks.as_told(told, ends, each.named) == each  # type: ignore[arg-type]
    assert shocks.as_told(told, ends[1:], earlier.named) is None  # type: ignore[arg-type]
    for unknown in ("other@1", "flood@4", "flood", "flood@0", "flood@x"):
        assert shocks.as_told(told, ends, unknown) is None  # type: ignore[arg-type]
    assert [each.type for each in (*told, *ends)] == [SHOCK_DECLARED.name, *[SHOCK_ENDED.name] * 2]
