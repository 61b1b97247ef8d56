"""PPI 2011 scored on a synthetic household survey, which asks all of its questions but wardrobes."""

import csv
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import correlation, fmean

import pytest

from services.eligibility.scorecards import Answers
from tests.unit.eligibility.test_scorecards import PPI_2011

Row = Mapping[str, str]

WALLS = {"1": 1, "2": 1, "3": 3, "4": 3, "5": 1, "6": 3, "7": 2, "8": 1}
"""Scrap; wood or straw; bricks; concrete; mud; stone; metal; other."""
ROOFS = {"1": 3, "2": 3, "3": 2, "4": 3, "5": 2, "6": 1, "7": 1, "8": 1, "9": 1}
"""Concrete; tile; laminate; slate; metal; wood; thatch; scrap; other."""


@pytest.fixture(scope="module")
def surveyed(shared_data: Path) -> list[tuple[Row, Answers]]:
    """Each household of the survey with its answers."""
    folder = shared_data / "wb_synthetic_survey"
    members: dict[str, list[Row]] = defaultdict(list)
    with (folder / "persons.csv").open(encoding="utf-8") as file:
        for person in csv.DictReader(file):
            members[person["hid"]].append(person)
    with (folder / "households.csv").open(encoding="utf-8") as file:
        return [
            (household, _answers(household, members[household["hid"]])) for household in csv.DictReader(file)
        ]


def test_poorer_fifths_of_the_survey_score_lower(surveyed: Sequence[tuple[Row, Answers]]) -> None:
    scores: dict[str, list[int]] = defaultdict(list)
    for household, answers in surveyed:
        scores[household["quint_nat"]].append(PPI_2011.score_line("nl100", answers).score_lowest)
    means = [fmean(scores[fifth]) for fifth in "12345"]
    assert sum(map(len, scores.values())) == 8000
    assert means == pytest.approx([24.6, 35.9, 44.1, 52.1, 62.4], abs=1)


def test_scores_of_the_survey_rank_as_spending_does(surveyed: Sequence[tuple[Row, Answers]]) -> None:
    scores = [float(PPI_2011.score_line("nl100", answers).score_lowest) for _, answers in surveyed]
    spending = [float(household["pc_exp"]) for household, _ in surveyed]
    assert correlation(_ranks(spending), _ranks(scores)) == pytest.approx(0.83, abs=0.01)


def test_wardrobes_that_were_not_asked_leave_eight_points_open(
    surveyed: Sequence[tuple[Row, Answers]],
) -> None:
    for _, answers in surveyed[:500]:
        whole = PPI_2011.score(answers)
        assert whole.open_questions == (7,)
        assert {each.score_highest - each.score_lowest for each in whole.lines} == {8}


def _answers(household: Row, members: Sequence[Row]) -> Answers:
    size, rooms = int(household["hhsize"]), int(household["rooms"])
    working = sum(person["act_status"] == "1" and int(person["age"]) >= 5 for person in members)
    phones = int(household["phone"]) + int(household["cell"])
    return {
        1: (min(7, max(1, 9 - size)),),
        2: (1 if working < 2 else min(working, 3),),
        3: (_reading(members),),
        4: (min(rooms, 3),),
        5: (WALLS[household["walls"]],),
        6: (ROOFS[household["roof"]],),
        8: (1 + int(household["tv"]),),
        9: (1 + phones,),
        10: (1 + int(household["motorcycle"]),),
    }


def _reading(members: Sequence[Row]) -> int:
    """No, there is no female head or spouse, yes."""
    literacy = [each["literacy"] for each in members if each["relation"] in "12" and each["sex"] == "2"]
    return 2 if not literacy else 3 if literacy[0] == "1" else 1


def _ranks(values: Sequence[float]) -> list[float]:
    """Each value's rank; equal ones share the mean of theirs."""
    first: dict[float, int] = {}
    for rank, value in enumerate(sorted(values)):
        first.setdefault(value, rank)
    count = Counter(values)
    return [first[value] + (count[value] - 1) / 2 for value in values]
