"""SQL that lays instruction, acknowledgement, settlement and statement of payments side by side."""

from collections.abc import AsyncIterator, Mapping
from datetime import date, datetime
from typing import NamedTuple

from postbox.message import Connection
from services.payments.reconciliation import Batch, Difference, Evidence, Kind, Loose, Statement

_DAY = "at time zone 'Asia/Phnom_Penh')::date"
_STATEMENTS = "message like 'camt.053%'"
_BATCHES = f"""
select l.partner, l.batch, max(coalesce(l.day, s.day)) as day, sum(l.amount)::bigint as amount, o.ordered
from bank_line l join statement s using (partner, account, statement_id)
left join lateral (
    select sum(p.amount)::bigint as ordered from outgoing g
    join payment p on p.household_id = g.household_id and p.payment_id = g.payment_id
    where g.message_id = l.batch and g.partner = l.partner and g.kind = 'pay'
        and p.state not in ('failed', 'expired', 'cancelled')) o on true
where l.booked and not l.incoming and l.payment_id is null and l.batch is not null and s.{_STATEMENTS}
group by l.partner, l.batch, o.ordered
"""  # noqa: S608 - constants
# What is plainly right stays in the database: only payments that may differ are judged one by one.
_EVIDENCE = f"""
with line as materialized (
    select l.partner, l.payment_id,
        count(*) filter (where not incoming) as debits,
        coalesce(sum(l.amount) filter (where not incoming), 0)::bigint as debited,
        count(*) filter (where incoming) as credits,
        coalesce(sum(l.amount) filter (where incoming), 0)::bigint as credited
    from bank_line l join statement s using (partner, account, statement_id)
    where l.booked and l.payment_id is not null and s.{_STATEMENTS} group by 1, 2),
covered as (select partner, max(day) as until from statement where {_STATEMENTS} group by 1)
select p.partner, p.payment_id, p.amount, p.state, (p.issued_at {_DAY} as issued_on,
    (r.acknowledged_at {_DAY} as acknowledged_on, (r.settled_at {_DAY} as settled_on,
    coalesce(l.debits, 0) as debits, coalesce(l.debited, 0) as debited, coalesce(l.credits, 0) as credits,
    coalesce(l.credited, 0) as credited,
    exists (select from outgoing o where o.household_id = p.household_id and o.payment_id = p.payment_id
        and o.message_id = any($2)) as in_batch
from payment p
left join line l on l.partner = p.partner and l.payment_id = p.payment_id
left join covered c on c.partner = p.partner
left join lateral (
    select min(occurred_at) filter (where status = 'accepted') as acknowledged_at,
        min(occurred_at) filter (where status = 'settled') as settled_at
    from report r where r.household_id = p.household_id and r.payment_id = p.payment_id) r on true
where ($1::text is null or p.partner = $1)
    and not (p.state = 'settled' and l.debits = 1 and l.debited = p.amount and l.credits = 0)
    and not (p.state = 'settled' and l.debits is null and c.until is null)
    and not (p.state in ('failed', 'expired', 'cancelled', 'returned') and l.debits is null)
order by p.partner, p.issued_at, p.payment_id
"""  # noqa: S608 - constants


class Sum(NamedTuple):
    """One partner's payments of one day (of issue, Phnom Penh): how many, and riel."""

    partner: str
    day: date
    issued: int
    riel_issued: int
    acknowledged: int
    settled: int
    riel_settled: int
    on_statement: int
    riel_on_statement: int


async def batches(db: Connection) -> list[Batch]:
    """Sums on statements that stand for whole files."""
    return [Batch(*row) for row in await db.fetch(_BATCHES)]


async def covered(db: Connection) -> dict[str, date]:
    """The last day that each partner's statements cover."""
    rows = await db.fetch(f"select partner, max(day) from statement where {_STATEMENTS} group by 1")  # noqa: S608
    return {row[0]: row[1] for row in rows}


async def evidence(db: Connection, partner: str | None, right_batches: list[str]) -> AsyncIterator[Evidence]:
    """Payments that may differ, inside a transaction, in bounded memory.

    `right_batches`: files that a statement shows as one sum which is right.
    """
    async for row in db.cursor(_EVIDENCE, partner, right_batches, prefetch=1_000):
        yield Evidence(*row)


