"""The SQL of coverage: how far a count got, and the reports that came of it."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

import asyncpg
from pydantic_core import from_json, to_json

from postbox.message import Connection
from services.eligibility.coverage import Counts


class Counting(NamedTuple):
    """A count that is not finished: the last household seen, and the sums so far."""

    as_of: date
    after: str
    counts: Counts


async def start(db: Connection, as_of: date, now: datetime, *, again: bool) -> None:
    """Have a day's coverage counted; one that was counted or is being counted stays, unless `again`."""
    await db.execute(
        """
        insert into coverage (as_of, households, started_at)
        select $1, count(*), $2 from household where revision > exit_revision
        on conflict (as_of) do update set households = excluded.households, started_at = excluded.started_at,
            seen = 0, unreadable = 0, after = '', counts = '{}', report = null, finished_at = null
        where $3 and coverage.finished_at is not null
        """,
        as_of,
        now,
        again,
    )


async def next_counting(db: Connection) -> Counting | None:
    """The oldest unfinished count that no other process works on now, its row locked."""
    row = await db.fetchrow(
        """
        select as_of, after, counts from coverage where finished_at is null
        order by started_at, as_of limit 1 for update skip locked
        """
    )
    return Counting(row["as_of"], row["after"], from_json(row["counts"])) if row else None


async def go_on(db: Connection, counting: Counting, seen: Sequence[str], unreadable: int) -> None:
    """Write the sums so far, the households seen (by id), and how many of them could not be read."""
    await db.execute(
        """
        update coverage set seen = seen + $2, unreadable = unreadable + $3, after = $4, counts = $5
        where as_of = $1
        """,
        counting.as_of,
        len(seen),
        unreadable,
        seen[-1] if seen else counting.after,
        to_json(counting.counts).decode(),
    )


async def finish(db: Connection, as_of: date, report: dict[str, object], now: datetime) -> None:
    """Keep the report, and the sums no longer."""
    await db.execute(
        "update coverage set counts = '{}', report = $2, finished_at = $3 where as_of = $1",
        as_of,
        to_json(report).decode(),
        now,
    )


async def coverages(db: Connection) -> list[asyncpg.Record]:
    """Every count, the latest first, with how far it got."""
    return await db.fetch(
        "select as_of, households, seen, started_at, finished_at from coverage order by as_of desc"
    )


async def coverage_of(db: Connection, as_of: date) -> asyncpg.Record | None:
    """A day's count with its report; None where none was started."""
    return await db.fetchrow(
        """
        select as_of, households, seen, unreadable, report, started_at, finished_at
        from coverage where as_of = $1
        """,
        as_of,
    )
