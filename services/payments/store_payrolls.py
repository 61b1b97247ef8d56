"""SQL about payrolls: lists frozen a chunk at a time, decisions on them, and what of them is released."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import NamedTuple

import asyncpg

from postbox.message import Connection
from services.payments.budget import Waiting
from services.payments.payroll import Line, Payroll, PayrollState, Verdict

AT_ONCE = 5000
_FREEZABLE = (Waiting.APPROVAL, Waiting.PAYROLL, Waiting.CHANGED, Waiting.ENVELOPE, Waiting.COUNT_CAP)
_PAYROLLS = """
select cycle_id, number, state, prepared_by, approvers, households, riel, digest, array(
    select actor from payroll_decision d where (d.cycle_id, d.number) = (p.cycle_id, p.number)
        and verdict = 'approve' order by at) as approved_by, freeze_after
from payroll p
"""


class Decided(NamedTuple):
    """One person's decision on a payroll."""

    actor: str
    verdict: Verdict
    reason: str
    at: datetime


class Freezing(NamedTuple):
    """A payroll being frozen, its row locked, and the household to go on behind."""

    payroll: Payroll
    after: str


async def insert(db: Connection, payroll: Payroll, now: datetime) -> None:
    """Write a payroll whose freezing begins."""
    await db.execute(
        "insert into payroll (cycle_id, number, state, prepared_by, begun_at) values ($1, $2, $3, $4, $5)",
        *(payroll.cycle_id, payroll.number, payroll.state, payroll.prepared_by, now),
    )


async def of_cycle(db: Connection, cycle_id: str) -> list[Payroll]:
    """A cycle's payrolls, the first first; locked until the transaction ends."""
    rows = await db.fetch(_PAYROLLS + "where cycle_id = $1 order by number for update of p", cycle_id)
    return [_payroll(row) for row in rows]


async def next_freezing(db: Connection) -> Freezing | None:
    """A payroll that is being frozen, and that no other process works on now."""
    row = await db.fetchrow(
        _PAYROLLS + "where state = 'freezing' order by begun_at limit 1 for update of p skip locked"
    )
    return Freezing(_payroll(row), row["freeze_after"]) if row else None


async def freezable(db: Connection, freezing: Freezing, most: int) -> list[str]:
    """The next households that wait in the cycle and nothing but an approval holds back, by id."""
    rows = await db.fetch(
        "select household_id from decision where cycle_id = $1 and household_id > $2 and waiting = any($3) "
        "order by household_id limit $4",
        *(freezing.payroll.cycle_id, freezing.after, list(_FREEZABLE), most),
    )
    return [row[0] for row in rows]


async def add_lines(db: Connection, payroll: Payroll, lines: Sequence[Line], after: str) -> None:
    """Write the next lines of a payroll, and the household to go on behind."""
    await db.copy_records_to_table(
        "payroll_line",
        columns=("cycle_id", "number", *Line._fields),
        records=[(payroll.cycle_id, payroll.number, *line) for line in lines],
    )
    await db.execute(
        "update payroll set freeze_after = $3, households = households + $4 "
        "where cycle_id = $1 and number = $2",
        *(payroll.cycle_id, payroll.number, after, len(lines)),
    )


async def keep_out(db: Connection, cycle_id: str, kept_out: Mapping[str, Waiting]) -> None:
    """Write why these (locked) households are on no list, so that they are seen to wait for it."""
    await db.execute(
        "update decision d set waiting = t.waiting from unnest($2::text[], $3::text[]) "
        "as t(household_id, waiting) where d.cycle_id = $1 and d.household_id = t.household_id "
        "and d.waiting is not null",
        *(cycle_id, list(kept_out), list(kept_out.values())),
    )


async def lines(db: Connection, cycle_id: str, number: int) -> AsyncIterator[list[Line]]:
    """Pages of a payroll's lines, by household id in the order of bytes. The caller holds a transaction."""
    cursor = await db.cursor(
        "select household_id, amount, decision_id, payee_digest from payroll_line "
        'where cycle_id = $1 and number = $2 order by household_id collate "C"',
        cycle_id,
        number,
    )
    while page := await cursor.fetch(AT_ONCE):
        yield [Line(*row) for row in page]


async def save(db: Connection, payroll: Payroll, now: datetime) -> None:
    """Write a payroll as a step left it; `frozen_at` is the first time it is not `freezing`."""
    await db.execute(
        "update payroll set state = $3, approvers = $4, households = $5, riel = $6, digest = $7, "
        "frozen_at = case when $7::text is not null then coalesce(frozen_at, $8) end "
        "where cycle_id = $1 and number = $2",
        *(payroll.cycle_id, payroll.number, payroll.state, payroll.approvers),
        *(payroll.households, payroll.riel, payroll.digest, now),
    )


async def decide(
    db: Connection, payroll: Payroll, verdict: Verdict, *, by: str, reason: str, at: datetime
) -> None:
    """Write one person's decision."""
    await db.execute(
        "insert into payroll_decision (cycle_id, number, actor, verdict, digest, reason, at) "
        "values ($1, $2, $3, $4, $5, $6, $7)",
        *(payroll.cycle_id, payroll.number, by, verdict, payroll.digest, reason, at),
    )


async def decisions(db: Connection, payroll: Payroll) -> list[Decided]:
    """Who decided what of a payroll, the first first."""
    rows = await db.fetch(
        "select actor, verdict, reason, at from payroll_decision where cycle_id = $1 and number = $2 "
        "order by at",
        payroll.cycle_id,
        payroll.number,
    )
    return [Decided(row[0], Verdict(row[1]), row[2], row[3]) for row in rows]


async def released(db: Connection, cycle_id: str, household_ids: Sequence[str]) -> dict[str, Line]:
    """What was approved and is to be issued to these households: their line in the latest such list."""
    rows = await db.fetch(
        """
        select household_id, amount, decision_id, payee_digest
        from payroll_line join payroll using (cycle_id, number)
        where cycle_id = $1 and household_id = any($2) and state = 'released' order by number
        """,
        cycle_id,
        household_ids,
    )
    return {row[0]: Line(*row) for row in rows}


def shown(payroll: Payroll) -> dict[str, object]:
    """A payroll as it is shown."""
    return asdict(payroll)


def _payroll(row: asyncpg.Record) -> Payroll:
    return Payroll(
        row["cycle_id"],
        row["number"],
        PayrollState(row["state"]),
        tuple(row["prepared_by"]),
        row["approvers"],
        row["households"],
        row["riel"],
        row["digest"],
        tuple(row["approved_by"]),
    )
