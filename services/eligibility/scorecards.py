"""Poverty scorecards as published, and the range a household's score must lie in. Pure."""

import csv
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

Answers = Mapping[int, Collection[int]]
"""Question -> the responses that are possible (1 is the first); one that is not there may be any."""

Known = Mapping[str, int | Collection[str]]
"""What is registered of a household by name of the fact: a number, or words in small letters."""

SCORES = range(101)


class ScorecardRefused(Exception):
    """A scorecard that is not as it was published, or does not fit together."""


class AnswerRefused(ValueError):
    """An answer to a question, or a response, that the scorecard does not have."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Response(_Strict):
    """One response as published: its points, the same for every line or each line's own."""

    text: str
    points: int | Mapping[str, int]


class Question(_Strict):
    """An indicator of the scorecard, word for word."""

    number: Annotated[int, Field(alias="no")]
    question: str
    responses: tuple[Response, ...]


class Published(_Strict):
    """The file of questions."""

    name: str
    created: str
    survey: str
    author: str | None = None
    source: str
    indicators: tuple[Question, ...]


class File(_Strict):
    """A published file and the SHA-256 of its bytes."""

    file: str
    sha256: str


class Likelihoods(File):
    """Its numbers are per cent or shares of one."""

    unit: Annotated[Literal["percent", "shares"], Field(alias="in")]


class AnsweredBy(_Strict):
    """The registered fact that answers a question: responses by word, or by the most that a number may be."""

    fact: Literal[
        "members", "members_aged_5", "female_head_or_spouse", "province", "walls", "roof", "floor", "assets"
    ]
    words: Mapping[str, tuple[int, ...]] = {}
    up_to: Mapping[int, tuple[int, ...]] = {}
    note: str | None = None

    def possible(self, known: Known) -> frozenset[int] | None:
        """The responses that what is registered leaves possible; None where it says nothing."""
        value = known.get(self.fact)
        if value is None:
            return None
        if isinstance(value, int):
            return next((frozenset(left) for most, left in self.up_to.items() if value <= most), None)
        said = [frozenset(self.words[word]) for word in value if word in self.words]
        return frozenset.intersection(*said) if said else None


class Document(_Strict):
    """Our page about a scorecard."""

    id: str
    questions: File
    likelihoods: Likelihoods
    source: str
    licence: str
    lines: Mapping[str, str]
    answered_by: Mapping[int, AnsweredBy]


@dataclass(frozen=True, slots=True)
class LineScore:
    """Of one poverty line: lowest and highest score, and likelihood in per cent of being below it."""

    line: str
    score_lowest: int
    score_highest: int
    likelihood_lowest: float
    likelihood_highest: float


@dataclass(frozen=True, slots=True)
class Score:
    """A household's score by poverty line, and the questions that more than one response is possible for."""

    lines: tuple[LineScore, ...]
    open_questions: tuple[int, ...]


@dataclass(frozen=True)
class Scorecard:
    """A scorecard as it is applied; `likelihoods` are per cent by line, for scores 0 to 100."""

    document: Document
    published: Published
    likelihoods: Mapping[str, Sequence[float]]

    @property
    def id(self) -> str:
        return self.document.id

    def answers(self, known: Known) -> dict[int, frozenset[int]]:
        """What is registered as answers; questions it says nothing about are left out."""
        found = {number: each.possible(known) for number, each in self.document.answered_by.items()}
        return {number: possible for number, possible in found.items() if possible}

    def score(self, answers: Answers) -> Score:
        """The range that every line's score lies in. Raises `AnswerRefused`."""
        self._check(answers)
        return Score(
            tuple(self.score_line(line, answers) for line in self.document.lines),
            tuple(number for number in self._points if len(answers.get(number, ())) != 1),
        )

    def score_line(self, line: str, answers: Answers) -> LineScore:
        """The range of one line's score; `answers` are taken as they are."""
        lowest = highest = 0
        for number, points in self._points.items():
            possible = answers.get(number)
            left = [points[line][each - 1] for each in possible] if possible else points[line]
            lowest += min(left)
            highest += max(left)
        # Points of some lines of 2020 add up to a little over 100, where the published likelihoods end.
        likely = self.likelihoods[line][min(lowest, SCORES[-1]) : highest + 1]
        return LineScore(line, lowest, highest, min(likely), max(likely))

    @cached_property
    def _points(self) -> Mapping[int, Mapping[str, tuple[int, ...]]]:
        """Question -> line -> points by response."""
        lines = self.document.lines
        return {
            each.number: {line: tuple(_points(one, line) for one in each.responses) for line in lines}
            for each in self.published.indicators
        }

    def _check(self, answers: Answers) -> None:
        responses = {each.number: len(each.responses) for each in self.published.indicators}
        for number, possible in answers.items():
            if number not in responses:
                raise AnswerRefused(f"there is no question {number}; they are numbered 1 to {len(responses)}")
            if not possible or not all(1 <= each <= responses[number] for each in possible):
                raise AnswerRefused(
                    f"question {number} has responses 1 to {responses[number]}; give one of them"
                )


def catalogue(files: Mapping[str, bytes]) -> dict[str, Scorecard]:
    """Scorecards by id, from the bytes of a folder's files by name. Raises `ScorecardRefused`."""
    found = [_parse(content, files) for name, content in sorted(files.items()) if name.endswith(".yaml")]
    return {each.id: each for each in found}


def _parse(content: bytes, files: Mapping[str, bytes]) -> Scorecard:
    document = Document.model_validate(yaml.safe_load(content))
    published = Published.model_validate(json.loads(_unaltered(document.questions, files)))
    rows = csv.DictReader(_unaltered(document.likelihoods, files).decode().splitlines())
    scorecard = Scorecard(document, published, _likelihoods(document, list(rows)))
    # Fails here, not with the first household: columns, responses and scores that do not fit together.
    for answers in ({}, *({number: each} for number, each in _named_responses(document))):
        try:
            scorecard.score(answers)
        except (AnswerRefused, LookupError, ValueError) as error:
            raise ScorecardRefused(f"{document.id}: {error}") from None
    return scorecard


def _unaltered(file: File, files: Mapping[str, bytes]) -> bytes:
    content = files.get(file.file, b"")
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise ScorecardRefused(
            f"{file.file} is not as it was published; put the original back, or name another tool otherwise"
        )
    return content


def _likelihoods(document: Document, rows: Sequence[Mapping[str, str]]) -> dict[str, tuple[float, ...]]:
    """Per cent for every score; a row is one score, or a band of scores."""
    factor = {"percent": 1, "shares": 100}[document.likelihoods.unit]
    found: dict[str, list[float]] = {line: [] for line in document.lines}
    for row in rows:
        first, last = (row.get(name) or row["PPI Score"] for name in ("score_low", "score_high"))
        scores = range(int(first), int(last) + 1)
        for line in found:
            found[line] += [round(float(row[line]) * factor, 4)] * len(scores)
    if any(len(likely) != len(SCORES) for likely in found.values()):
        raise ScorecardRefused(
            f"{document.likelihoods.file}: not one likelihood for each score from 0 to 100"
        )
    return {line: tuple(likely) for line, likely in found.items()}


def _named_responses(document: Document) -> list[tuple[int, tuple[int, ...]]]:
    return [
        (number, responses)
        for number, each in document.answered_by.items()
        for responses in (*each.words.values(), *each.up_to.values())
    ]


def _points(response: Response, line: str) -> int:
    return response.points if isinstance(response.points, int) else response.points[line]
