"""When each SMS of an operator has its turn."""

from itertools import pairwise

import pytest

from services.notifications.pacing import HORIZON_S, WAIT_S_MAX, turns


@pytest.mark.parametrize(
    ("segments", "per_second", "wait_s", "go", "again"),
    [
        ([1, 1, 1], 10, 0.0, [0.0, 0.1, 0.2], []),
        # A long text takes as many turns as it has segments.
        ([2, 1, 3], 10, 0.0, [0.0, 0.2, 0.3], []),
        ([1, 1, 1, 1], 1, 0.0, [0.0, 1.0], [1.0, 2.0]),
        # Others have taken the operator's time already.
        ([1, 1], 2, 1.75, [1.75], [1.25]),
        ([1], 2, 3.0, [], [2.0]),
        ([1, 1], 0.01, 0.0, [0.0], [WAIT_S_MAX]),
        ([], 5, 0.0, [], []),
    ],
)
def test_each_has_its_turn_or_comes_again(
    segments: list[int], per_second: float, wait_s: float, go: list[float], again: list[float]
) -> None:
    given = turns(segments, per_second, wait_s)
    assert given.go == pytest.approx(go)
    assert given.again == pytest.approx(again)
    assert given.taken_s == pytest.approx(sum(segments[: len(go)]) / per_second)


def test_chunk_after_chunk_keeps_to_the_rate() -> None:
    busy_until, went = 0.0, list[float]()
    for now in (0.0, 0.3, 0.9, 1.0, 1.7, 2.4, 3.0):
        given = turns([1] * 100, 50.0, max(busy_until - now, 0.0))
        went += [now + turn for turn in given.go]
        busy_until = max(busy_until, now) + given.taken_s
    gaps = [later - before for before, later in pairwise(went)]
    assert min(gaps) == pytest.approx(1 / 50)
    assert max(went) < 3.0 + HORIZON_S
