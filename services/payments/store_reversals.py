"""SQL about counter-entries of wrongly booked ones: asked for, decided, and what they move."""

from datetime import datetime
from typing import NamedTuple

import asyncpg

from postbox.message import Connection
from services.payments.ledger import Kind
from services.payments.reversals import Reversal, ReversalState

_COLUMNS = (
    "number, household_id, subject, kind, cycle_id, amount, state, proposed_by, reason, decided_by, "
    "decision_reason"
)


class Entry(NamedTuple):
    """What was booked."""

    kind: Kind
    cycle_id: str
    amount: int


async def entry(db: Connection, household_id: str, subject: str, kind: str) -> Entry | None:
    """One entry of the ledger."""
    row = await db.fetchrow(
        "select kind, cycle_id, amount from every_transfer "
        "where household_id = $1 and subject = $2 and kind = $3",
        *(household_id, subject, kind),
    )
    return Entry(Kind(row[0]), row[1], row[2]) if row else None


async def propose(db: Connection, asked: Reversal, at: datetime) -> int | None:
    """Write what is asked; its number, or None where this entry's was asked for or approved before."""
    found: int | None = await db.fetchval(
        "insert into reversal (household_id, subject, kind, cycle_id, amount, state, proposed_by, reason, "
        "at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing returning number",
        *(asked.household_id, asked.subject, asked.kind, asked.cycle_id, asked.amount, asked.state),
        *(asked.proposed_by, asked.reason, at),
    )
    return found


async def find(db: Connection, number: int) -> Reversal | None:
    """What is asked under this number and nobody has decided, not locked: cycle and household come first."""
    row = await db.fetchrow(
        f"select {_COLUMNS} from reversal where number = $1 and state = 'proposed'",  # noqa: S608 - a constant
        number,
    )
    return _reversal(row) if row else None


async def listed(db: Connection, *, decided: bool, most: int) -> list[Reversal]:
    """What waits for a second person, the oldest first; or what was decided, the latest first."""
    order = "decided_at desc" if decided else "at"
    rows = await db.fetch(
        f"select {_COLUMNS} from reversal where (state <> 'proposed') = $1 "  # noqa: S608 - constants
        f"order by {order}, number limit $2",
        decided,
        most,
    )
    return [_reversal(row) for row in rows]


async def decide(db: Connection, decided: Reversal, at: datetime) -> bool:
    """Write a decision; False where another one was faster."""
    done = await db.fetchval(
        "update reversal set state = $2, decided_by = $3, decision_reason = $4, decided_at = $5 "
        "where number = $1 and state = 'proposed' returning true",
        *(decided.number, decided.state, decided.decided_by, decided.decision_reason, at),
    )
    return bool(done)


def _reversal(row: asyncpg.Record) -> Reversal:
    number, household_id, subject, kind, cycle_id, amount, state, *rest = row
    return Reversal(
        *(number, household_id, subject, Kind(kind), cycle_id, amount, ReversalState(state)), *rest
    )