async def sums(db: Connection, partner: str | None, since: date | None) -> list[Sum]:
    """Each partner's days, the newest first."""
    rows = await db.fetch(
        f"""
        with line as (
            select l.partner, l.payment_id, sum(l.amount)::bigint as riel
            from bank_line l join statement s using (partner, account, statement_id)
            where l.booked and not l.incoming and l.payment_id is not null and s.{_STATEMENTS} group by 1, 2)
        select p.partner, (p.issued_at {_DAY} as day, count(*), sum(p.amount)::bigint,
            count(*) filter (where p.state not in ('issued', 'unknown')),
            count(*) filter (where p.state in ('settled', 'settled_late')),
            coalesce(sum(p.amount) filter (where p.state in ('settled', 'settled_late')), 0)::bigint,
            count(l.payment_id), coalesce(sum(l.riel), 0)::bigint
        from payment p left join line l on l.partner = p.partner and l.payment_id = p.payment_id
        where ($1::text is null or p.partner = $1) and ($2::date is null or (p.issued_at {_DAY} >= $2)
        group by 1, 2 order by 2 desc, 1
        """,  # noqa: S608 - constants
        partner,
        since,
    )
    return [Sum(*row) for row in rows]


async def statements(db: Connection, partner: str | None) -> list[Statement]:
    """Every statement by account and number, with what its booked lines add up to."""
    rows = await db.fetch(
        f"""
        select s.partner, s.account, s.statement_id, s.sequence, s.day, s.opening, s.closing,
            coalesce(sum(l.amount * case when l.incoming then 1 else -1 end)
                filter (where l.booked), 0)::bigint,
            coalesce(sum(l.fee) filter (where l.booked), 0)::bigint
        from statement s left join bank_line l using (partner, account, statement_id)
        where s.{_STATEMENTS} and ($1::text is null or s.partner = $1)
        group by s.partner, s.account, s.statement_id
        order by s.partner, s.account, s.sequence, s.day, s.statement_id
        """,  # noqa: S608 - constants
        partner,
    )
    return [Statement(*row) for row in rows]


async def loose_lines(db: Connection, partner: str | None) -> AsyncIterator[Loose]:
    """Debits and returns on statements that name no payment of ours with this partner."""
    async for row in db.cursor(
        f"""
        select l.partner, l.account || '/' || l.statement_id || '/' || l.position, coalesce(l.day, s.day),
            l.amount,
            case when l.payment_id is null then 'names no payment' else 'names no payment of ours' end
        from bank_line l join statement s using (partner, account, statement_id)
        left join payment p on p.payment_id = l.payment_id and p.partner = l.partner
        where l.booked and s.{_STATEMENTS} and l.fee < l.amount and ($1::text is null or l.partner = $1)
            and (not l.incoming or l.returned) and p.payment_id is null
            and (l.payment_id is not null or l.batch is null)
        order by 1, 2
        """,  # noqa: S608 - constants
        partner,
        prefetch=1_000,
    ):
        yield Loose(*row)


async def rows_aside(db: Connection, partner: str | None) -> AsyncIterator[Loose]:
    """Rows of partners' files that are set aside."""
    async for row in db.cursor(
        f"select partner, sha256 || '/' || position, (parked_at {_DAY}, coalesce(amount, 0), why "  # noqa: S608
        "from partner_row where resolved_at is null and ($1::text is null or partner = $1) order by 1, 2",
        partner,
        prefetch=1_000,
    ):
        yield Loose(*row)


async def settlements(db: Connection, partner: str | None) -> AsyncIterator[tuple[Kind, Loose]]:
    """Settlements that nobody expected, as their reports came, until a person has resolved them."""
    async for row in db.cursor(
        f"select kind, partner, payment_id, (at {_DAY} as day, amount from difference "  # noqa: S608
        "where resolution is null and ($1::text is null or partner = $1) order by 2, 3",
        partner,
        prefetch=1_000,
    ):
        twice = row["kind"] == "settled-twice"
        note = "settled twice" if twice else "settled after it had failed"
        found = Loose(row["partner"], row["payment_id"], row["day"], row["amount"], note)
        yield Kind.DOUBLE_SETTLEMENT if twice else Kind.ORPHAN, found


async def closed(db: Connection) -> Mapping[tuple[str, str, str, int], str]:
    """Differences that a person closed, with the reason, by (kind, partner, subject, riel)."""
    rows = await db.fetch("select kind, partner, subject, riel, reason from reconciled")
    return {(row[0], row[1], row[2], row[3]): row[4] for row in rows}


async def close(db: Connection, difference: Difference, by: str, reason: str, now: datetime) -> None:
    """A person found out about a difference and accepts it."""
    await db.execute(
        "insert into reconciled values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
        difference.kind,
        difference.partner,
        difference.subject,
        difference.riel,
        reason,
        by,
        now,
    )
