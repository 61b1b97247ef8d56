"""How likely a household is poor, by the scorecard PPI 2020: facts for files that ask for them. Pure."""

from collections.abc import Collection, Iterable
from datetime import date
from functools import lru_cache
from math import ceil, floor

from contracts.household import CommuneCode
from services.eligibility.answers import Home, known_of
from services.eligibility.facts import Facts
from services.eligibility.scorecards import Known, LineScore, Scorecard
from services.eligibility.structs import read

SCORECARD, LINE = "ppi-2020", "National Poverty Line"
FACTS = ("ppi_2020_low", "ppi_2020_high")
ANSWERS_REMEMBERED = 65_536
Said = int | tuple[str, ...]
"""What is registered of a fact that a scorecard asks for."""
Possible = frozenset[int] | None
"""The responses to a question that this leaves possible."""


def asked_by(reads: Iterable[str]) -> bool:
    """Whether who reads these facts asks how likely a household is poor."""
    return not set(FACTS).isdisjoint(reads)


class Poverty:
    """Scores households; those that answer alike are scored once."""

    def __init__(self, scorecard: Scorecard) -> None:
        questions = tuple(scorecard.document.answered_by.items())

        @lru_cache(ANSWERS_REMEMBERED)
        def possible(question: int, said: Said) -> Possible:
            return questions[question][1].possible({questions[question][1].fact: said})

        @lru_cache(ANSWERS_REMEMBERED)
        def scored(answers: tuple[Possible, ...]) -> LineScore:
            told = zip(questions, answers, strict=True)
            return scorecard.score_line(LINE, {number: each for (number, _), each in told if each})

        def poor(known: Known) -> LineScore:
            told = (known.get(each.fact) for _, each in questions)
            return scored(
                tuple(None if said is None else possible(at, _hashable(said)) for at, said in enumerate(told))
            )

        self._poor = poor

    def likelihood(self, home: Home, commune: CommuneCode, on: date) -> LineScore:
        """The range of a household's likelihood of living below the national poverty line, on a day."""
        return self._poor(known_of(home, commune, on))

    def told(self, facts: Facts, persons: bytes, commune: CommuneCode, on: date) -> Facts:
        """The facts with `ppi_2020_low` and `ppi_2020_high`; `persons` as registered, unsealed."""
        low, high = percent(self.likelihood(read(Home, persons), commune, on))
        return facts._replace(
            circumstances=facts.circumstances._replace(ppi_2020_low=low, ppi_2020_high=high)
        )


def percent(found: LineScore) -> tuple[int, int]:
    """A range's likelihoods in whole per cent, rounded so that it gets no narrower."""
    return floor(found.likelihood_lowest), ceil(found.likelihood_highest)


def _hashable(said: int | Collection[str]) -> Said:
    return said if isinstance(said, int) else tuple(said)
