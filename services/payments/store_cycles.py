"""SQL about cycles, their steps and what waits in them.

Cycles are locked before their money (`store_envelopes`) and that before households, each in sorted order, so
that no two batches wait for each other. They are locks of the lock manager: whoever takes a step with a cycle
has its turn, however many issue in it side by side.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

import asyncpg

from contracts.cycle import ApprovalKind, CycleState
from postbox.message import Connection
from services.payments.budget import Waiting
from services.payments.cycles import Cycle, Terms

_CYCLES = """
select programme, programme_hash, purpose, period, reference_date, cap_household, cap_payments,
    approval, state, version, prepared_by, decided_by, reason, proposed, funded, committed, released,
    payments, opening, asks_standing, donor, approvers, approved_by, issue_after, issue_asked
from cycle c cross join lateral (
    select coalesce(sum(committed), 0)::bigint as committed, coalesce(sum(released), 0)::bigint as released,
        coalesce(sum(payments), 0)::bigint as payments
    from sub_envelope s where s.cycle_id = c.cycle_id) spent
"""
_LOCK = "hashtextextended(cycle_id, 0)) from unnest($1::text[]) cycle_id"
_TERMS = 7
BEGIN_ANEW = "issue_after = '', issue_asked = issue_asked + 1"
"""Of a cycle in which there is reason to go through what waits: a job that read it before does not end it."""
# Where a cycle pays from lists, only what stands on a released one is tried; once it closed, everything.
_TRIED = """
from decision d where cycle_id = $1 and household_id > $2 and waiting = any($3) and ($5::boolean is null or (
    (waiting <> 'envelope' or amount <= $4) and (not $5::boolean or waiting = 'approval' or exists (
        select from payroll_line l join payroll p using (cycle_id, number)
        where p.state = 'released' and l.cycle_id = d.cycle_id and l.household_id = d.household_id))))
"""
_TRIED_NEXT = f"select household_id {_TRIED} order by household_id limit $6"
_TRIED_COUNT = f"select count(*) {_TRIED}"


@dataclass(frozen=True, slots=True)
class Turn:
    """The next chunk of a job: a cycle, what of it may be tried again, and the household to go on behind.

    `asked` counts how often there was reason to begin anew.
    """

    cycle: Cycle
    after: str
    asked: int

    @property
    def retries(self) -> list[Waiting]:
        """The reasons that may no longer hold."""
        if self.cycle.state is CycleState.CLOSED:
            return [each for each in Waiting if each is not Waiting.CLOSED]
        if self.cycle.state is not CycleState.APPROVED:
            return []
        counted = [Waiting.COUNT_CAP] if self.cycle.payments < self.cycle.terms.cap_payments else []
        stands = [Waiting.APPROVAL, Waiting.ENVELOPE, Waiting.PAYROLL, Waiting.CHANGED]
        return [*stands, Waiting.PARTNER_PAUSED, *counted]


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a cycle's story: who did what with it, and why."""

    version: int
    step: str
    actor: str
    reason: str | None
    at: datetime


async def lock(db: Connection, cycle_id: str) -> Cycle | None:
    """The cycle named, after all who issue in it, and nobody else's until the transaction ends."""
    await db.execute(f"select pg_advisory_xact_lock({_LOCK}", [cycle_id])
    return await find(db, cycle_id)


async def share(db: Connection, cycle_ids: Iterable[str]) -> list[Cycle]:
    """The cycles named, which nobody takes a step with until the transaction ends; others may issue, too."""
    wanted = sorted(set(cycle_ids))
    await db.execute(f"select pg_advisory_xact_lock_shared({_LOCK}", wanted)
    return [_cycle(row) for row in await db.fetch(_CYCLES + "where cycle_id = any($1)", wanted)]


async def periods_of(db: Connection, programme: str) -> dict[str, str]:
    """The periods of a programme's cycles, by cycle."""
    rows = await db.fetch("select cycle_id, period from cycle where programme = $1", programme)
    return {row[0]: row[1] for row in rows}


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
    # The step first: the cycle's trigger counts who approved.
    await db.execute(
        "insert into cycle_step (cycle_id, version, step, state, actor, prepared_by, funded, proposed, "
        "reason, at, donor) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        *(cycle.cycle_id, cycle.version, step, cycle.state, actor, cycle.prepared_by),
        *(cycle.funded, cycle.proposed, cycle.reason, at, cycle.donor),
    )
    await db.execute(
        """
        insert into cycle (cycle_id, programme, programme_hash, purpose, period, reference_date,
            cap_household, cap_payments, state, version, prepared_by, decided_by, reason, proposed, funded,
            issue_after, opened_at, opening, approval, asks_standing, donor, approvers, approved_by)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, '', $16, $17, $18, $19,
            $20, $21, $22)
        on conflict (cycle_id) do update set programme_hash = excluded.programme_hash,
            purpose = excluded.purpose, reference_date = excluded.reference_date,
            cap_household = excluded.cap_household, cap_payments = excluded.cap_payments,
            state = excluded.state, version = excluded.version, prepared_by = excluded.prepared_by,
            decided_by = excluded.decided_by, reason = excluded.reason, proposed = excluded.proposed,
            funded = excluded.funded, issue_after = excluded.issue_after, opening = excluded.opening,
            approval = excluded.approval, asks_standing = excluded.asks_standing, donor = excluded.donor,
            approvers = excluded.approvers, approved_by = excluded.approved_by,
            issue_asked = cycle.issue_asked + 1
        """,
        *(cycle.cycle_id, terms.programme, terms.programme_hash, terms.purpose, terms.period),
        *(terms.reference_date, terms.cap_household, terms.cap_payments, cycle.state, cycle.version),
        *(cycle.prepared_by, cycle.decided_by, cycle.reason, cycle.proposed, cycle.funded, at),
        *(
            cycle.opening,
            terms.approval,
            cycle.asks_standing,
            cycle.donor,
            cycle.approvers,
            cycle.approved_by,
        ),
    )


