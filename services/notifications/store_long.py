"""SQL about long SMS whose parts come one by one."""

from datetime import datetime
from typing import NamedTuple

from postbox.message import Connection


class Long(NamedTuple):
    """A long SMS as far as it came, encrypted."""

    long_id: str
    kept: bytes


async def lock(db: Connection, long_id: str, due_at: datetime) -> bytes | None:
    """What came of a long SMS, locked until the transaction ends; None where this is its first part."""
    kept: bytes = await db.fetchval(
        "insert into long_message (long_id, kept, waits, due_at) values ($1, '', true, $2)"
        " on conflict (long_id) do update set long_id = excluded.long_id returning kept",
        long_id,
        due_at,
    )
    return kept or None


async def keep(db: Connection, long: Long, *, waits: bool, due_at: datetime) -> None:
    """Write down what came of it, and when it is looked at again."""
    await db.execute(
        "update long_message set kept = $2, waits = $3, due_at = $4 where long_id = $1",
        *long,
        waits,
        due_at,
    )


async def overdue(db: Connection, now: datetime, most: int) -> list[Long]:
    """Those that waited long enough, locked; others skip them."""
    rows = await db.fetch(
        "select long_id, kept from long_message where waits and due_at <= $1"
        " order by due_at limit $2 for update skip locked",
        now,
        most,
    )
    return [Long(*row) for row in rows]


async def forget(db: Connection, now: datetime) -> None:
    """Delete those of which nothing waits, once no part of them may come again."""
    await db.execute("delete from long_message where not waits and due_at <= $1", now)
