"""How the fault tests order the records of a log that was cut: each stands where it was written."""

from tests.faults.cutting import Lost
from tests.faults.order import Heard, epoch, out_of_order

CUTS = [[Lost("t", 0, 10, "h", "e10", 3)], [Lost("t", 0, 5, "h", "e5", 2)], [Lost("t", 1, 0, "h", "e", 1)]]


def heard(offset: int, event_id: str, sequence: int, *, epoch: int = 0) -> Heard:
    return Heard(0, epoch, offset, "h", event_id, sequence)


def test_what_stands_behind_a_cut_was_written_after_it() -> None:
    found = [epoch(CUTS, 0, offset, len(CUTS)) for offset in (4, 5, 9, 10)]
    assert found == [0, 2, 2, 2]
    assert [epoch(CUTS, 0, offset, 1) for offset in (5, 10)] == [0, 1]
    assert epoch(CUTS, 1, 0, len(CUTS)) == 3


def test_a_first_copy_below_the_one_before_is_out_of_order_and_a_second_copy_never_is() -> None:
    assert out_of_order("t", [heard(0, "a", 1), heard(1, "b", 2), heard(2, "a", 1)]) == []
    assert out_of_order("t", [heard(0, "b", 2), heard(1, "a", 1)]) == ["t: h 1 came after 2"]
