"""SQL about holds that people place."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from postbox.message import Connection
from services.payments.holds import Held, Hold

_COLUMNS = (
    "hold_id, household_id, account_digest, reason, placed_by, placed_at, released_by, released_at, "
    "release_reason, released_list"
)


async def held(db: Connection, household_ids: Sequence[str]) -> Held:
    """Which of these households are held, and every account that is."""
    rows = await db.fetch(
        "select household_id, account_digest from payment_hold where released_at is null "
        "and (household_id = any($1) or account_digest is not null)",
        household_ids,
    )
    return Held(
        frozenset(row[0] for row in rows if row[0] is not None),
        frozenset(row[1] for row in rows if row[1] is not None),
    )


async def place(db: Connection, hold: Hold) -> Hold | None:
    """Write a new hold; None where the same one stands already."""
    row = await db.fetchrow(
        f"insert into payment_hold ({_COLUMNS}) "  # noqa: S608 - a constant
        "values ($1, $2, $3, $4, $5, $6, null, null, null, null) on conflict do nothing returning 1",
        *(hold.hold_id, hold.household_id, hold.account_digest, hold.reason),
        *(hold.placed_by, hold.placed_at),
    )
    return hold if row else None


async def standing(db: Connection, hold: Hold) -> str:
    """The id of the hold that stands on this one's household for the same reason."""
    found: str = await db.fetchval(
        "select hold_id from payment_hold where household_id = $1 and reason = $2 and released_at is null",
        hold.household_id,
        hold.reason,
    )
    return found


async def find(db: Connection, hold_id: str) -> Hold | None:
    """One hold, locked."""
    row = await db.fetchrow(
        f"select {_COLUMNS} from payment_hold where hold_id = $1 for update",  # noqa: S608 - a constant
        hold_id,
    )
    return _hold(row) if row else None


async def of_list(db: Connection, version: str, most: int) -> list[Hold]:
    """Holds that stand for likenesses in this screening list alone, locked."""
    rows = await db.fetch(
        f"select {_COLUMNS} from payment_hold h where released_at is null "  # noqa: S608 - a constant
        "and hold_id in (select hold_id from screening_hit where list = $1) and not exists ("
        "select from screening_hit s where s.hold_id = h.hold_id and s.list is distinct from $1) "
        "order by hold_id limit $2 for update",
        version,
        most,
    )
    return [_hold(row) for row in rows]


async def release(db: Connection, holds: Sequence[Hold], now: datetime) -> None:
    """Write that holds are released; what waited for them is tried again."""
    await db.executemany(
        "update payment_hold set released_by = $2, released_at = $3, release_reason = $4, released_list = $5 "
        "where hold_id = $1",
        [
            (each.hold_id, each.released_by, each.released_at, each.release_reason, each.released_list)
            for each in holds
        ],
    )
    # `hold` is what the job looks through; what another hold still holds comes back to `held`.
    await db.executemany(
        "update decision set waiting = 'hold' where waiting = 'held' "
        "and ($1::text is null or household_id = $1)",
        [(each.household_id,) for each in holds],
    )
    await db.executemany(
        "update reissue set due_at = $2 where waiting = 'held' and ($1::text is null or household_id = $1)",
        [(each.household_id, now) for each in holds],
    )


async def listed(db: Connection, household_id: str | None, *, released: bool, most: int) -> list[Hold]:
    """Holds that stand, or those that were released; of one household where it is named. Oldest first."""
    rows = await db.fetch(
        f"select {_COLUMNS} from payment_hold "  # noqa: S608 - a constant
        "where (released_at is not null) = $1 and ($2::text is null or household_id = $2) "
        "order by placed_at, hold_id limit $3",
        *(released, household_id, most),
    )
    return [_hold(row) for row in rows]


def _hold(row: asyncpg.Record) -> Hold:
    return Hold(*row)
