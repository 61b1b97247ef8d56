"""Who is reached, counted by household and told without small counts."""

from collections.abc import Sequence

import pytest

from services.eligibility import coverage
from services.eligibility.coverage import Counts, Reach
from services.eligibility.facts import Circumstances, Facts, Person

MOTHER, FATHER = Person(31, female=True), Person(34, work="informal")
BABY, ELDER = Person(0), Person(60, disability=True)
FAMILY = Facts(Circumstances("poor_1", "rural", "17"), (MOTHER, FATHER, BABY))


def counted(*households: tuple[Facts, Sequence[str]]) -> Counts:
    counts: Counts = {}
    for facts, reached in households:
        coverage.add(counts, facts, reached)
    return counts


def told(counts: Counts, *programmes: Reach) -> dict[tuple[str, str], dict[str, int | None]]:
    """The report's people by dimension and group."""
    tables = coverage.report(counts, programmes)["tables"]
    assert isinstance(tables, list)
    return {(each["dimension"], row["group"]): row["people"] for each in tables for row in each["groups"]}


def test_every_member_is_counted_once_in_each_dimension() -> None:
    counts = counted((FAMILY, ()), (FAMILY._replace(persons=(ELDER,)), ()))
    for groups in counts.values():
        assert sum(cell["registered"] for cell in groups.values()) == 4
    assert counts["province"] == {"17": {"registered": 4}}
    assert counts["sex"]["male"]["registered"] == 3
    assert counts["sex"]["female"]["registered"] == 1
    assert counts["disability"]["yes"]["registered"] == 1
    assert counts["work"] == {"unknown": {"registered": 3}, "informal": {"registered": 1}}


@pytest.mark.parametrize(
    ("age", "band"),
    [(0, "0-5"), (5, "0-5"), (6, "6-17"), (17, "6-17"), (18, "18-59"), (59, "18-59"), (60, "60+")],
)
def test_ages_fall_into_the_bands_that_programmes_pay_by(age: int, band: str) -> None:
    counts = counted((FAMILY._replace(persons=(Person(age),)), ()))
    assert counts["age"] == {band: {"registered": 1}}
    assert band in coverage.GROUPS["age"]


def test_a_person_reached_by_two_programmes_is_reached_once_by_the_floor() -> None:
    counts = counted((FAMILY, ("covid", "flood")), (FAMILY, ("covid",)), (FAMILY, ()))
    assert counts["everyone"]["everyone"] == {"registered": 9, "floor": 6, "covid": 6, "flood": 3}


def test_every_group_is_told_and_small_counts_are_not() -> None:
    counts = counted(*[(FAMILY, ("covid",))] * 12, (FAMILY, ("flood",)))
    people = told(counts, Reach("covid", sensitive=False), Reach("flood", sensitive=False))
    assert people["everyone", "everyone"] == {"registered": 40, "floor": 40, "covid": 40, "flood": None}
    assert people["province", "17"] == {"registered": 40, "floor": 40, "covid": 40, "flood": None}
    assert people["province", "18"] == {"registered": None, "floor": None, "covid": None, "flood": None}
    assert people["disability", "no"]["registered"] == 40
    assert len(people) == 1 + 25 + 2 + 4 + 2 + 4


def test_a_sensitive_programme_is_told_by_its_total_alone() -> None:
    people = told(counted(*[(FAMILY, ("hiv",))] * 12), Reach("hiv", sensitive=True))
    assert people["everyone", "everyone"]["hiv"] == 40
    assert [key for key, cell in people.items() if "hiv" in cell] == [("everyone", "everyone")]


def test_the_report_says_how_it_hides() -> None:
    report = coverage.report({}, ())
    assert (report["threshold"], report["rounded_to"]) == (10, 20)
