"""Outgoing records: written in the caller's transaction, published after it, each key's in order.

A lane names who wrote; a strand is a share of the keys. Publishing a lane publishes its strands whole, so
that what one lane says of a key never overtakes what another said before.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from struct import unpack_from
from typing import NamedTuple

import msgpack
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from asyncpg import Pool
from asyncpg import Record as Row

from postbox.message import Connection, Outgoing

STRANDS = 4
"""A multiple of the usual partition count: then a batch of one partition is in one strand."""
ROWS_AT_ONCE = 64

MakeProducer = Callable[[], AIOKafkaProducer]
_Packed = tuple[str, bytes, bytes, Sequence[tuple[str, bytes]], bytes | None]
_UNPUBLISHED = """
select id, strand, messages from outbox where published_at is null
    and (lane = any($1) or strand is null
        or strand in (select strand from outbox where lane = any($1) and published_at is null))
order by id limit $2 for update
"""


class Lane(NamedTuple):
    """Records with a common origin: those one source partition caused, or one kind of API write."""

    name: str
    next_offset: int | None
    records: Sequence[Outgoing]


async def write(db: Connection, lane: str, records: Sequence[Outgoing]) -> None:
    """Put records in the outbox on the caller's connection; publish after its transaction committed."""
    await write_lanes(db, [Lane(lane, None, records)])


async def write_lanes(db: Connection, lanes: Iterable[Lane]) -> None:
    """One row per lane and strand that has records, in one statement."""
    rows = [
        (lane.name, lane.next_offset, strand, len(records), _pack(records))
        for lane in lanes
        for strand, records in strands(lane.records).items()
    ]
    if rows:
        await db.execute(
            "insert into outbox (lane, next_offset, strand, message_count, messages) "
            "select * from unnest($1::text[], $2::bigint[], $3::int[], $4::int[], $5::bytea[])",
            *zip(*rows, strict=True),
        )


async def backlog(db: Connection) -> int:
    """How many messages wait to be published."""
    count = await db.fetchval(
        "select coalesce(sum(message_count), 0)::bigint from outbox where published_at is null"
    )
    return int(count)


