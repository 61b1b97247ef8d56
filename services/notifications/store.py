"""SQL about SMS on their way: decided on, claimed, finished."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from asyncpg import Record as Row
from asyncpg import UniqueViolationError

from postbox.message import Connection
from services.notifications.sms import Claimed, Finished, NewSms, Result, To
from services.notifications.steps import STEPS
from services.notifications.wording import Facts

T = TypeVar("T")
BACKOFF_S_MAX = 60
_COPIED = NewSms._fields.index("state")
_AT_ONCE = ("queued", None, None, None, None)
"""What stands behind the columns that are copied, of an SMS that is to go at once."""

TOGETHER_MOST = 20
"""SMS in one row of what waits: a claim takes whole rows, so no chunk is smaller."""
SHOWN_STATE = """case when state in ('queued', 'waiting')
    and sms_id in (select unnest(sms_ids) from sms_claim) then 'sending' else state end"""
"""An SMS that a claim holds is on its way, whatever its own row says."""
_FINISHED = ", ".join(f"s.{field}" for field in Finished._fields)
# What waits, as rows of as many as fit: `{0}` has their ids, priorities and times.
_WAIT = f"""
    insert into sms_due select priority, not_before, array_agg(sms_id) from (
        select sms_id, priority, not_before,
            (row_number() over (partition by priority, not_before) - 1) / {TOGETHER_MOST} as share
        from {{0}} where state in ('queued', 'waiting')
    ) waiting group by priority, not_before, share"""  # noqa: S608 - a constant
# Priority by priority along the index, so that what waits for its time is never walked through.
_CLAIM = """
    with due as materialized (
        select due.* from unnest($3::smallint[]) as urgent(priority), lateral (
            select ctid as place, priority, not_before, cardinality(sms_ids) as many from sms_due
            where priority = urgent.priority and not_before <= now()
            order by not_before limit $2 for update skip locked
        ) as due limit $2
    ), taken as (
        delete from sms_due d using (
            select place, many, sum(many) over (order by priority, not_before, place) as total from due
        ) as next where d.ctid = next.place and (next.total <= $2 or next.total = next.many)
        returning d.sms_ids
    ), claimed as materialized (
        select s.* from sms s where s.sms_id = any(array(select unnest(sms_ids) from taken))
            and s.state in ('queued', 'waiting')
    ), claim as (
        insert into sms_claim select $1, now(), array_agg(sms_id) from claimed having count(*) > 0
    )
    select s.sms_id, s.household_id, s.template, s.event_id, s.correlation_id, s.told_at, s.on_date,
        s.traceparent, s.payment_id,
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
_FINISH = f"""
    with over as (delete from sms_claim where claimed_by = $1 returning claimed_by), finished as (
        update sms s set state = t.state, reason = t.reason, claimed_by = $1, claimed_at = now(),
            attempts = attempts + (t.state <> 'queued' or t.reason is distinct from 'rate-limit')::int,
            language = t.language, encoding = t.encoding, segments = t.segments, operator = t.operator,
            version = version + (t.state not in ('queued', 'waiting'))::int,
            finished_at = case when t.state not in ('queued', 'waiting') then now() end,
            answer = case when t.state in ('queued', 'waiting') then s.answer end,
            not_before = coalesce(t.not_before,
                now() + make_interval(secs => least($10, power(2, least(s.attempts + 1, 16))))),
            receipt = case when t.state in ('sent', 'unknown') and $11::float is not null
                then coalesce(s.receipt, 'awaited') else s.receipt end,
            receipt_until = coalesce(s.receipt_until, now() + make_interval(secs => $11))
        from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[],
            $8::timestamptz[], $9::text[])
            as t(sms_id, state, reason, language, encoding, segments, not_before, operator)
        where s.sms_id = t.sms_id and case
            when s.state in ('queued', 'waiting') then exists (select from over)
            when s.state = 'unknown' and t.state in ('sent', 'failed')
                then s.claimed_by = $1 or exists (select from over)
            else false end
        returning s.sms_id, s.version, s.state, s.priority, s.not_before
    ), again as (
        {_WAIT.format("finished")}
    )
    select version, array_agg(sms_id) from finished group by version"""  # noqa: S608 - a constant