async def steps(db: Connection, cycle_id: str) -> list[Step]:
    """A cycle's story, first step first."""
    rows = await db.fetch(
        "select version, step, actor, reason, at from cycle_step where cycle_id = $1 order by version",
        cycle_id,
    )
    return [Step(*row) for row in rows]


async def next_turn(db: Connection) -> Turn | None:
    """A cycle in which something may be issued, not locked; None when all have been gone through."""
    row = await db.fetchrow(_CYCLES + "where issue_after is not null order by cycle_id limit 1")
    return _turn(row) if row else None


async def go_on(db: Connection, turn: Turn, after: str | None) -> None:
    """Where the next chunk starts, None when through; a change in between has sent it back to the start."""
    await db.execute(
        "update cycle set issue_after = $4 where cycle_id = $1 and issue_after = $2 and issue_asked = $3",
        *(turn.cycle.cycle_id, turn.after, turn.asked, after),
    )


async def waiting_in(db: Connection, turn: Turn, most: int) -> list[str]:
    """The next households that wait in a turn's cycle for a reason that may no longer hold, not locked."""
    rows = await db.fetch(_TRIED_NEXT, *_tried(turn), most)
    return [row["household_id"] for row in rows]


async def count_waiting(db: Connection, turn: Turn) -> int:
    """How many households `waiting_in` will give."""
    return int(await db.fetchval(_TRIED_COUNT, *_tried(turn)))


def _tried(turn: Turn) -> tuple[object, ...]:
    cycle = turn.cycle
    pays_from_lists = cycle.terms.approval is ApprovalKind.PAYROLL
    closed = cycle.state is CycleState.CLOSED
    return cycle.cycle_id, turn.after, turn.retries, cycle.room, None if closed else pays_from_lists


async def try_again(db: Connection, cycle_id: str) -> Turn:
    """Have what waits in a (locked) cycle gone through from its start, unless that is under way."""
    await db.execute(
        f"update cycle set {BEGIN_ANEW} where cycle_id = $1 and issue_after is null",  # noqa: S608 - a constant
        cycle_id,
    )
    row = await db.fetchrow(_CYCLES + "where cycle_id = $1", cycle_id)
    assert row is not None
    return _turn(row)


async def try_paused(db: Connection, now: datetime) -> None:
    """A partner is told again: what waited for one is tried again, new attempts too."""
    await db.execute(
        f"update cycle set {BEGIN_ANEW} where issue_after is null and cycle_id in "  # noqa: S608 - a constant
        "(select cycle_id from decision where waiting = 'partner-paused')"
    )
    await db.execute("update reissue set due_at = $1 where waiting = 'partner-paused' and due_at > $1", now)


async def is_through(db: Connection, cycle_id: str) -> bool:
    """Whether everything that waits in a cycle was tried since the last change."""
    found = await db.fetchval("select issue_after is null from cycle where cycle_id = $1", cycle_id)
    return bool(found)


async def held_back(db: Connection, most: int) -> list[tuple[str, str]]:
    """(cycle, household) of decisions that wait for a hold to be lifted."""
    rows = await db.fetch(
        "select cycle_id, household_id from decision where waiting = 'hold' order by 1, 2 limit $1", most
    )
    return [(row["cycle_id"], row["household_id"]) for row in rows]


def _turn(row: asyncpg.Record) -> Turn:
    return Turn(_cycle(row), row["issue_after"], row["issue_asked"])


def _cycle(row: asyncpg.Record) -> Cycle:
    found = Cycle(
        replace(Terms(*row[:_TERMS]), approval=ApprovalKind(row["approval"])),
        CycleState(row["state"]),
        row["version"],
        tuple(row["prepared_by"]),
        *row[_TERMS + 4 : _TERMS + 15],
    )
    return replace(found, approved_by=tuple(row["approved_by"]))