class Publisher:
    """Publishes strands: holds their rows locked, sends everything unpublished in order, marks it."""

    def __init__(
        self, pool: Pool, make_producer: MakeProducer, topic_prefix: str, first: frozenset[str]
    ) -> None:
        """`first`: topics whose records must be on the broker before the rest of their row is sent."""
        self._pool = pool
        self._make_producer = make_producer
        self._prefix = topic_prefix
        self._first = first
        self._partitions: dict[str, int] = {}
        self._started: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def publish(self, *lanes: str) -> int:
        """Publish what the lanes hold, and what must go out before it; returns how many messages.

        Safe to call from several processes.
        """
        sent = 0
        while True:
            async with self._pool.acquire() as db, db.transaction():
                rows = await db.fetch(_UNPUBLISHED, sorted(set(lanes)), ROWS_AT_ONCE)
                sent += await self._send_rows(rows)
                if rows:
                    ids = [row["id"] for row in rows]
                    await db.execute("update outbox set published_at = now() where id = any($1)", ids)
            if len(rows) < ROWS_AT_ONCE:
                return sent

    async def start(self) -> None:
        """Connect to the broker."""
        await self._producer()

    async def stop(self) -> None:
        """Disconnect; the next publication connects anew."""
        producer, self._started = self._started, None
        if producer is not None:
            await producer.stop()

    async def sweep(self, older_than_s: float) -> int:
        """Publish what a crash left behind: every lane with a row older than that."""
        rows = await self._pool.fetch(
            "select distinct lane from outbox where published_at is null "
            "and created_at < now() - make_interval(secs => $1) order by lane",
            older_than_s,
        )
        return sum([await self.publish(row["lane"]) for row in rows])

    async def forget_published(self, older_than_s: float) -> None:
        """Delete rows that were published long enough ago."""
        await self._pool.execute(
            "delete from outbox where id in (select id from outbox "
            "where published_at < now() - make_interval(secs => $1) limit 1000)",
            older_than_s,
        )

    async def publish_again(self, since_s: float) -> int:
        """Let what was published in the last `since_s` seconds go out again; returns how many messages."""
        count = await self._pool.fetchval(
            "with again as (update outbox set published_at = null "
            "where published_at >= now() - make_interval(secs => $1) returning message_count) "
            "select coalesce(sum(message_count), 0)::bigint from again",
            since_s,
        )
        return int(count)

    async def _producer(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._started is None:
                producer = self._make_producer()
                await producer.start()
                self._started = producer
            return self._started

    async def _send_rows(self, rows: Sequence[Row]) -> int:
        """Each strand's rows in their order, strands beside each other; rows without one go first."""
        strands: dict[int | None, list[bytes]] = {None: []}
        for row in rows:
            strands.setdefault(row["strand"], []).append(row["messages"])
        sent = await self._send_strand(None, strands.pop(None))
        # All are waited for, so that nothing is sent any more once the rows are no longer locked.
        done = await asyncio.gather(
            *(self._send_strand(*each) for each in strands.items()), return_exceptions=True
        )
        for found in done:
            if isinstance(found, BaseException):
                raise found
            sent += found
        return sent

    async def _send_strand(self, strand: int | None, rows: Sequence[bytes]) -> int:
        return sum([await self._send(msgpack.unpackb(row, use_list=False), strand) for row in rows])

    async def _send(self, messages: Sequence[_Packed], strand: int | None) -> int:
        try:
            return await self._send_all(await self._producer(), messages, strand)
        except KafkaError:
            # What an idempotent producer knows of its sequences may be beyond repair: a new one starts anew.
            await self.stop()
            raise

    async def _send_all(
        self, producer: AIOKafkaProducer, messages: Sequence[_Packed], strand: int | None
    ) -> int:
        first = [message for message in messages if message[0] in self._first]
        rest = [message for message in messages if message[0] not in self._first]
        for part in (first, rest):
            by_place: dict[tuple[str, int], list[_Packed]] = {}
            for message in part:
                topic, key, _, _, place = message
                where = self._prefix + topic
                by = key if place is None else place
                partition = await self._partition(producer, where, by, strand)
                by_place.setdefault((where, partition), []).append(message)
            await asyncio.gather(*(_send_to(producer, *place, some) for place, some in by_place.items()))
        return len(messages)

    async def _partition(self, producer: AIOKafkaProducer, topic: str, key: bytes, strand: int | None) -> int:
        count = self._partitions.get(topic)
        if count is None:
            count = len(await producer.partitions_for(topic))
            self._partitions[topic] = count
        if strand is not None and STRANDS % count == 0:  # spares the hash, which Python computes slowly
            return strand % count
        return _hash(key) % count


def lanes_of(
    records: Sequence[Outgoing], lane_of_key: Mapping[bytes, str], next_offsets: Mapping[str, int]
) -> list[Lane]:
    """Sort a batch's records into the lanes of the partitions that caused them, by their key.

    `next_offsets` names every lane of the batch; a record of another key goes into the first of them.
    """
    default = min(next_offsets)
    lanes: dict[str, list[Outgoing]] = {}
    for record in records:
        lanes.setdefault(lane_of_key.get(record.key, default), []).append(record)
    return [Lane(name, next_offsets.get(name), lanes[name]) for name in sorted(lanes)]


async def _send_to(
    producer: AIOKafkaProducer, topic: str, partition: int, messages: Sequence[_Packed]
) -> None:
    # Whole batches cost a third of what `send` costs per message; those of one partition stay in order.
    sent = []
    batch = producer.create_batch()
    for _, key, value, headers, _ in messages:
        if batch.append(timestamp=None, key=key, value=value, headers=list(headers)) is None:
            sent.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(timestamp=None, key=key, value=value, headers=list(headers))
    sent.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*sent)


def strands(records: Sequence[Outgoing]) -> dict[int, list[Outgoing]]:
    """Records by strand, in order within each: the strand of a key names its partition, too."""
    strand_of: dict[bytes, int] = {}
    found: dict[int, list[Outgoing]] = {}
    for record in records:
        by = record.key if record.partition_by is None else record.partition_by
        strand = strand_of.get(by)
        if strand is None:
            strand = strand_of[by] = _hash(by) % STRANDS
        found.setdefault(strand, []).append(record)
    return found


def _hash(key: bytes) -> int:
    """Murmur2 without its sign, as every Kafka client places a key; aiokafka's takes twice as long."""
    whole = len(key) & ~3
    found = 0x9747B28C ^ len(key)
    for word in unpack_from(f"<{whole >> 2}I", key):
        mixed = word * 0x5BD1E995 & 0xFFFFFFFF
        found = (found * 0x5BD1E995 ^ (mixed ^ mixed >> 24) * 0x5BD1E995) & 0xFFFFFFFF
    if len(key) > whole:
        found = (found ^ int.from_bytes(key[whole:], "little")) * 0x5BD1E995 & 0xFFFFFFFF
    found = (found ^ found >> 13) * 0x5BD1E995 & 0xFFFFFFFF
    return (found ^ found >> 15) & 0x7FFFFFFF


def _pack(records: Sequence[Outgoing]) -> bytes:
    rows = [(r.topic, r.key, r.value, r.headers, r.partition_by) for r in records]
    return msgpack.packb(rows)  # type: ignore[no-any-return]
