"""SQL of the calendar: runs, whose milestones are due, and when the next ones are."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import NamedTuple

import asyncpg

from postbox.message import Connection
from services.eligibility import store_told
from services.eligibility.grounds import Registration
from services.eligibility.households import Household
from services.eligibility.store import WITH_REGISTRATION


class Run(NamedTuple):
    """A run up to a day, its row locked."""

    day: date


async def begin(db: Connection, day: date, by: str, now: datetime) -> None:
    """Have milestones reached up to a day, unless that was asked for before."""
    await db.execute(
        "insert into calendar_run (day, asked_by, asked_at) values ($1, $2, $3) on conflict do nothing",
        day,
        by,
        now,
    )


async def begin_again(db: Connection, day: date, by: str, now: datetime) -> None:
    """Have milestones reached up to a day, also where a run did so before; one still at work goes on."""
    await db.execute(
        """
        insert into calendar_run as r (day, asked_by, asked_at) values ($1, $2, $3)
        on conflict (day) do update set asked_by = excluded.asked_by, asked_at = excluded.asked_at,
            finished_at = null, households = 0, milestones = 0, rescored = 0
        where r.finished_at is not null
        """,
        day,
        by,
        now,
    )


async def next_run(db: Connection) -> Run | None:
    """The earliest unfinished run that no other process works on now."""
    row = await db.fetchrow(
        "select day from calendar_run where finished_at is null order by day limit 1 for update skip locked"
    )
    return Run(*row) if row else None


async def due(db: Connection, day: date, most: int) -> list[tuple[Household, Registration]]:
    """Households with a milestone by a day, locked with their registrations, in the order of their ids."""
    rows = await db.fetch(
        f"""
        {WITH_REGISTRATION}
        where household_id in (select household_id from registration where due_on <= $1
                order by due_on limit $2)
            and r.due_on <= $1
        order by household_id for update of h, r
        """,  # noqa: S608 - constants
        day,
        most,
    )
    return await store_told.paired(db, rows)


async def put_off(db: Connection, next_on: Mapping[str, date | None]) -> None:
    """Write the day of each household's next milestone."""
    if next_on:
        names = sorted(next_on)
        await db.execute(
            "update registration r set due_on = t.due_on from unnest($1::text[], $2::date[])"
            " as t(household_id, due_on) where r.household_id = t.household_id",
            names,
            [next_on[name] for name in names],
        )


async def add_failures(db: Connection, day: date, reasons: Mapping[str, str], now: datetime) -> None:
    """Write which households' milestones can't be read, and why."""
    if reasons:
        await db.execute(
            """
            insert into calendar_failure (household_id, day, reason, at)
            select t.household_id, $1, t.reason, $2 from unnest($3::text[], $4::text[])
                as t(household_id, reason)
            on conflict (household_id) do update set day = excluded.day, reason = excluded.reason,
                at = excluded.at
            """,
            day,
            now,
            list(reasons),
            list(reasons.values()),
        )


async def go_on(
    db: Connection, turn: Run, counts: tuple[int, int, int], finished_at: datetime | None
) -> None:
    """Write how far a run got: households seen, milestones told, households decided anew."""
    await db.execute(
        """
        update calendar_run set households = households + $2, milestones = milestones + $3,
            rescored = rescored + $4, finished_at = $5
        where day = $1
        """,
        turn.day,
        *counts,
        finished_at,
    )


async def runs(db: Connection, most: int) -> list[asyncpg.Record]:
    """The latest runs, the last day first."""
    return await db.fetch("select * from calendar_run order by day desc limit $1", most)


async def find_run(db: Connection, day: date) -> asyncpg.Record | None:
    """The run of a day."""
    return await db.fetchrow("select * from calendar_run where day = $1", day)


async def outlook(db: Connection) -> dict[str, int]:
    """How many households have a milestone ahead, and of how many it can't be read."""
    row = await db.fetchrow(
        "select (select count(*) from registration where due_on is not null) as ahead,"
        " (select count(*) from calendar_failure) as failed"
    )
    assert row is not None
    return dict(row)
