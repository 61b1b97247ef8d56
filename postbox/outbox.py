"""Outgoing records: written in the caller's transaction, published after it, each key's in order.

A lane names who wrote; a strand is a share of the keys, and a lane of its own for the loop. Publishing a lane
publishes its strands whole, so that what one lane says of a key never overtakes what another said before.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from struct import unpack_from
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from asyncpg import Pool

from postbox.broker import stop
from postbox.message import Connection, Outgoing
from postbox.packing import Kept, Parcel, Ready, pack, pages, parcels, unpack

STRANDS = 4
"""A multiple of the usual partition count: then a batch of one partition is in one strand."""
LOOP_LANES = tuple(f"loop/{strand}" for strand in range(STRANDS))
ROWS_AT_ONCE = 64
HASHES_KEPT = 16_384
"""What is said of a key is followed by more of it: an instruction, its reports."""

MakeProducer = Callable[[], AIOKafkaProducer]
Written = Mapping[int, Sequence[Parcel]]
"""Rows of the outbox by id, as who wrote them still has them: they need not be read back to be published."""
_UNPUBLISHED = """
select id, strand, case when id = any($3) then null else outbox_messages(id) end as messages
from outbox where published_at is null
    and (lane = any($1)
        or strand in (select strand from outbox where lane = any($1) and published_at is null))
order by id limit $2 for update
"""
# The clock's time: the transaction may have begun long before the broker had them.
_PUBLISHED = "update outbox set published_at = clock_timestamp() where id = any($1)"


class Lane(NamedTuple):
    """What goes into one row: records of a strand, and by which name they are found."""

    name: str
    strand: int
    records: Sequence[Outgoing]


async def write(db: Connection, lane: str, records: Sequence[Outgoing]) -> Written:
    """Put records in the outbox on the caller's connection; publish after its transaction committed."""
    return await write_lanes(db, [Lane(lane, *said) for said in strands(records).items()])


async def write_lanes(db: Connection, lanes: Sequence[Lane]) -> Written:
    """One row for each, what its records say in pages beside it. No two may be of one strand."""
    if not lanes:
        return {}
    found = await db.fetch(
        "insert into outbox (lane, strand, message_count) "
        "select * from unnest($1::text[], $2::int[], $3::int[]) returning id, strand",
        [lane.name for lane in lanes],
        [lane.strand for lane in lanes],
        [len(lane.records) for lane in lanes],
    )
    said_by = {lane.strand: parcels(lane.records) for lane in lanes}
    written = {id_: said_by[strand] for id_, strand in found}
    parts = [(id_, *part) for id_, said in written.items() for part in enumerate(pages(pack(said)))]
    await db.copy_records_to_table("outbox_page", records=parts, columns=("outbox_id", "number", "part"))
    return written


async def backlog(db: Connection) -> int:
    """How many messages wait to be published."""
    count = await db.fetchval(
        "select coalesce(sum(message_count), 0)::bigint from outbox where published_at is null"
    )
    return int(count)


