"""What sample households are drawn from is what the sources say, and what is drawn is like it."""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import groupby
from pathlib import Path
from random import Random

import pytest

from tonle import sample_facts as facts
from tonle import sample_people
from tonle import sample_survey as survey
from tonle.generate import villages_by_province
from tonle.sample import COLUMNS, Sampler, Shares

Cells = Mapping[str, str]
SEXES = {"1": "male", "2": "female"}
HEAD, SPOUSE, CHILD = "1", "2", "3"


def table(path: Path) -> list[Cells]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@cache
def surveyed(shared: Path) -> list[tuple[Cells, list[Cells]]]:
    """The survey's households: the head, and all members."""
    rows = table(shared / "wb_synthetic_survey" / "persons.csv")
    families = [list(each) for _, each in groupby(rows, lambda row: row["hid"])]
    return [(next(row for row in each if row["relation"] == HEAD), each) for each in families]


def band(age: str, most: int, width: int = 5) -> int:
    return min(int(age) // width * width, most)


def counted(found: Counter[int], first: int, last: int, step: int = 5) -> tuple[int, ...]:
    return tuple(found[each] for each in range(first, last + 1, step))


def test_provinces_and_levels_are_those_of_2022(shared_data: Path) -> None:
    rows = table(shared_data / "idpoor_communes_2022" / "idpoor_by_province.csv")
    assert {
        row["province_code"]: (int(row["poor1_households"]), int(row["poor2_households"])) for row in rows
    } == facts.IDPOOR_HOUSEHOLDS
    assert sum(map(sum, facts.IDPOOR_HOUSEHOLDS.values())) == 690_895


def test_prefixes_are_those_of_mobile_carriers(shared_data: Path) -> None:
    rows = table(shared_data / "mobile_prefixes" / "kh_mobile_prefixes.csv")
    allowed = {row["national_prefix"]: row["subscriber_digits_allowed"].split("|") for row in rows}
    assert [prefix for prefix, _ in facts.MOBILE_PREFIXES] == [each for each in allowed if len(each) == 3]
    assert all(str(digits) in allowed[prefix] for prefix, digits in facts.MOBILE_PREFIXES)


def test_names_are_those_of_the_source(shared_data: Path) -> None:
    surnames, given = (
        {(row["name_km"], row["name_latin"]) for row in table(shared_data / "khmer_names" / file)}
        for file in ("surnames.csv", "given_names.csv")
    )
    assert set(facts.SURNAMES) == surnames
    assert {*facts.FEMALE_NAMES, *facts.MALE_NAMES} == given


def test_sizes_and_heads_are_the_surveys(shared_data: Path) -> None:
    families = surveyed(shared_data)
    assert Counter(min(len(all_), survey.SIZE_MOST) for _, all_ in families) == survey.SIZES
    for sex, sizes in survey.HEADS.items():
        for size, expected in sizes.items():
            alike = [each for each in families if kind(*each) == (sex, size)]
            ages = Counter(band(head["age"], 95) for head, _ in alike)
            assert counted(ages, survey.HEADS_FROM, 95) == expected
            if size > 1:
                together = sum(any(row["relation"] == SPOUSE for row in all_) for _, all_ in alike)
                assert survey.COUPLES[sex][size] == (together, len(alike))


def kind(head: Cells, members: list[Cells]) -> tuple[str, int]:
    return SEXES[head["sex"]], min(len(members), survey.SIZE_GROUPED)


def test_the_others_of_a_household_are_the_surveys(shared_data: Path) -> None:
    families = surveyed(shared_data)
    rest = [(head, row) for head, all_ in families for row in all_ if row["relation"] != HEAD]
    for sex, expected in survey.SPOUSE_YEARS.items():
        older = Counter(
            max(survey.SPOUSE_FROM, min(10, (int(row["age"]) - int(head["age"])) // 2 * 2))
            for head, row in rest
            if row["relation"] == SPOUSE and SEXES[head["sex"]] == sex
        )
        assert counted(older, survey.SPOUSE_FROM, 10, 2) == expected
    for least, (ages, no_children) in survey.CHILDREN.items():
        of_band = [row for head, row in rest if band(head["age"], 85) == least]
        children = Counter(band(row["age"], 60) for row in of_band if row["relation"] == CHILD)
        assert counted(children, 0, 60) == ages
        assert sum(row["relation"] not in (SPOUSE, CHILD) for row in of_band) == no_children
    others = [(head, row) for head, row in rest if row["relation"] not in (SPOUSE, CHILD)]
    for least, of_others in survey.OTHERS.items():
        found = Counter(
            band(row["age"], 95)
            for head, row in others
            if max(each for each in survey.OTHERS if each == 15 or each <= int(head["age"])) == least
        )
        assert counted(found, 0, 95) == of_others
    children_women = [SEXES[row["sex"]] == "female" for _, row in rest if row["relation"] == CHILD]
    assert (sum(children_women), len(children_women)) == survey.FEMALE_CHILDREN
    other_women = [SEXES[row["sex"]] == "female" for _, row in others]
    assert (sum(other_women), len(other_women)) == survey.FEMALE_OTHERS


def test_disability_births_and_school_are_the_surveys(shared_data: Path) -> None:
    persons = [row for _, all_ in surveyed(shared_data) for row in all_]
    for least, expected in survey.DISABLED.items():
        alike = [row["disability"] for row in persons if band(row["age"], 75, 15) == least]
        assert (alike.count("1"), len(alike)) == expected
    women = [row for row in persons if SEXES[row["sex"]] == "female" and 18 <= int(row["age"]) <= 44]
    assert (sum(row["births_12m"] not in ("", "0") for row in women), len(women)) == survey.BIRTHS
    for age, expected in survey.ATTENDING.items():
        pupils = [row["school_attend"] for row in persons if int(row["age"]) == age]
        assert (pupils.count("1"), len(pupils)) == expected


def drawn(households: int) -> Iterator[list[sample_people.Someone]]:
    draw = Random(1).random
    for _ in range(households):
        yield list(sample_people.people(draw, sample_people.size(draw())))


def test_sizes_ages_and_relations_come_out_like_the_surveys(shared_data: Path) -> None:
    ours = [each for family in drawn(20_000) for each in family]
    theirs = [row for _, all_ in surveyed(shared_data) for row in all_]
    assert abs(len(ours) / 20_000 - len(theirs) / 8_000) < 0.05
    ages = Counter(each.age // 10 for each in ours), Counter(int(row["age"]) // 10 for row in theirs)
    assert distance(*ages) < 0.03
    kin = {"head": "1", "spouse": "2", "child": "3"}
    relations = (
        Counter(kin.get(each.relation, "4") for each in ours),
        Counter(min(row["relation"], "4") for row in theirs),
    )
    assert distance(*relations) < 0.03


def distance(one: Counter[int] | Counter[str], other: Counter[int] | Counter[str]) -> float:
    """Half of all differences between two distributions: 0 where they are the same, 1 where nothing is."""
    names = {*map(str, one), *map(str, other)}
    first, second = ({str(k): v / sum(each.values()) for k, v in each.items()} for each in (one, other))
    return sum(abs(first.get(name, 0) - second.get(name, 0)) for name in names) / 2


def test_no_child_is_as_old_as_its_parent_and_couples_are_of_two_sexes() -> None:
    for family in drawn(3_000):
        head, *rest = family
        assert head.relation == "head"
        assert [each.relation for each in rest].count("spouse") <= 1
        for each in rest:
            if each.relation == "spouse":
                assert each.female is not head.female
            if each.relation == "child":
                assert 0 <= each.age <= head.age - 14


def test_households_live_where_the_poor_of_2022_live() -> None:
    rows = list(Sampler(3, villages_by_province(), Shares(0, 0)).rows(20_000))
    at = {name: COLUMNS.index(name) for name in ("village", "level", "phone")}
    found = Counter((row[at["village"]][:2], row[at["level"]]) for row in rows)
    for province, both in facts.IDPOOR_HOUSEHOLDS.items():
        for level, households in zip(facts.IDPOOR_LEVELS, both, strict=True):
            assert abs(found[province, level] / 20_000 - households / 750_895) < 0.006
    phones = [row[at["phone"]] for row in rows if row[at["phone"]]]
    assert len(set(phones)) == len(phones)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([("head", 40, False), ("spouse", 35, True), ("child", 2, True)], False),
        ([("head", 40, False), ("spouse", 35, True), ("child", 1, True)], True),
        ([("head", 40, False), ("spouse", 35, True), ("parent", 60, True)], True),
        ([("head", 59, False), ("child", 20, True)], False),
        ([("head", 40, True), ("child", 20, True)], True),
        ([("head", 40, True), ("spouse", 41, False)], False),
        ([("head", 17, False), ("sibling", 15, False)], True),
    ],
)
def test_who_is_near_poor_is_at_risk_for_its_members(
    members: list[tuple[str, int, bool]], expected: bool
) -> None:
    assert sample_people.at_risk([sample_people.Someone(*each) for each in members]) is expected


def test_at_risk_households_have_somebody_at_risk_and_whoever_has_a_level_has_a_card() -> None:
    rows = [
        dict(zip(COLUMNS, row, strict=True))
        for row in Sampler(3, villages_by_province(), Shares(0, 0)).rows(4_000)
    ]
    assert all(bool(row["card_number"]) is (row["level"] != "none") for row in rows)
    for row in (row for row in rows if row["level"] == "at_risk"):
        born = [row[f"member_{n}_birth_date"] for n in range(1, 13) if row[f"member_{n}_birth_date"]]
        alone = row["member_1_sex"] == "female" and row["member_2_relation"] != "spouse"
        young = min(born) > "2005-06-01" or max(born) > "2021-06-01"
        disabled = any(row[f"member_{n}_conditions"] == "disability" for n in range(1, 13))
        assert alone or young or disabled or min(born) <= "1963-06-01"
    found = Counter(row["level"] for row in rows)
    assert 0.01 < found["at_risk"] / 4_000 < 0.06 < (found["at_risk"] + found["none"]) / 4_000 < 0.1