async def add(db: Connection, new: Sequence[NewSms]) -> None:
    """Write SMS that were decided on; one that is there already stays as it is."""
    rows = sorted({each.sms_id: each for each in reversed(new)}.values(), key=_by_id)
    at_once = [each for each in rows if each[_COPIED:] == _AT_ONCE]
    if at_once and await _copied(db, at_once):
        rows = [each for each in rows if each[_COPIED:] != _AT_ONCE]
    if rows:
        await _insert(db, rows)


async def _copied(db: Connection, rows: Sequence[NewSms]) -> bool:
    """Copy SMS nobody had decided on, as nearly all are; False, and nothing copied, where one is there."""
    ids: dict[int, list[str]] = {}
    for each in rows:
        ids.setdefault(each.priority, []).append(each.sms_id)
    due = together(ids, TOGETHER_MOST)
    records = [each[:_COPIED] for each in rows]
    try:
        async with db.transaction():
            await db.copy_records_to_table("sms", columns=NewSms._fields[:_COPIED], records=records)
            await db.copy_records_to_table("sms_due", columns=("priority", "sms_ids"), records=due)
    except UniqueViolationError:
        return False
    return True


def together(ids: Mapping[T, Sequence[str]], most: int) -> list[tuple[T, Sequence[str]]]:
    """What has the same key as rows of at most so many."""
    return [(key, each[at : at + most]) for key, each in ids.items() for at in range(0, len(each), most)]


async def _insert(db: Connection, rows: Sequence[NewSms]) -> None:
    await db.execute(
        f"""
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
        {_WAIT.format("new")}
        """,  # noqa: S608
        *(list(column) for column in zip(*rows, strict=True)),
    )


async def claim(db: Connection, claim: str, most: int) -> list[Claimed]:
    """Take SMS whose time has come under this name, most urgent first; others skip them.

    They are on their way from the commit on. What decides whether and how each is sent is read with them.
    Gives at least `most - TOGETHER_MOST` where there are as many.
    """
    rows = await db.fetch(_CLAIM, claim, most, sorted({step.priority for step in STEPS.values()}))
    return [_claimed(row) for row in rows]


async def finish(
    db: Connection, claim: str, results: Sequence[Result], receipt_window_s: float | None
) -> dict[str, int]:
    """Write what became of all SMS of a claim; gives the new versions of those that changed, by id.

    Of what the gateway has or may have, receipts are awaited for so long; None: it was asked for none.
    One that became `unknown` meanwhile (its sender was taken for dead) may still be told sent or failed.
    """
    found = await db.fetch(
        _FINISH,
        claim,
        *(list(column) for column in zip(*(row[:8] for row in sorted(results, key=_by_id)), strict=True)),
        BACKOFF_S_MAX,
        receipt_window_s,
    )
    return {sms_id: version for version, sms_ids in found for sms_id in sms_ids}


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
            claimed_by = lost.claimed_by, claimed_at = now(), attempts = attempts + 1,
            finished_at = now(), receipt_until = coalesce(s.receipt_until, now() + make_interval(secs => $2)),
            receipt = case when $2::float is not null then coalesce(s.receipt, 'awaited') else s.receipt end
        from lost where s.sms_id = lost.sms_id and s.state in ('queued', 'waiting', 'sending')
        returning {_FINISHED}
        """,  # noqa: S608
        lease_s,
        receipt_window_s,
    )
    return [Finished(*row) for row in found]


def _claimed(row: Row) -> Claimed:
    to = To(*row[18:]) if row[18] is not None else None
    return Claimed._make((*row[:9], Facts(*row[9:14]), *row[14:17], to, row[17]))


def _by_id(row: NewSms | Result) -> str:
    return row.sms_id