async def waiting_s(db: Connection) -> float:
    """How long the oldest message has waited to be published; 0 where none waits."""
    seconds = await db.fetchval(
        "select coalesce(extract(epoch from now() - min(created_at)), 0)::float from outbox "
        "where published_at is null"
    )
    return float(seconds)


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
        self._started: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def publish(self, *lanes: str, written: Written | None = None) -> int:
        """Publish what the lanes hold, and what must go out before it; returns how many messages.

        `written`: what of it the caller wrote and committed itself. Safe to call from several processes.
        """
        own = written or {}
        sent = 0
        while True:
            async with self._pool.acquire() as db, db.transaction():
                rows = await db.fetch(_UNPUBLISHED, sorted(set(lanes)), ROWS_AT_ONCE, list(own))
                sent += await self._send_rows(
                    (row["strand"], own.get(row["id"]) or unpack(row["messages"])) for row in rows
                )
                if rows:
                    await db.execute(_PUBLISHED, [row["id"] for row in rows])
            if len(rows) < ROWS_AT_ONCE:
                return sent

    async def start(self) -> None:
        """Connect to the broker."""
        await self._producer()

    async def stop(self) -> None:
        """Disconnect; the next publication connects anew."""
        producer, self._started = self._started, None
        if producer is not None:
            await stop(producer)

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
            "with old as (delete from outbox where id in (select id from outbox "
            "where published_at < now() - make_interval(secs => $1) limit 1000) returning id) "
            "delete from outbox_page where outbox_id in (select id from old)",
            older_than_s,
        )

    async def publish_again(self, since_s: float) -> int:
        """Let what was published in the last `since_s` seconds go out again; returns how many will."""
        # Rows being published are waited for: part of them may have gone out before the broker failed.
        count = await self._pool.fetchval(
            "with lately as (select id from outbox where published_at is null "
            "or published_at >= now() - make_interval(secs => $1) order by id for update), "
            "again as (update outbox set published_at = null where id in (select id from lately) "
            "returning message_count) "
            "select coalesce(sum(message_count), 0)::bigint from again",
            since_s,
        )
        return int(count)

    async def _producer(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._started is None:
                producer = self._make_producer()
                try:
                    await producer.start()
                except BaseException:
                    await stop(producer)  # or its connections and tasks stay, one for each try
                    raise
                self._started = producer
            return self._started

    async def _send_rows(self, rows: Iterable[tuple[int, Sequence[Parcel]]]) -> int:
        """Each strand's rows in their order, strands beside each other."""
        strands: dict[int, list[Parcel]] = {}
        for strand, said in rows:
            strands.setdefault(strand, []).extend(said)
        # All are waited for, so that nothing is sent any more once the rows are no longer locked.
        done = await asyncio.gather(
            *(self._send(strand, said) for strand, said in strands.items()),
            return_exceptions=True,
        )
        for found in done:
            if isinstance(found, BaseException):
                raise found
        return message_count(strands)

    async def _send(self, strand: int, said: Sequence[Parcel]) -> None:
        by_topic: dict[str, list[Parcel]] = {}
        for parcel in said:
            by_topic.setdefault(parcel.topic, []).append(parcel)
        try:
            for topics in (by_topic.keys() & self._first, by_topic.keys() - self._first):
                await asyncio.gather(*(self._send_to(topic, strand, by_topic[topic]) for topic in topics))
        except KafkaError:
            # What an idempotent producer knows of its sequences may be beyond repair: a new one starts anew.
            await self.stop()
            raise

    async def _send_to(self, topic: str, strand: int, said: Sequence[Parcel]) -> None:
        producer, name = await self._producer(), self._prefix + topic
        count = len(await producer.partitions_for(name))
        if STRANDS % count == 0:  # a strand is a share of a partition then
            await _send_batches(producer, name, strand % count, said)
            return
        places: dict[int, list[Kept]] = {}
        for record in chain.from_iterable(parcel.opened() for parcel in said):
            places.setdefault(partition_of(_placed_by(record), count), []).append(record)
        await asyncio.gather(
            *(_send_batches(producer, name, place, parcels(there)) for place, there in places.items())
        )


def message_count(said: Mapping[int, Iterable[Parcel]]) -> int:
    """How many messages rows, or strands, hold."""
    return sum(parcel.message_count for parcel in chain.from_iterable(said.values()))


def lanes_of(records: Sequence[Outgoing]) -> list[Lane]:
    """A batch's records: each strand is a lane of its own, whichever partitions they were caused by."""
    return [Lane(LOOP_LANES[strand], strand, said) for strand, said in strands(records).items()]


async def _send_batches(
    producer: AIOKafkaProducer, topic: str, partition: int, said: Sequence[Parcel]
) -> None:
    # One after another: nothing may be there before what goes before it, should that fail.
    for each in said:
        await (await producer.send_batch(Ready(each.batch), topic, partition=partition))


def strands(records: Sequence[Outgoing]) -> dict[int, list[Outgoing]]:
    """Records by strand, in order within each: the strand of a key names its partition, too."""
    strand_of: dict[bytes, int] = {}
    found: dict[int, list[Outgoing]] = {}
    for record in records:
        by = _placed_by(record)
        strand = strand_of.get(by)
        if strand is None:
            strand = strand_of[by] = _hash(by) % STRANDS
        found.setdefault(strand, []).append(record)
    return found


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a topic with so many that every Kafka client puts this key on."""
    return _hash(key) % partitions


def _placed_by(record: Outgoing) -> bytes:
    return record.key if record.partition_by is None else record.partition_by


@lru_cache(HASHES_KEPT)
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
