"""Where each partition stands: read under lock, written in the same transaction as the effects."""

import zlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol, TypeVar

from asyncpg import Record as Row

from postbox.message import Connection, Raw


class Place(NamedTuple):
    """A partition of a topic, as the broker names it (prefix included)."""

    topic: str
    partition: int


class Position(NamedTuple):
    """Where a partition stands. `last_record` is the checksum of the record before `next_offset`; `stopped`
    says why it waits for a person."""

    next_offset: int
    last_record: int | None = None
    stopped: str | None = None


class Placed(Raw, Protocol):
    """A record with its time, by which another log is told from this one."""

    @property
    def timestamp(self) -> int: ...


R = TypeVar("R", bound=Placed)

_LOCK = """
select p.topic, p.partition, p.next_offset, p.last_record, p.stopped
from position p join unnest($1::text[], $2::int[]) as t(topic, partition) using (topic, partition)
order by p.topic, p.partition for update of p
"""


async def lock(db: Connection, places: Iterable[Place]) -> dict[Place, Position]:
    """Where each partition stands, its row locked until the transaction ends; new ones start at 0."""
    wanted = sorted(places)
    topics, partitions = [place.topic for place in wanted], [place.partition for place in wanted]
    rows = await db.fetch(_LOCK, topics, partitions)
    if len(rows) < len(wanted):
        await db.execute(
            "insert into position (topic, partition) select * from unnest($1::text[], $2::int[]) "
            "on conflict do nothing",
            topics,
            partitions,
        )
        rows = await db.fetch(_LOCK, topics, partitions)
    return _by_place(rows)


async def advance(db: Connection, positions: Mapping[Place, Position]) -> None:
    """Write where each partition goes on, in one statement."""
    places = sorted(positions)
    await db.execute(
        "update position p set next_offset = t.next_offset, last_record = t.last_record, updated_at = now() "
        "from unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) "
        "as t(topic, partition, next_offset, last_record) "
        "where p.topic = t.topic and p.partition = t.partition",
        [place.topic for place in places],
        [place.partition for place in places],
        [positions[place].next_offset for place in places],
        [positions[place].last_record for place in places],
    )


async def read_all(db: Connection) -> dict[Place, Position]:
    """Where every partition stands, without locks."""
    return _by_place(
        await db.fetch("select topic, partition, next_offset, last_record, stopped from position")
    )


async def stop(db: Connection, reasons: Mapping[Place, str]) -> None:
    """Stop partitions until a person has looked; every process of the service sees it."""
    for place, reason in sorted(reasons.items()):
        await db.execute(
            "update position set stopped = $3 where topic = $1 and partition = $2", *place, reason
        )


async def rewind(db: Connection, offsets: Mapping[Place, int]) -> None:
    """Let partitions go on from an earlier offset; what was done already is recognised by its sequence."""
    for place, offset in sorted(offsets.items()):
        await db.execute(
            "update position set next_offset = $3, last_record = null, stopped = null "
            "where topic = $1 and partition = $2",
            *place,
            offset,
        )


def undone(records: list[R], position: Position) -> tuple[list[R], bool]:
    """The records of one partition that are still to do, and whether a gap lies before them.

    Records below the position were done already (a redelivery, or a zombie's).
    """
    left = [record for record in records if record.offset >= position.next_offset]
    return left, bool(left) and left[0].offset > position.next_offset


def is_another_log(records: Iterable[Placed], position: Position) -> bool:
    """Whether the record before the position is not the one that was done: the log was cut and written on."""
    before = position.next_offset - 1
    return any(
        record.offset == before and position.last_record not in (None, checksum(record)) for record in records
    )


def checksum(record: Placed) -> int:
    """A checksum of a record's time, key and value."""
    return zlib.crc32(record.value or b"", zlib.crc32(record.key or b"", record.timestamp & 0xFFFFFFFF))


def _by_place(rows: Iterable[Row]) -> dict[Place, Position]:
    return {
        Place(row["topic"], row["partition"]): Position(
            row["next_offset"], row["last_record"], row["stopped"]
        )
        for row in rows
    }
