"""Where each partition stands: read under lock, written in the same transaction as the effects."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol, TypeVar

from postbox.message import Connection


class Place(NamedTuple):
    """A partition of a topic, as the broker names it (prefix included)."""

    topic: str
    partition: int


class Placed(Protocol):
    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...


R = TypeVar("R", bound=Placed)

_LOCK = """
select p.topic, p.partition, p.next_offset
from position p join unnest($1::text[], $2::int[]) as t(topic, partition) using (topic, partition)
order by p.topic, p.partition for update of p
"""


async def lock(db: Connection, places: Iterable[Place]) -> dict[Place, int]:
    """The next offset of each partition, its row locked until the transaction ends; new ones start at 0."""
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
    return {Place(row["topic"], row["partition"]): row["next_offset"] for row in rows}


async def advance(db: Connection, next_offsets: Mapping[Place, int]) -> None:
    """Write where each partition goes on, in one statement."""
    places = sorted(next_offsets)
    await db.execute(
        "update position p set next_offset = t.next_offset, updated_at = now() "
        "from unnest($1::text[], $2::int[], $3::bigint[]) as t(topic, partition, next_offset) "
        "where p.topic = t.topic and p.partition = t.partition",
        [place.topic for place in places],
        [place.partition for place in places],
        [next_offsets[place] for place in places],
    )


async def read_all(db: Connection) -> dict[Place, int]:
    """Every partition's next offset, without locks."""
    rows = await db.fetch("select topic, partition, next_offset from position")
    return {Place(row["topic"], row["partition"]): row["next_offset"] for row in rows}


def undone(records: list[R], next_offset: int) -> tuple[list[R], bool]:
    """The records of one partition that are still to do, and whether a gap lies before them.

    Records below `next_offset` were done already (a redelivery, or a zombie's).
    """
    left = [record for record in records if record.offset >= next_offset]
    return left, bool(left) and left[0].offset > next_offset
