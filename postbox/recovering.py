"""A log that lost records is seen and refilled: the database syncs each commit, the broker does not."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from time import monotonic, time

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError
from asyncpg import Pool

from postbox import positions
from postbox.batch import pause
from postbox.broker import Broker, stop
from postbox.positions import Place, Position

WITNESS_S = 3.0
POSITION_S = 0.5


class Watch:
    """Compares the positions of this process's partitions with what their logs hold."""

    def __init__(
        self, broker: Broker, db: Pool, consumer: Callable[[], AIOKafkaConsumer | None], every_s: float
    ):
        """`every_s`: how often the record before each position is read again."""
        self._broker = broker
        self._db = db
        self._consumer = consumer
        self._every_s = every_s
        self._looked: tuple[frozenset[TopicPartition], float] = (frozenset(), 0.0)
        self._left: dict[Place, int] = {}

    async def look(self) -> None:
        """Stop partitions whose log got shorter, and let go on those that were put right."""
        consumer = self._consumer()
        assigned = frozenset(consumer.assignment()) if consumer is not None else frozenset()
        if consumer is None or not assigned:
            return
        async with self._db.acquire() as db:
            stood = await positions.read_all(db)
        for place in consumer.paused():
            position = stood.get(Place(*place), Position(0))
            if position.stopped is None:
                consumer.seek(place, position.next_offset)
                consumer.resume(place)
        mine = {Place(*place): stood[Place(*place)] for place in assigned if Place(*place) in stood}
        ends = await consumer.end_offsets([TopicPartition(*place) for place in mine]) if mine else {}
        await self._read_again(consumer, mine, ends)
        reasons = _shorter(mine, ends)
        known, at = self._looked
        if assigned != known or monotonic() - at >= self._every_s:
            self._looked = assigned, monotonic()
            reasons |= await _rewritten(self._broker, _without(mine, reasons))
        await self._stop(consumer, {place: why for place, why in reasons.items() if not stood[place].stopped})

    async def _read_again(
        self, consumer: AIOKafkaConsumer, mine: Mapping[Place, Position], ends: Mapping[TopicPartition, int]
    ) -> None:
        """Go back where all was read and some is not done since the last look: a database was restored."""
        left = {
            place: at.next_offset
            for place, at in mine.items()
            if at.stopped is None and at.next_offset < ends[_tp(place)]
        }
        for place in left.keys() & self._left.keys():
            if left[place] == self._left[place]:
                with suppress(IllegalStateError, TimeoutError):  # no position is known while it is reset
                    at = await asyncio.wait_for(consumer.position(_tp(place)), POSITION_S)
                    if at >= ends[_tp(place)]:
                        consumer.seek(_tp(place), left[place])
        self._left = left

    async def _stop(self, consumer: AIOKafkaConsumer, reasons: Mapping[Place, str]) -> None:
        if reasons:
            async with self._db.acquire() as db:
                await positions.stop(db, reasons)
        for place, reason in reasons.items():
            pause(consumer, place, reason)


async def rewind(broker: Broker, db: Pool, topics: Collection[str], since_s: float) -> dict[Place, int]:
    """Let partitions that are stopped, or whose log lost what was done, go on from what was written `since_s`
    seconds ago, or from where they stood if that is earlier; returns where.

    What is read twice is recognised: by its sequence, or by a natural key.
    """
    async with db.acquire() as connection:
        kept = await positions.read_all(connection)
        stood = {place: at for place, at in kept.items() if place.topic in topics}
        if not stood:
            return {}
        consumer = AIOKafkaConsumer(**broker.options)
        try:
            await consumer.start()
            ends = await consumer.end_offsets([_tp(place) for place in stood])
            lost = {place for place, at in stood.items() if at.stopped} | _shorter(stood, ends).keys()
            lost |= (await _rewritten(broker, _without(stood, lost))).keys()
            since_ms = int((time() - since_s) * 1000)
            found = await consumer.offsets_for_times({_tp(place): since_ms for place in lost})
        finally:
            await stop(consumer)
        written = {place: at.offset if (at := found[_tp(place)]) else ends[_tp(place)] for place in lost}
        offsets = {place: min(written[place], stood[place].next_offset) for place in lost}
        await positions.rewind(connection, offsets)
        return offsets


async def _rewritten(broker: Broker, mine: Mapping[Place, Position]) -> dict[Place, str]:
    """Partitions whose record before the position is not the one that was done."""
    wanted = {place: at for place, at in mine.items() if at.last_record is not None and at.next_offset > 0}
    if not wanted:
        return {}
    consumer = AIOKafkaConsumer(**broker.options, auto_offset_reset="none", max_partition_fetch_bytes=4096)
    try:
        await consumer.start()
        consumer.assign([TopicPartition(*place) for place in wanted])
        for place, position in wanted.items():
            consumer.seek(TopicPartition(*place), position.next_offset - 1)
        reasons: dict[Place, str] = {}
        left, until = set(wanted), monotonic() + WITNESS_S
        while left and monotonic() < until:
            for found, records in (await consumer.getmany(*map(_tp, left), timeout_ms=200)).items():
                left.discard(Place(*found))
                if positions.is_another_log(records[:1], wanted[Place(*found)]):
                    reasons[Place(*found)] = "its log was cut short and written on"
        return reasons
    finally:
        await stop(consumer)


def _shorter(mine: Mapping[Place, Position], ends: Mapping[TopicPartition, int]) -> dict[Place, str]:
    return {
        place: f"its log ends at {ends[_tp(place)]}, before what was done"
        for place, at in mine.items()
        if at.next_offset > ends[_tp(place)]
    }


def _without(all_: Mapping[Place, Position], some: Collection[Place]) -> dict[Place, Position]:
    return {place: at for place, at in all_.items() if place not in some}


def _tp(place: Place) -> TopicPartition:
    return TopicPartition(*place)
