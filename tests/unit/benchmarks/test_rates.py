"""What the rates' benchmark makes of the times at which SMS came."""

import pytest

from benchmarks.rates import Came, error_percent, most_in_a_second


def every(seconds: float, count: int, segments: int = 2) -> list[Came]:
    return [Came(seconds * number, segments) for number in range(count)]


@pytest.mark.parametrize(("seconds", "off"), [(0.1, 0.0), (0.08, 25.0), (0.125, -20.0)])
def test_a_rate_is_off_by_what_came_too_much_or_too_little(seconds: float, off: float) -> None:
    assert error_percent(every(seconds, 50), 20) == pytest.approx(off)


def test_the_fullest_second_is_found_wherever_it_begins() -> None:
    came = [*every(0.25, 8), *(Came(5.6 + 0.1 * number, 3) for number in range(9))]
    assert most_in_a_second(came) == 27
    assert most_in_a_second(every(0.25, 8)) == 8
