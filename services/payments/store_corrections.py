"""SQL about what households were paid too little or too much, and what is written off."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from postbox.message import Connection
from services.payments.corrections import WriteOff, WriteOffState

_COLUMNS = "household_id, programme, number, amount, state, proposed_by, reason, decided_by, decision_reason"
BALANCES = """
select household_id, programme, sum(riel)::bigint as riel from (
    select household_id, programme, entitled - amount as riel from payment
        where entitled <> amount and not superseded and (live or state = 'settled_late')
    union all
    select household_id, programme, amount from write_off where state = 'approved') as part
group by household_id, programme
"""
"""What is owed to each household by programme, as a query."""


class Open(NamedTuple):
    """What a programme owes a household (riel above zero), or paid it too much (below).

    `goes_on`: it is entitled in a cycle of the programme that is not closed.
    """

    household_id: str
    programme: str
    riel: int
    goes_on: bool


class Part(NamedTuple):
    """A payment that differs from what is due of its key: its part is `entitled` - `amount`."""

    payment_id: str
    programme: str
    period: str
    state: str
    amount: int
    carried: int
    entitled: int


async def written_off(db: Connection, household_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Riel written off, by household and programme."""
    rows = await db.fetch(
        "select household_id, programme, sum(amount)::bigint from write_off "
        "where household_id = any($1) and state = 'approved' group by 1, 2",
        household_ids,
    )
    found: dict[str, dict[str, int]] = {}
    for household_id, programme, riel in rows:
        found.setdefault(household_id, {})[programme] = riel
    return found


async def balances(db: Connection, after: tuple[str, str], most: int) -> list[Open]:
    """A page of the balances that are not zero, by (household, programme)."""
    rows = await db.fetch(
        "select household_id, programme, riel, exists ("  # noqa: S608
        "select from every_decision d join cycle c using (cycle_id) "
        "where d.household_id = open.household_id and d.programme = open.programme "
        "and d.outcome = 'eligible' and c.state not in ('closed', 'refused')) "
        f"from ({BALANCES}) as open where riel <> 0 "
        "and (household_id, programme) > ($1, $2) order by 1, 2 limit $3",
        *(*after, most),
    )
    return [Open(*row) for row in rows]


async def balance(db: Connection, household_id: str, programme: str) -> int:
    """One household's balance in riel; its row stays locked, so that nothing else is carried meanwhile."""
    await db.execute("select from household where household_id = $1 for update", household_id)
    one = f"select riel from ({BALANCES}) as open where household_id = $1 and programme = $2"  # noqa: S608
    return await db.fetchval(one, household_id, programme) or 0


async def parts(db: Connection, household_id: str) -> list[Part]:
    """The payments that make a household's balances, the oldest period first."""
    rows = await db.fetch(
        "select payment_id, programme, period, state, amount, carried, entitled from payment "
        "where household_id = $1 and entitled <> amount and not superseded order by period, programme",
        household_id,
    )
    return [Part(*row) for row in rows]


async def write_offs(db: Connection, household_id: str | None, most: int) -> list[WriteOff]:
    """A household's write-offs; without one, those that wait for a second person."""
    rows = await db.fetch(
        f"select {_COLUMNS} from write_off "  # noqa: S608 - a constant
        "where household_id = $1 or ($1::text is null and state = 'proposed') order by at limit $2",
        household_id,
        most,
    )
    return [_write_off(row) for row in rows]


async def open_write_off(db: Connection, household_id: str, programme: str) -> WriteOff | None:
    """What was proposed for a (locked) household, and nobody has decided."""
    row = await db.fetchrow(
        f"select {_COLUMNS} from write_off "  # noqa: S608 - a constant
        "where household_id = $1 and programme = $2 and state = 'proposed'",
        household_id,
        programme,
    )
    return _write_off(row) if row else None


async def next_number(db: Connection, household_id: str, programme: str) -> int:
    """The number of a (locked) household's next write-off."""
    found: int = await db.fetchval(
        "select coalesce(max(number), 0) + 1 from write_off where household_id = $1 and programme = $2",
        household_id,
        programme,
    )
    return found


async def keep(db: Connection, each: WriteOff, now: datetime) -> None:
    """Write a proposal, or what was decided of it."""
    await db.execute(
        f"insert into write_off ({_COLUMNS}, at) "  # noqa: S608 - a constant
        "values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
        "on conflict (household_id, programme, number) do update set state = excluded.state, "
        "decided_by = excluded.decided_by, decision_reason = excluded.decision_reason, decided_at = $10",
        *(each.household_id, each.programme, each.number, each.amount, each.state, each.proposed_by),
        *(each.reason, each.decided_by, each.decision_reason, now),
    )


def _write_off(row: asyncpg.Record) -> WriteOff:
    household_id, programme, number, amount, state, *rest = row
    return WriteOff(household_id, programme, number, amount, WriteOffState(state), *rest)
