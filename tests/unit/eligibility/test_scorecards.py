"""Scorecards as published, and ranges that hide nothing."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pytest

from services.eligibility import scorecards
from services.eligibility.scorecards import AnswerRefused, Known, Response, Scorecard, ScorecardRefused

FOLDER = Path(scorecards.__file__).with_suffix("")
FILES = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
SCORECARDS = scorecards.catalogue(FILES)
PPI_2011, PPI_2020 = SCORECARDS["ppi-2011"], SCORECARDS["ppi-2020"]
POOREST_2011 = dict.fromkeys(range(1, 11), (1,))
TO_102 = "$5.50/day 2011 PPP"
"""The line whose points add up to most."""

PRESS_FAMILY: Known = {
    "members": 5,
    "members_aged_5": 2,
    "female_head_or_spouse": ["yes"],
    "province": ["22"],
    "walls": ["bamboo"],
    "roof": ["unheard of"],
    "assets": ["bicycle", "television", "motorbike"],
}


@pytest.mark.parametrize("published", [name for name in FILES if name.startswith("ppi_")])
def test_questions_points_and_likelihoods_are_those_published(published: str, shared_data: Path) -> None:
    assert FILES[published] == (shared_data / "ppi_cambodia" / published).read_bytes()


def test_a_file_that_was_altered_is_refused() -> None:
    altered = FILES["ppi_2011_scorecard.json"].replace(b'"points": 40', b'"points": 41')
    with pytest.raises(ScorecardRefused, match=r"ppi_2011_scorecard\.json is not as it was published"):
        scorecards.catalogue({**FILES, "ppi_2011_scorecard.json": altered})


def test_a_fact_that_answers_with_a_response_there_is_not_is_refused() -> None:
    wrong = FILES["ppi-2011.yaml"].replace(b"{2: [7],", b"{2: [8],")
    with pytest.raises(ScorecardRefused, match="ppi-2011: question 1 has responses 1 to 7"):
        scorecards.catalogue({**FILES, "ppi-2011.yaml": wrong})


@pytest.mark.parametrize(
    ("answers", "score", "likelihood"),
    [
        (POOREST_2011, 0, 100.0),
        ({**POOREST_2011, 1: (7,)}, 40, 10.5),
        (
            {1: (7,), 2: (3,), 3: (3,), 4: (3,), 5: (3,), 6: (3,), 7: (3,), 8: (3,), 9: (3,), 10: (3,)},
            100,
            0.0,
        ),
    ],
)
def test_a_whole_questionnaire_has_one_score(
    answers: Mapping[int, tuple[int]], score: int, likelihood: float
) -> None:
    whole = PPI_2011.score(answers)
    line = whole.lines[0]
    assert whole.open_questions == ()
    assert (line.line, line.score_lowest, line.score_highest) == ("nl100", score, score)
    assert line.likelihood_lowest == line.likelihood_highest == likelihood


def test_each_line_of_2020_has_points_and_likelihoods_of_its_own() -> None:
    richest = {each.number: (1,) for each in PPI_2020.published.indicators}
    scores = {each.line: each for each in PPI_2020.score(richest).lines}
    assert scores["National Poverty Line"].score_highest == 86
    assert scores["National Poverty Line"].likelihood_highest == 0.1244
    assert scores["Bottom 80th Percentile"].score_highest == 78
    assert scores["Bottom 80th Percentile"].likelihood_highest == 42.7678


def test_points_beyond_the_published_likelihoods_are_as_likely_as_the_last() -> None:
    best = {
        each.number: (1 + max(range(len(each.responses)), key=lambda n: _points(each.responses[n])),)
        for each in PPI_2020.published.indicators
    }
    line = PPI_2020.score_line(TO_102, best)
    assert (line.score_lowest, line.score_highest) == (102, 102)
    assert line.likelihood_highest == PPI_2020.likelihoods[TO_102][100]


def test_a_question_with_two_responses_possible_is_open() -> None:
    assert PPI_2011.score({**POOREST_2011, 2: (1, 2)}).open_questions == (2,)


def test_a_question_without_an_answer_widens_the_range_and_is_named() -> None:
    nothing = PPI_2011.score({})
    line = PPI_2011.score({number: one for number, one in POOREST_2011.items() if number != 4}).lines[0]
    assert nothing.open_questions == tuple(range(1, 11))
    assert (nothing.lines[0].score_lowest, nothing.lines[0].score_highest) == (0, 100)
    assert (line.score_lowest, line.score_highest) == (0, 12)
    assert (line.likelihood_lowest, line.likelihood_highest) == (88.6, 100.0)


@pytest.mark.parametrize("scorecard", SCORECARDS.values(), ids=SCORECARDS)
def test_the_range_is_that_of_every_way_to_fill_the_gaps(scorecard: Scorecard) -> None:
    first, *rest = scorecard.published.indicators
    poorest = {each.number: (1,) for each in rest}
    ranges = scorecard.score({**poorest, 2: (1, 2)}).lines
    whole = [
        scorecard.score({**poorest, 1: (one,), 2: (two,)}).lines
        for one, two in product(range(1, len(first.responses) + 1), (1, 2))
    ]
    for index, found in enumerate(ranges):
        filled = [lines[index] for lines in whole]
        assert found.score_lowest == min(each.score_lowest for each in filled)
        assert found.score_highest == max(each.score_highest for each in filled)
        assert found.likelihood_lowest == min(each.likelihood_lowest for each in filled)
        assert found.likelihood_highest == max(each.likelihood_highest for each in filled)


def test_what_is_registered_leaves_some_responses_possible() -> None:
    assert PPI_2011.answers(PRESS_FAMILY) == {
        1: {4},  # five members
        2: {1, 2},  # two are old enough to work: none, one or two did
        3: {1, 3},  # whether she reads is not registered
        5: {1},
        8: {2, 3},  # a television; perhaps a player besides
        10: {2, 3},  # one motorcycle or more
    }  # the roof is a word that the scorecard does not have; no wardrobe listed says nothing


def test_a_province_that_sources_place_differently_leaves_both_zones() -> None:
    assert PPI_2020.answers(PRESS_FAMILY)[1] == {3, 5}
    assert PPI_2020.answers({"province": ["12"]}) == {1: {1}}


@pytest.mark.parametrize(
    ("known", "left"),
    [
        ({"members": 41}, None),
        ({"assets": ["bicycle"]}, None),
        ({"assets": ["television", "dvd player"]}, {3}),
        ({"female_head_or_spouse": ["no"]}, {2}),
        ({}, None),
    ],
)
def test_what_says_nothing_answers_nothing(known: Known, left: set[int] | None) -> None:
    assert next(iter(PPI_2011.answers(known).values()), None) == left


@pytest.mark.parametrize(
    ("answers", "said"),
    [({11: (1,)}, "no question 11"), ({4: (4,)}, "responses 1 to 3"), ({4: ()}, "responses 1 to 3")],
)
def test_an_answer_that_the_scorecard_does_not_have_is_refused(
    answers: Mapping[int, tuple[int, ...]], said: str
) -> None:
    with pytest.raises(AnswerRefused, match=said):
        PPI_2011.score(answers)


def test_every_province_lies_in_a_zone() -> None:
    assert sorted(PPI_2020.document.answered_by[1].words) == [f"{number:02}" for number in range(1, 26)]


def _points(response: Response) -> int:
    assert not isinstance(response.points, int)
    return response.points[TO_102]
