"""SQL of appeals: prepared, decided once, and who did either."""

from datetime import datetime
from typing import NamedTuple

import asyncpg

from contracts.sealed import Sealed
from postbox.message import Connection
from services.eligibility import store, store_told
from services.eligibility.grounds import SealedAppeal
from services.eligibility.households import Household

_SHOWN = "appeal_id, household_id, revision, verdict, prepared_by, prepared_at, decided_by, decided_at"


class Prepared(NamedTuple):
    """An appeal that nobody decided yet."""

    appeal_id: str
    household_id: str
    revision: int
    ruling: Sealed
    prepared_by: str
    prepared_at: datetime


async def add(db: Connection, made: Prepared) -> None:
    """Write a prepared appeal."""
    await db.execute(
        "insert into appeal (appeal_id, household_id, revision, key_id, ruling, prepared_by, prepared_at)"
        " values ($1, $2, $3, $4, $5, $6, $7)",
        made.appeal_id,
        made.household_id,
        made.revision,
        made.ruling.key_id,
        made.ruling.blob,
        made.prepared_by,
        made.prepared_at,
    )


async def lock(db: Connection, appeal_id: str) -> asyncpg.Record | None:
    """An appeal whole, locked."""
    return await db.fetchrow("select * from appeal where appeal_id = $1 for update", appeal_id)


async def decide(db: Connection, appeal: SealedAppeal, by: str, now: datetime) -> None:
    """Write how an appeal was decided, by whom, and its number within the household."""
    await db.execute(
        "update appeal set verdict = $2, number = $3, decided_by = $4, decided_at = $5 where appeal_id = $1",
        appeal.appeal_id,
        appeal.verdict,
        appeal.number,
        by,
        now,
    )


async def whole(db: Connection, household_id: str) -> Household | None:
    """A household, locked, with what is registered and told of it; None for one that is not known."""
    found = list((await store.load(db, [household_id])).values())
    return (await store_told.with_registrations(db, found)).get(household_id)


async def latest(db: Connection, household_id: str) -> list[asyncpg.Record]:
    """The latest 100 appeals, of one household where it is named."""
    return await db.fetch(
        f"select {_SHOWN} from appeal where $1 = '' or household_id = $1"  # noqa: S608 - constants
        " order by prepared_at desc, appeal_id limit 100",
        household_id,
    )
