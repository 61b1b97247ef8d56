"""The rules of the loop that need neither broker nor database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from aiokafka.partitioner import DefaultPartitioner

from postbox import message
from postbox.errors import BEHIND, Park, Wait, is_transient, reason_of
from postbox.message import Batch, Headers, Subscription
from postbox.outbox import STRANDS, lanes_of, strands
from postbox.parking import DeadLetter, dead_letter
from postbox.positions import Position, checksum, is_another_log, undone
from postbox.reading import read, read_all, tables_first


@dataclass(slots=True)
class Added:
    key: str
    amount: int
    traceparent: str = ""


class At(NamedTuple):
    offset: int
    value: bytes | None = b"v"
    key: bytes | None = b"k"
    timestamp: int = 1_700_000_000_000
    topic: str = "t"
    partition: int = 0
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Raw(NamedTuple):
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    topic: str = "t"
    partition: int = 0
    offset: int = 7


def add(total: tuple[str, int] | None, event: Added) -> tuple[str, int] | None:
    if event.amount < 0:
        raise Park("negative")
    return (event.key, (total[1] if total else 0) + event.amount) if event.amount else None


async def handle_none(*_: object) -> list[DeadLetter]:
    return []


def decode(_: str, key: bytes | None, value: bytes | None, __: Headers) -> Added:
    return Added((key or b"").decode(), int(value or b""))


def batch(*events: tuple[str, int], holds: bool = False) -> Batch[Added]:
    return Batch([Added(key, amount) for key, amount in events], datetime.now(UTC), holds=holds)


def test_a_keys_second_message_sees_the_effect_of_its_first() -> None:
    assert batch(("b", 1), ("a", 2), ("b", 3)).fold({"b": ("b", 10)}, add) == [("a", 2), ("b", 14)]


def test_a_message_that_changes_nothing_is_not_saved() -> None:
    assert batch(("a", 0)).fold({"a": ("a", 1)}, add) == []


def test_a_message_that_cannot_be_handled_parks_alone() -> None:
    some = batch(("a", 1), ("a", -1), ("a", 2), ("b", 5))
    assert some.fold({}, add) == [("a", 3), ("b", 5)]
    assert [(each.index, each.handling, each.reason) for each in some.parked] == [(1, "park", "negative")]


def test_on_moneys_path_later_messages_of_a_parked_key_wait_behind_it() -> None:
    some = batch(("a", -1), ("a", 2), ("b", 5), holds=True)
    assert some.fold({}, add) == [("b", 5)]
    assert [(each.index, each.handling, each.reason) for each in some.parked] == [
        (0, "park", "negative"),
        (1, "behind", BEHIND),
    ]


def test_a_key_is_held_by_what_waits_and_on_moneys_path_by_what_is_parked() -> None:
    def subscription(*, holds: bool) -> Subscription:
        return Subscription("t", lambda *_: Added("a", 1), handle_none, Added, holds=holds)

    assert subscription(holds=False).key_is_held("wait")
    assert not subscription(holds=False).key_is_held("park")
    assert subscription(holds=True).key_is_held("park")


def test_records_below_the_position_are_done_and_a_gap_is_seen() -> None:
    assert undone([At(3), At(4), At(5)], Position(5)) == ([At(5)], False)
    assert undone([At(3), At(4)], Position(5)) == ([], False)
    assert undone([At(7), At(8)], Position(5)) == ([At(7), At(8)], True)


def test_tables_are_read_first_and_in_their_order_whatever_was_polled_of_them_already() -> None:
    polled = [At(0), At(7, topic="table"), At(1), At(8, topic="table")]
    ahead = [At(9, topic="table"), At(10, topic="table")]
    found = tables_first(polled, ahead, {"table"})
    assert [(each.topic, each.offset) for each in found[:4]] == [("table", at) for at in (7, 8, 9, 10)]
    assert found[4:] == [At(0), At(1)]


def test_where_many_cannot_be_read_in_one_go_each_is_read_alone_and_the_bad_one_says_why() -> None:
    def decode_all(_: str, records: Sequence[message.Raw]) -> list[Added]:
        asked.append(len(records))
        return [decode("", each.key, each.value, ()) for each in records]

    asked: list[int] = []
    to = Subscription(
        "t", decode, handle_none, Added, wants=lambda value: value != b"0", decode_all=decode_all
    )
    good = [At(0, b"1", b"a"), At(1, b"0"), At(2, b"3", b"b")]
    assert read_all(to, good) == [*read(to, good[0]), *read(to, good[2])]
    found = read_all(to, [*good, At(3, b"x", b"c"), At(4, b"5", b"a")])
    assert [each.key for each in found] == ["a", "b", "c", "a"]
    assert [each.event for each in found if each.key != "c"] == [Added("a", 1), Added("b", 3), Added("a", 5)]
    assert isinstance(found[2].event, ValueError)
    assert asked == [2, 4]


def test_where_reading_in_one_go_gives_too_few_each_is_read_alone_and_once() -> None:
    to = Subscription("t", decode, handle_none, Added, decode_all=lambda *_: [Added("a", 1)])
    records = [At(0, b"1", b"a"), At(1, b"2", b"b")]
    assert [each.event for each in read_all(to, records)] == [Added("a", 1), Added("b", 2)]


def test_a_log_that_was_cut_and_written_on_is_recognised_by_the_record_before_the_position() -> None:
    position = Position(5, checksum(At(4)))
    assert not is_another_log([At(3), At(4), At(5)], position)
    assert is_another_log([At(3), At(4, b"other")], position)
    assert not is_another_log([At(5, b"other")], position)


def test_what_a_batch_says_of_the_keys_of_a_strand_is_one_lane_in_its_order() -> None:
    keys = (b"a", b"b", b"c", b"d", b"a")
    lanes = lanes_of([DeadLetter("out", key, b"%d" % at, ()) for at, key in enumerate(keys)])
    assert len({lane.strand for lane in lanes}) == len(lanes) > 1
    assert sorted(int(record.value) for lane in lanes for record in lane.records) == [0, 1, 2, 3, 4]
    for lane in lanes:
        assert lane.name == f"loop/{lane.strand}"
        said = [int(record.value) for record in lane.records]
        assert said == sorted(said)


def test_a_row_of_the_outbox_knows_which_partition_its_records_belong_to() -> None:
    for length in range(40):
        key = bytes(7 * at % 256 for at in range(length))
        (strand,) = strands([DeadLetter("out", b"other", b"", (), key), DeadLetter("out", key, b"", ())])
        for count in (1, 2, STRANDS):
            assert strand % count == DefaultPartitioner()(key, list(range(count)), [])


def test_a_dead_letter_keeps_the_bytes_and_says_why_and_where() -> None:
    letter = dead_letter(
        "s.dead", Raw(b"\xff", b"\x00\xfe", (("h", None), ("g", b"\xff"))), [3, 4], "why", datetime.now(UTC)
    )
    assert (letter.key, letter.value) == (b"\xff", b"\x00\xfe")
    headers = dict(letter.headers)
    assert headers["g"] == b"\xff"
    assert "h" not in headers
    assert (headers["dead_letter_reason"], headers["dead_letter_offset"]) == (b"why", b"7")
    assert headers["dead_letter_items"] == b"3 4"


def test_a_reason_never_quotes_an_error_that_was_not_written_for_it() -> None:
    assert reason_of(Wait("key-missing")) == "key-missing"
    assert reason_of(ValueError("Sok Dara +85512345678")) == "error: ValueError"


def test_connections_locks_and_time_outs_are_tried_again() -> None:
    assert is_transient(ConnectionResetError())
    assert is_transient(TimeoutError())
    assert not is_transient(ValueError())
