"""SQL that reads the ledger: balances at an instant, and a household's postings. Nothing here writes."""

from datetime import datetime
from typing import NamedTuple

from postbox.message import Connection


class Balance(NamedTuple):
    """Debits minus credits of one account of a cycle, in riel."""

    cycle_id: str
    account: str
    riel: int
    postings: int


class Entry(NamedTuple):
    """One transfer: `amount` riel into `debit`, out of `credit`."""

    at: datetime
    cycle_id: str
    household_id: str
    subject: str
    kind: str
    debit: str
    credit: str
    amount: int


async def balances(db: Connection, at: datetime | None, cycle_id: str | None) -> list[Balance]:
    """Every account of every cycle (or of one) as it stood at an instant; now, where none is given."""
    rows = await db.fetch(
        "select cycle_id, account, sum(amount)::bigint, count(*) from posting "
        "where ($1::timestamptz is null or at <= $1) and ($2::text is null or cycle_id = $2) "
        "group by 1, 2 order by 1, 2",
        at,
        cycle_id,
    )
    return [Balance(*row) for row in rows]


async def entries(db: Connection, household_id: str) -> list[Entry]:
    """Every transfer of a household's payments, the oldest first."""
    rows = await db.fetch(
        "select at, cycle_id, household_id, subject, kind, debit, credit, amount from transfer "
        "where household_id = $1 order by at, subject, kind",
        household_id,
    )
    return [Entry(*row) for row in rows]
