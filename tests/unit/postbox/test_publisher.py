"""What the publisher leaves behind where there is no broker, and where it puts records where there is one."""

import asyncio
from collections.abc import Mapping
from typing import cast

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError

from postbox.outbox import STRANDS, Publisher, partition_of, strands
from postbox.packing import Kept, Parcel, Ready, parcels
from tonle.stack.process import free_port


async def test_a_producer_that_finds_no_broker_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[AIOKafkaProducer] = []
    stop = AIOKafkaProducer.stop

    async def noted(producer: AIOKafkaProducer) -> None:
        closed.append(producer)
        await stop(producer)

    monkeypatch.setattr(AIOKafkaProducer, "stop", noted)
    made: list[AIOKafkaProducer] = []

    def make() -> AIOKafkaProducer:
        made.append(AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{free_port()}"))
        return made[0]

    pool: asyncpg.Pool = asyncpg.create_pool()
    with pytest.raises(KafkaConnectionError):
        await Publisher(pool, make, "", frozenset()).start()
    assert closed == made


class Topics:
    """A producer that keeps what it is to send, by topic and partition; topics with so many partitions."""

    def __init__(self, partitions: Mapping[str, int]) -> None:
        self._partitions = partitions
        self.sent: dict[tuple[str, int], list[bytes]] = {}

    async def start(self) -> None: ...

    async def partitions_for(self, topic: str) -> range:
        return range(self._partitions[topic])

    async def send_batch(self, batch: Ready, topic: str, *, partition: int) -> "asyncio.Future[None]":
        parcel = Parcel(topic, bytes(batch._build()), [None] * batch.record_count())
        self.sent.setdefault((topic, partition), []).extend(each.value for each in parcel.opened())
        sent = asyncio.get_running_loop().create_future()
        sent.set_result(None)
        return sent


async def test_records_are_placed_as_every_client_does_however_many_partitions_there_are_by_now() -> None:
    topics = Topics({"one": 1, "two": 2, "three": 3, "more": 2 * STRANDS})
    by = [b"h%d" % number for number in range(40)]
    records = [Kept(topic, b"k", each, (), each) for topic in ("one", "two", "three", "more") for each in by]
    publisher = Publisher(asyncpg.create_pool(), lambda: cast(AIOKafkaProducer, topics), "", frozenset())
    rows = [(strand, parcels(said)) for strand, said in strands(records).items()]
    assert await publisher._send_rows(rows) == len(records)
    for topic in ("one", "two", "three", "more"):
        count = len(await topics.partitions_for(topic))
        for partition in range(count):
            there = [each for each in by if partition_of(each, count) == partition]
            assert sorted(topics.sent[topic, partition]) == sorted(there)
