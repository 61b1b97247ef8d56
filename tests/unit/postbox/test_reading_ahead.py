"""Tables are read to their end before what refers to them."""

from collections.abc import Sequence
from typing import cast

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from postbox.batch import Limits, Loop, Tools, Work
from postbox.courier import Courier
from postbox.message import Batch, Connection, Subscription
from postbox.telemetry import Metrics, Tracing
from tests.faults import counting

TABLE, EVENTS = "table", "events"


class Consumer:
    """Of the table's two records the second was not polled yet."""

    def __init__(self) -> None:
        self.asked = 0
        self.at = 1

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition(TABLE, 0), TopicPartition(EVENTS, 0)}

    def paused(self) -> set[TopicPartition]:
        return set()

    async def end_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        self.asked += 1
        return dict.fromkeys(places, 2)

    async def position(self, _: TopicPartition) -> int:
        return self.at

    async def getmany(self, place: TopicPartition, **_: int) -> dict[TopicPartition, list[ConsumerRecord]]:
        self.at = 2
        return {place: [record(TABLE, 1)]}


def record(topic: str, offset: int) -> ConsumerRecord:
    return ConsumerRecord(topic, 0, offset, 0, 0, b"k", b"v", None, 1, 1, ())


async def handled(
    monkeypatch: pytest.MonkeyPatch, polled: Sequence[ConsumerRecord]
) -> tuple[list[str], Consumer]:
    """What the loop handles of a poll, `topic/offset`, and whom it asked."""

    async def handler(_: Batch[counting.Number], __: Connection) -> Sequence[counting.Counted]:
        return []

    async def note(_: Loop, records: Sequence[ConsumerRecord], __: object) -> Work:
        seen.extend(f"{each.topic}/{each.offset}" for each in records)
        return Work()

    seen: list[str] = []
    monkeypatch.setattr(Loop, "_do", note)
    to = {
        name: Subscription(name, counting.decode, handler, counting.Number, compacted=name == TABLE)
        for name in (TABLE, EVENTS)
    }
    metrics, tracing = Metrics(), Tracing("counting", None, None)
    tools = Tools("counting", to, "", cast(Courier, None), tracing, metrics, Limits(), lambda _: None)
    consumer = Consumer()
    await Loop(tools).handle(polled, cast(AIOKafkaConsumer, consumer))
    return seen, consumer


async def test_a_table_is_read_to_its_end_before_an_event_that_was_polled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen, _ = await handled(monkeypatch, [record(EVENTS, 0), record(TABLE, 0)])
    assert seen == [f"{TABLE}/0", f"{TABLE}/1", f"{EVENTS}/0"]


async def test_where_a_table_alone_was_polled_nobody_asks_where_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen, consumer = await handled(monkeypatch, [record(TABLE, 0)])
    assert (seen, consumer.asked) == ([f"{TABLE}/0"], 0)
