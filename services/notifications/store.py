"""SQL about SMS on their way: decided on, claimed, finished."""

from collections.abc import Sequence

from asyncpg import Record as Row

from postbox.message import Connection
from services.notifications.sms import Claimed, Finished, NewSms, Result, To
from services.notifications.steps import STEPS
from services.notifications.wording import Facts

BACKOFF_S_MAX = 60


_FINISHED = ", ".join(f"s.{field}" for field in Finished._fields)
# Priority by priority along the index, so that what waits for its time is never walked through.
_CLAIM = """
    with next as materialized (
        select due.place from unnest($3::smallint[]) as urgent(priority), lateral (
            select ctid as place from sms_due where priority = urgent.priority and not_before <= now()
            order by not_before, sms_id limit $2 for update skip locked
        ) as due limit $2
    ), taken as (
        delete from sms_due d using next where d.ctid = next.place returning d.sms_id
    ), claimed as (
        update sms s set state = 'sending', claimed_by = $1, claimed_at = now(), attempts = attempts + 1
        from taken where s.sms_id = taken.sms_id and s.state in ('queued', 'waiting')
        returning s.sms_id, s.household_id, s.template, s.told_at, s.on_date, s.traceparent, s.payment_id,
            s.answer
    ), claim as (
        insert into sms_claim select $1, now(), array_agg(sms_id) from claimed having count(*) > 0
    )
    select s.sms_id, s.template, s.told_at, s.on_date, s.traceparent, s.payment_id,
        p.programme, p.partner, p.period, p.amount, p.until, p.state,
        case when s.template in ('eligible', 'refused')
            then (select standing from standing where household_id = s.household_id) end,
        s.template = 'eligible' and exists (
            select from sms other where other.household_id = s.household_id and other.payment_id is not null),
        s.answer, c.event_id, c.key_id, c.payee,
        exists (select from opt_out where number_hash = c.number_hash),
        c.number_hash is not null and exists (select from contact other
            where other.number_hash = c.number_hash and other.household_id <> c.household_id),
        c.fallback_hash is not null and exists (select from opt_out where number_hash = c.fallback_hash),
        c.fallback_hash is not null and exists (select from contact other
            where other.number_hash = c.fallback_hash and other.household_id <> c.household_id)
    from claimed s left join payment p using (payment_id)
        left join contact c on c.household_id = s.household_id"""


async def add(db: Connection, new: Sequence[NewSms]) -> None:
    """Write SMS that were decided on, in one statement; one that is there already stays as it is."""
    if not new:
        return
    rows = sorted({each.sms_id: each for each in reversed(new)}.values(), key=_by_id)
    await db.execute(
        """
        with new as (
            insert into sms (sms_id, household_id, payment_id, template, event_id, correlation_id,
                traceparent, told_at, priority, state, reason, not_before, on_date, answer)
            select sms_id, household_id, payment_id, template, event_id, correlation_id, traceparent, told_at,
                priority, case when state = 'queued' and not_before > now() then 'waiting' else state end,
                reason, coalesce(not_before, now()), on_date, answer
            from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                $8::timestamptz[], $9::smallint[], $10::text[], $11::text[], $12::timestamptz[], $13::date[],
                $14::bytea[])
                as t(sms_id, household_id, payment_id, template, event_id, correlation_id, traceparent,
                    told_at, priority, state, reason, not_before, on_date, answer)
            on conflict do nothing returning sms_id, priority, not_before, state
        )
        insert into sms_due select sms_id, priority, not_before from new where state in ('queued', 'waiting')
        """,
        *(list(column) for column in zip(*rows, strict=True)),
    )


async def claim(db: Connection, claim: str, most: int) -> list[Claimed]:
    """Take SMS whose time has come under this name, most urgent first; others skip them.

    They are `sending` from the commit on. What decides whether and how each is sent is read with them.
    """
    rows = await db.fetch(_CLAIM, claim, most, sorted({step.priority for step in STEPS.values()}))
    return [_claimed(row) for row in rows]


async def finish(
    db: Connection, claim: str, results: Sequence[Result], receipt_window_s: float | None
) -> list[Finished]:
    """Write what became of all SMS of a claim; gives those whose state changed, with new versions.

    Of what the gateway has or may have, receipts are awaited for so long; None: it was asked for none.
    One that became `unknown` meanwhile (its sender was taken for dead) may still be told sent or failed.
    """
    found = await db.fetch(
        f"""
        with over as (delete from sms_claim where claimed_by = $1), finished as (
            update sms s set state = t.state, reason = t.reason,
                attempts = attempts - (t.state = 'queued' and t.reason = 'rate-limit')::int,
                language = t.language, encoding = t.encoding, segments = t.segments, operator = t.operator,
                version = version + (t.state not in ('queued', 'waiting'))::int,
                finished_at = case when t.state not in ('queued', 'waiting') then now() end,
                answer = case when t.state in ('queued', 'waiting') then s.answer end,
                not_before = coalesce(t.not_before,
                    now() + make_interval(secs => least($10, power(2, least(s.attempts, 16))))),
                receipt = case when t.state in ('sent', 'unknown') and $11::float is not null
                    then coalesce(s.receipt, 'awaited') else s.receipt end,
                receipt_until = coalesce(s.receipt_until, now() + make_interval(secs => $11))
            from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[],
                $8::timestamptz[], $9::text[])
                as t(sms_id, state, reason, language, encoding, segments, not_before, operator)
            where s.sms_id = t.sms_id and s.claimed_by = $1
                and (s.state = 'sending' or (s.state = 'unknown' and t.state in ('sent', 'failed')))
            returning {_FINISHED}, s.priority, s.not_before
        ), again as (
            insert into sms_due select sms_id, priority, not_before from finished
            where state in ('queued', 'waiting')
        )
        select {_FINISHED} from finished s
        """,  # noqa: S608
        claim,
        *(list(column) for column in zip(*(row[:8] for row in sorted(results, key=_by_id)), strict=True)),
        BACKOFF_S_MAX,
        receipt_window_s,
    )
    return [Finished(*row) for row in found]


async def give_up(db: Connection, lease_s: float, receipt_window_s: float | None) -> list[Finished]:
    """A claim older than the lease is given up, its SMS `unknown`: who is gone may have sent them."""
    found = await db.fetch(
        f"""
        with old as (
            delete from sms_claim where claimed_by in (
                select claimed_by from sms_claim where claimed_at < now() - make_interval(secs => $1)
                order by claimed_at limit 1 for update skip locked)
            returning claimed_by, sms_ids
        ), lost as (select claimed_by, unnest(sms_ids) as sms_id from old)
        update sms s set state = 'unknown', reason = 'sender-stopped', version = version + 1, answer = null,
            finished_at = now(), receipt_until = coalesce(s.receipt_until, now() + make_interval(secs => $2)),
            receipt = case when $2::float is not null then coalesce(s.receipt, 'awaited') else s.receipt end
        from lost where s.sms_id = lost.sms_id and s.claimed_by = lost.claimed_by and s.state = 'sending'
        returning {_FINISHED}
        """,  # noqa: S608
        lease_s,
        receipt_window_s,
    )
    return [Finished(*row) for row in found]


def _claimed(row: Row) -> Claimed:
    to = To(*row[15:]) if row[15] is not None else None
    return Claimed._make((*row[:6], Facts(*row[6:11]), *row[11:14], to, row[14]))


def _by_id(row: NewSms | Result) -> str:
    return row.sms_id
