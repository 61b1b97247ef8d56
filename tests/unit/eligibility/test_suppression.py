"""Small counts stay hidden, from whoever compares everything that is shown, too."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import combinations

import pytest

from services.eligibility.suppression import shown

SMALL = 4
PEOPLE_MOST = 11
"""All totals that may be shown as one step, 4 to 11 people, and those that may not."""

Counts = Mapping[str, tuple[int, int, int]]
"""Measure -> people by group: two programmes that exclude each other, their sum, all registered."""

View = tuple[tuple[int | None, ...], ...]


@pytest.mark.parametrize(
    ("count", "seen"),
    [(0, None), (9, None), (10, 20), (29, 20), (30, 40), (49, 40), (700_009, 700_000), (700_010, 700_020)],
)
def test_a_count_is_rounded_and_a_small_one_not_shown(count: int, seen: int | None) -> None:
    assert shown(count) == seen


def test_every_shown_count_is_in_doubt_by_twice_the_threshold() -> None:
    behind = defaultdict(list)
    for count in range(200):
        behind[shown(count)].append(count)
    assert len(behind.pop(None)) == 10
    assert {len(counts) for seen, counts in behind.items() if seen != 200} == {20}


def test_whoever_tries_every_table_can_not_tell_a_hidden_count() -> None:
    possible: dict[View, dict[tuple[str, int], set[int]]] = defaultdict(lambda: defaultdict(set))
    for counts in _every_table():
        view = _view(counts)
        for (measure, cells), seen in zip(counts.items(), view, strict=True):
            for group, count in enumerate(cells):
                if seen[group] is None:
                    possible[view][measure, group].add(count)
    assert len(possible) > 100
    assert {len(values) for cells in possible.values() for values in cells.values()} <= {2, 3, 4}


def _every_table() -> Iterator[Counts]:
    """Every way to put up to eleven people into three groups, each in one programme, the other or none."""
    for bars in combinations(range(PEOPLE_MOST + 9), 9):
        parts = [bar - before - 1 for bar, before in zip(bars, (-1, *bars), strict=False)]
        one, other, neither = parts[:3], parts[3:6], parts[6:]
        floor = (one[0] + other[0], one[1] + other[1], one[2] + other[2])
        registered = (floor[0] + neither[0], floor[1] + neither[1], floor[2] + neither[2])
        yield {
            "one": (one[0], one[1], one[2]),
            "other": (other[0], other[1], other[2]),
            "floor": floor,
            "registered": registered,
        }


def _view(counts: Counts) -> View:
    return tuple((*(_shown(count) for count in cells), _shown(sum(cells))) for cells in counts.values())


@cache
def _shown(count: int) -> int | None:
    return shown(count, SMALL)
