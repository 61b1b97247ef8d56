"""SQL about cycles, their steps, money and what waits in them.

Cycles are locked before households, both in sorted order, so that no two batches wait for each other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from contracts.cycle import CycleState
from postbox.message import Connection
from services.payments.budget import Budget, Waiting
from services.payments.cycles import Cycle, Terms
from services.payments.ledger import Transfer

_CYCLES = """
select programme, programme_hash, purpose, period, reference_date, cap_household, cap_payments,
    state, version, prepared_by, decided_by, reason, proposed, funded, committed, released, payments,
    opening, issue_after
from cycle
"""
_TERMS = 7


@dataclass(frozen=True, slots=True)
class Turn:
    """The next chunk of a job: a cycle, what of it may be tried again, and the household to go on behind."""

    cycle: Cycle
    after: str

    @property
    def retries(self) -> list[Waiting]:
        """The reasons that may no longer hold."""
        if self.cycle.state is CycleState.CLOSED:
            return [each for each in Waiting if each is not Waiting.CLOSED]
        if self.cycle.state is not CycleState.APPROVED:
            return []
        counted = [Waiting.COUNT_CAP] if self.cycle.payments < self.cycle.terms.cap_payments else []
        return [Waiting.APPROVAL, Waiting.ENVELOPE, *counted]


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a cycle's story: who did what with it, and why."""

    version: int
    step: str
    actor: str
    reason: str | None
    at: datetime


async def lock(db: Connection, cycle_ids: Iterable[str]) -> dict[str, Budget]:
    """The cycles named, locked until the transaction ends, as budgets to spend from."""
    wanted = sorted(set(cycle_ids))
    if not wanted:
        return {}
    rows = await db.fetch(_CYCLES + "where cycle_id = any($1) order by cycle_id for update", wanted)
    cycles = [_cycle(row) for row in rows]
    return {cycle.cycle_id: Budget(cycle) for cycle in cycles}


async def all_cycles(db: Connection) -> list[Cycle]:
    """Every cycle, the latest period first."""
    return [_cycle(row) for row in await db.fetch(_CYCLES + "order by period desc, programme")]


async def find(db: Connection, cycle_id: str) -> Cycle | None:
    """One cycle, not locked."""
    row = await db.fetchrow(_CYCLES + "where cycle_id = $1", cycle_id)
    return _cycle(row) if row else None


async def save(db: Connection, cycle: Cycle, *, step: str, actor: str, at: datetime) -> None:
    """Write a cycle as one step left it, and the step; what waits in it is tried again."""
    terms = cycle.terms
    await db.execute(
        """
        insert into cycle (cycle_id, programme, programme_hash, purpose, period, reference_date,
            cap_household, cap_payments, state, version, prepared_by, decided_by, reason, proposed, funded,
            issue_after, opened_at, opening)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, '', $16, $17)
        on conflict (cycle_id) do update set programme_hash = excluded.programme_hash,
            purpose = excluded.purpose, reference_date = excluded.reference_date,
            cap_household = excluded.cap_household, cap_payments = excluded.cap_payments,
            state = excluded.state, version = excluded.version, prepared_by = excluded.prepared_by,
            decided_by = excluded.decided_by, reason = excluded.reason, proposed = excluded.proposed,
            funded = excluded.funded, issue_after = excluded.issue_after, opening = excluded.opening
        """,
        *(cycle.cycle_id, terms.programme, terms.programme_hash, terms.purpose, terms.period),
        *(terms.reference_date, terms.cap_household, terms.cap_payments, cycle.state, cycle.version),
        *(cycle.prepared_by, cycle.decided_by, cycle.reason, cycle.proposed, cycle.funded, at),
        cycle.opening,
    )
    await db.execute(
        "insert into cycle_step (cycle_id, version, step, state, actor, prepared_by, funded, proposed, "
        "reason, at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        *(cycle.cycle_id, cycle.version, step, cycle.state, actor, cycle.prepared_by),
        *(cycle.funded, cycle.proposed, cycle.reason, at),
    )


async def steps(db: Connection, cycle_id: str) -> list[Step]:
    """A cycle's story, first step first."""
    rows = await db.fetch(
        "select version, step, actor, reason, at from cycle_step where cycle_id = $1 order by version",
        cycle_id,
    )
    return [Step(*row) for row in rows]


async def spend(db: Connection, budgets: Iterable[Budget]) -> None:
    """Write what a batch committed: one update of each cycle it issued in."""
    spent = [budget for budget in budgets if budget.count]
    if spent:
        await db.execute(
            "update cycle c set committed = c.committed + t.riel, payments = c.payments + t.count "
            "from unnest($1::text[], $2::bigint[], $3::bigint[]) as t(cycle_id, riel, count) "
            "where c.cycle_id = t.cycle_id",
            [budget.cycle.cycle_id for budget in spent],
            [budget.committed for budget in spent],
            [budget.count for budget in spent],
        )


async def free(db: Connection, transfers: Sequence[Transfer]) -> None:
    """Give room back to the (locked) cycles; what waits for room is tried again."""
    freed = [transfer for transfer in transfers if transfer.frees]
    if freed:
        await db.execute(
            """
            update cycle c set released = c.released + t.riel, payments = c.payments - t.count,
                issue_after = ''
            from (select cycle_id, sum(amount)::bigint as riel, count(*) as count
                  from unnest($1::text[], $2::bigint[]) as u(cycle_id, amount) group by cycle_id) t
            where c.cycle_id = t.cycle_id
            """,
            [transfer.cycle_id for transfer in freed],
            [transfer.amount for transfer in freed],
        )


async def next_turn(db: Connection) -> Turn | None:
    """A cycle in which something may be issued, not locked; None when all have been gone through."""
    row = await db.fetchrow(_CYCLES + "where issue_after is not null order by cycle_id limit 1")
    return Turn(_cycle(row), row["issue_after"]) if row else None


async def go_on(db: Connection, turn: Turn, after: str | None) -> None:
    """Where the next chunk starts, None when through; a change in between has sent it back to the start."""
    await db.execute(
        "update cycle set issue_after = $3 where cycle_id = $1 and issue_after = $2",
        turn.cycle.cycle_id,
        turn.after,
        after,
    )


async def waiting_in(db: Connection, turn: Turn, most: int) -> list[str]:
    """The next households that wait in a turn's cycle for a reason that may no longer hold, not locked."""
    cycle = turn.cycle
    rows = await db.fetch(
        "select household_id from decision where cycle_id = $1 and household_id > $2 and waiting = any($3) "
        "and (waiting <> 'envelope' or amount <= $4 or $5) order by household_id limit $6",
        cycle.cycle_id,
        turn.after,
        turn.retries,
        cycle.room,
        cycle.state is CycleState.CLOSED,
        most,
    )
    return [row["household_id"] for row in rows]


async def held_back(db: Connection, most: int) -> list[tuple[str, str]]:
    """(cycle, household) of decisions that wait for a hold to be lifted."""
    rows = await db.fetch(
        "select cycle_id, household_id from decision where waiting = 'hold' order by 1, 2 limit $1", most
    )
    return [(row["cycle_id"], row["household_id"]) for row in rows]


def _cycle(row: asyncpg.Record) -> Cycle:
    return Cycle(
        Terms(*row[:_TERMS]),
        CycleState(row["state"]),
        row["version"],
        tuple(row["prepared_by"]),
        *row[_TERMS + 3 : _TERMS + 11],
    )
