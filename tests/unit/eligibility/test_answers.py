"""What is registered, in the words that scorecards ask for."""

from datetime import date

import pytest

from contracts import wire
from contracts.household import Dwelling, Persons, Relation, Sex
from services.eligibility.answers import Home, known_of
from services.eligibility.scorecards import Known
from services.eligibility.structs import read
from tests.unit.eligibility.samples import JUNE, member, persons

MOTHER = member(relation=Relation.HEAD)
FATHER = member(relation=Relation.HEAD).model_copy(update={"sex": Sex.MALE})
WIFE = member(relation=Relation.SPOUSE)
DAUGHTER = member(date(2018, 6, 1), relation=Relation.CHILD)


def known(household: Persons, on: date = JUNE) -> Known:
    return known_of(read(Home, wire.dump(household)), "010201", on)


def test_members_are_counted_on_the_day() -> None:
    household = persons(MOTHER, DAUGHTER)
    counts = [
        (known(household, on)["members"], known(household, on)["members_aged_5"])
        for on in (date(2018, 5, 31), date(2023, 5, 31), date(2023, 6, 1))
    ]
    assert counts == [(1, 1), (2, 1), (2, 2)]


@pytest.mark.parametrize(
    ("household", "there_is"),
    [
        (persons(MOTHER), "yes"),
        (persons(FATHER, WIFE), "yes"),
        (persons(FATHER, DAUGHTER), "no"),
        (persons(FATHER, member(relation=Relation.PARENT)), "no"),
    ],
)
def test_a_female_head_or_spouse_is_looked_for(household: Persons, there_is: str) -> None:
    assert known(household)["female_head_or_spouse"] == [there_is]


def test_words_are_read_as_the_scorecards_write_them() -> None:
    dwelling = Dwelling(walls=" Bamboo ", floor="")
    found = known(persons(MOTHER).model_copy(update={"dwelling": dwelling, "assets": ("Mobile phone",)}))
    assert (found["province"], found["walls"], found["assets"]) == (["01"], ["bamboo"], ["mobile phone"])
    assert found.keys().isdisjoint({"roof", "floor"})


def test_a_household_without_a_dwelling_says_nothing_of_it() -> None:
    assert known(persons(MOTHER)).keys().isdisjoint({"walls", "roof", "floor"})
