"""SQL of shocks: declared and ended, and how far the households of their communes were scored again."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

import asyncpg

from postbox.message import Connection
from services.eligibility import store_told
from services.eligibility.grounds import Registration
from services.eligibility.households import Household
from services.eligibility.shocks import Shock
from services.eligibility.store import WITH_REGISTRATION, shock_of

_SHOWN = """
    select s.name, s.kind, s.first_day, s.last_day, s.ended_on, s.communes, s.version, s.declared_by,
        s.declared_at, s.ended_by, s.ended_at, j.judged_on, j.households, j.seen, j.scored, j.created_at,
        j.finished_at, array(select f.household_id || ': ' || f.reason from shock_failure f
            where (f.name, f.version) = (j.name, j.version) order by 1 limit 20) as failed
    from shock s join shock_job j using (name, version)
"""


class Turn(NamedTuple):
    """A shock's job whose next chunk this transaction does; `after` is the last household seen.

    `judged_on`: households are judged as of this day where they have no cycle; None leaves them as they are.
    """

    name: str
    version: int
    cause_id: str
    judged_on: date | None
    communes: Sequence[str]
    after: str


async def find(db: Connection, name: str) -> Shock | None:
    """A shock by name, locked."""
    row = await db.fetchrow("select * from shock where name = $1 for update", name)
    return shock_of(row) if row else None


async def declare(db: Connection, shock: Shock, by: str, now: datetime) -> None:
    """Write a shock that was not declared before."""
    await db.execute(
        """
        insert into shock (name, kind, communes, first_day, last_day, version, declared_by, declared_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        *(shock.name, shock.kind, sorted(shock.communes), shock.first_day, shock.last_day, shock.version),
        *(by, now),
    )


async def end(db: Connection, shock: Shock, by: str, now: datetime) -> None:
    """Write the day that a shock was ended on."""
    await db.execute(
        "update shock set ended_on = $2, version = $3, ended_by = $4, ended_at = $5 where name = $1",
        *(shock.name, shock.ended_on, shock.version, by, now),
    )


async def add_job(db: Connection, shock: Shock, judged_on: date | None, now: datetime) -> None:
    """Have the households of a shock's communes scored again, with how many there are."""
    await db.execute(
        """
        insert into shock_job (name, version, cause_id, judged_on, households, created_at)
        select $1, $2, $3, $4, count(*), $5 from registration r join household h using (household_id)
        where r.commune = any($6) and h.revision > h.exit_revision
        """,
        *(shock.name, shock.version, shock.event_id, judged_on, now, sorted(shock.communes)),
    )


async def next_turn(db: Connection) -> Turn | None:
    """The oldest unfinished job that no other process works on now, its row locked."""
    row = await db.fetchrow(
        """
        select j.name, j.version, j.cause_id, j.judged_on, s.communes, j.after
        from shock_job j join shock s using (name) where j.finished_at is null
        order by j.created_at, j.name, j.version limit 1 for update of j skip locked
        """
    )
    return Turn(*row) if row else None


async def chunk_of(db: Connection, turn: Turn, most: int) -> list[tuple[Household, Registration]]:
    """The next households of a shock's communes with their sealed events, locked, by id."""
    rows = await db.fetch(
        f"""
        {WITH_REGISTRATION}
        where household_id > $1 and r.commune = any($2) and h.revision > h.exit_revision
        order by household_id limit $3 for update of h
        """,
        turn.after,
        turn.communes,
        most,
    )
    return await store_told.paired(db, rows)


async def go_on(
    db: Connection, turn: Turn, seen: Sequence[str], scored: int, finished_at: datetime | None
) -> None:
    """Write how far a job got: the households seen, by id, and how many were scored."""
    await db.execute(
        """
        update shock_job set seen = seen + $3, scored = scored + $4, after = $5, finished_at = $6
        where name = $1 and version = $2
        """,
        *(turn.name, turn.version, len(seen), scored, seen[-1] if seen else turn.after, finished_at),
    )


async def add_failures(db: Connection, turn: Turn, reasons: Mapping[str, str], now: datetime) -> None:
    """Write which households (by id) can't be scored, and why."""
    if reasons:
        await db.execute(
            "insert into shock_failure (name, version, household_id, reason, at)"
            " select $1, $2, t.*, $5 from unnest($3::text[], $4::text[]) as t",
            *(turn.name, turn.version, list(reasons), list(reasons.values()), now),
        )


async def every(db: Connection) -> list[asyncpg.Record]:
    """Every shock with its latest job, the last declared first; of households that failed at most 20."""
    return await db.fetch(f"{_SHOWN} order by s.declared_at desc, s.name")


async def one(db: Connection, name: str) -> asyncpg.Record | None:
    """A shock with its latest job."""
    return await db.fetchrow(f"{_SHOWN} where s.name = $1", name)
