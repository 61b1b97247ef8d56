"""A household's members counted for several programmes at once. Pure."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter

from services.eligibility.expressions import Value
from services.eligibility.facts import CIRCUMSTANCES, Facts, Person
from services.eligibility.programmes import PERSONS_REMEMBERED, Programme

Tally = tuple[Value, ...]
"""A household's circumstances, then how often its members count in each group of every programme."""


class Census:
    """Counts for these programmes; who asks one alone, `Programme.asked`, gets the same.

    One pass over the members instead of one a programme: with ten programmes that was half of scoring.
    """

    def __init__(self, programmes: Sequence[Programme]) -> None:
        at = _positions(programmes)
        self._picks: dict[Programme, Callable[[Tally], Tally]] = {
            programme: itemgetter(*(at[programme, name] for name in programme.reads))
            for programme in programmes
        }
        self.groups = sum(len(each.persons) for each in programmes)
        self._nobody = (0,) * self.groups
        read = sorted({at[programme, name] for programme in programmes for name in programme.reads})
        self.read: Callable[[Tally], Tally] = itemgetter(*read) if programmes else tuple
        """Of a tally, what any of these programmes reads."""

        @lru_cache(PERSONS_REMEMBERED)
        def count(person: Person) -> tuple[int, ...]:
            return tuple(chain.from_iterable(each.counted(person) for each in programmes))

        self.count = count
        """How often a person counts in each group of every programme."""

    def tally(self, facts: Facts) -> Tally:
        """All that these programmes may ask of a household."""
        circumstances, persons = facts
        if not persons:
            return (*circumstances, *self._nobody)
        return (*circumstances, *map(sum, zip(*map(self.count, persons), strict=True)))

    def asked(self, programme: Programme, tally: Tally) -> tuple[Value, ...]:
        """The values of what one of these programmes reads."""
        return self._picks[programme](tally)


def _positions(programmes: Sequence[Programme]) -> dict[tuple[Programme, str], int]:
    """Where in a tally a programme's fact stands."""
    found: dict[tuple[Programme, str], int] = {}
    first = len(CIRCUMSTANCES)
    for programme in programmes:
        found |= {(programme, name): at for at, name in enumerate(CIRCUMSTANCES)}
        found |= {(programme, name): at for at, name in enumerate(programme.persons, first)}
        first += len(programme.persons)
    return found
