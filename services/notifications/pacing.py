"""How fast an operator's segments may go: when each SMS of a chunk has its turn."""

from collections.abc import Sequence
from typing import NamedTuple

HORIZON_S, LEAD_S = 2.0, 1.0
"""Turns are given so far ahead; who gets none comes again a while before, so that no moment stays empty."""
WAIT_S_MAX = 60.0


class Turns(NamedTuple):
    """Seconds from now until each SMS may go, in order, and until each of the others shall come again.

    `taken_s`: how much of the operator's time those that may go take.
    """

    go: list[float]
    again: list[float]
    taken_s: float


def turns(segments: Sequence[int], per_second: float, wait_s: float) -> Turns:
    """Give turns to SMS of so many segments each, for one operator whose next free moment is in `wait_s`.

    A turn begins within the horizon or is not given.
    """
    moment, go, again = wait_s, list[float](), list[float]()
    taken_s = 0.0
    for count in segments:
        lasts_s = count / per_second
        if moment < HORIZON_S and not again:
            go.append(moment)
            taken_s += lasts_s
        else:
            again.append(min(moment - LEAD_S, WAIT_S_MAX))
        moment += lasts_s
    return Turns(go, again, taken_s)
