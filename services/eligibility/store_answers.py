"""SQL about which cycles are answered, partition by partition, and what payments was told of it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from postbox.message import Connection


class Opening(NamedTuple):
    """A cycle's opening, by the number of its event; `cause_id` is that event."""

    cycle_id: str
    number: int
    cause_id: str


class Answer(NamedTuple):
    """An opening on one partition: households registered below this offset of their topic belong to it."""

    opening: Opening
    partition: int
    registered_below: int


class Told(NamedTuple):
    """What payments is told of it: answers stand below this offset, so many households have none."""

    answer: Answer
    answered_below: int
    unanswered: int


async def new_openings(db: Connection) -> list[Opening]:
    """Openings whose partitions nobody noted yet."""
    rows = await db.fetch(
        """
        select cycle_id, version, cause_id from caseload c where since is null and not exists (
            select from answer a where (a.cycle_id, a.opening) = (c.cycle_id, c.version))
        order by cycle_id, version
        """
    )
    return [Opening(*row) for row in rows]


async def note(db: Connection, openings: Sequence[Opening], ends: Mapping[int, int]) -> None:
    """Note where each partition's log ended once these openings were known; what is noted stays."""
    rows = [(each.cycle_id, each.number, *end) for each in openings for end in sorted(ends.items())]
    await db.executemany(
        "insert into answer (cycle_id, opening, partition, registered_below) values ($1, $2, $3, $4) "
        "on conflict do nothing",
        rows,
    )


async def untold(db: Connection, topic: str) -> list[Answer]:
    """Partitions that payments was not told of, of openings whose caseload is done; locked in order.

    Left out are those that another process tells now, and those with a message of households (on `topic`)
    that is tried again by itself.
    """
    rows = await db.fetch(
        """
        select a.cycle_id, a.opening, c.cause_id, a.partition, a.registered_below
        from answer a join caseload c on (c.cycle_id, c.version) = (a.cycle_id, a.opening)
        where a.told_at is null and c.finished_at is not null and not exists (
            select from parked p where p.topic = $1 and p.partition = a.partition
                and p.handling = 'wait' and p."offset" < a.registered_below)
        order by a.cycle_id, a.opening, a.partition for update of a skip locked
        """,
        topic,
    )
    return [Answer(Opening(*row[:3]), *row[3:]) for row in rows]


async def parked(db: Connection, topic: str) -> dict[int, int]:
    """Households with a parked message of this topic, by partition."""
    rows = await db.fetch(
        "select partition, count(distinct key) from parked where topic = $1 group by partition", topic
    )
    return {row[0]: row[1] for row in rows}


async def failures(db: Connection, openings: Collection[Opening]) -> dict[tuple[str, int], list[str]]:
    """Households that could not be judged anew, by (cycle, opening)."""
    rows = await db.fetch(
        "select cycle_id, version, array_agg(household_id) from caseload_failure where cycle_id = any($1) "
        "group by 1, 2",
        sorted({each.cycle_id for each in openings}),
    )
    return {(row[0], row[1]): row[2] for row in rows}


async def tell(db: Connection, told: Sequence[Told], now: datetime) -> None:
    """Write what payments is told."""
    await db.executemany(
        "update answer set answered_below = $4, unanswered = $5, told_at = $6 "
        "where cycle_id = $1 and opening = $2 and partition = $3",
        [
            (*each.answer.opening[:2], each.answer.partition, each.answered_below, each.unanswered, now)
            for each in told
        ],
    )
