"""All SQL of notifications."""

from collections.abc import Sequence

from asyncpg import Record as Row

from postbox.message import Connection
from services.notifications.sms import Claimed, Finished, NewSms, Result, Told
from services.notifications.wording import Facts

BACKOFF_S_MAX = 60


_FINISHED = ", ".join(f"s.{field}" for field in Finished._fields)
_SHOWN = (
    "sms_id, household_id, payment_id, template, state, reason, language, encoding, segments, attempts, "
    "told_at, finished_at, traceparent"
)


async def told(db: Connection, households: Sequence[str]) -> dict[str, Told]:
    """Which events these households were told of."""
    rows = await db.fetch(
        "select household_id, array_agg(event_id) as events from sms where household_id = any($1) group by 1",
        households,
    )
    return {row["household_id"]: Told(frozenset(row["events"])) for row in rows}


async def add(db: Connection, new: Sequence[NewSms]) -> None:
    """Write SMS that were decided on, in one statement; one that is there already stays as it is."""
    if not new:
        return
    rows = sorted(new, key=_by_id)
    await db.execute(
        """
        insert into sms (sms_id, household_id, payment_id, template, programme, partner, period, amount,
            until, event_id, event_type, key_id, payee, state, reason, correlation_id, traceparent, told_at)
        select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
            $7::text[], $8::bigint[], $9::date[], $10::text[], $11::text[], $12::text[], $13::bytea[],
            $14::text[], $15::text[], $16::text[], $17::text[], $18::timestamptz[])
        on conflict do nothing
        """,
        *(list(column) for column in zip(*rows, strict=True)),
    )


async def claim(db: Connection, process: str, most: int) -> list[Claimed]:
    """Take queued SMS for this process; others skip them. They are `sending` from the commit on."""
    rows = await db.fetch(
        """
        with next as (
            select sms_id from sms where state = 'queued' and not_before <= now()
            order by not_before, sms_id limit $2 for update skip locked
        )
        update sms s set state = 'sending', claimed_by = $1, claimed_at = now(), attempts = attempts + 1
        from next where s.sms_id = next.sms_id
        returning s.sms_id, s.template, s.programme, s.partner, s.period, s.amount, s.until, s.event_id,
            s.event_type, s.key_id, s.payee, s.traceparent
        """,
        process,
        most,
    )
    return [Claimed(row[0], row[1], Facts(*row[2:7]), *row[7:]) for row in rows]


async def finish(db: Connection, process: str, results: Sequence[Result]) -> list[Finished]:
    """Write what became of SMS claimed by this process; gives those whose state changed, with new versions.

    One that became `unknown` meanwhile (this process was taken for dead) may still be told sent or failed.
    What was sent needs its payee no more.
    """
    rows = sorted(results, key=_by_id)
    found = await db.fetch(
        f"""
        update sms s set state = t.state, reason = t.reason, language = t.language, encoding = t.encoding,
            segments = t.segments, version = version + (t.state <> 'queued')::int,
            finished_at = case when t.state <> 'queued' then now() end,
            not_before = now() + make_interval(secs => least($8, power(2, least(s.attempts, 16)))),
            payee = case when t.state not in ('sent', 'none') then s.payee end
        from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[])
            as t(sms_id, state, reason, language, encoding, segments)
        where s.sms_id = t.sms_id and s.claimed_by = $1
            and (s.state = 'sending' or (s.state = 'unknown' and t.state in ('sent', 'failed')))
        returning {_FINISHED}
        """,  # noqa: S608
        process,
        *(list(column) for column in zip(*rows, strict=True)),
        BACKOFF_S_MAX,
    )
    return [Finished(*row) for row in found]


async def give_up(db: Connection, lease_s: float, most: int) -> list[Finished]:
    """Claims older than the lease become `unknown`: who held them may have sent them, and is gone."""
    found = await db.fetch(
        f"""
        with lost as (
            select sms_id from sms where state = 'sending' and claimed_at < now() - make_interval(secs => $1)
            order by claimed_at limit $2 for update skip locked
        )
        update sms s set state = 'unknown', reason = 'sender-stopped', version = version + 1,
            finished_at = now()
        from lost where s.sms_id = lost.sms_id
        returning {_FINISHED}
        """,  # noqa: S608
        lease_s,
        most,
    )
    return [Finished(*row) for row in found]


async def summary(db: Connection) -> list[tuple[str, str | None, int, int]]:
    """State, reason (of `none` only), how many SMS, how many segments."""
    rows = await db.fetch(
        "select state, case when state = 'none' then reason end, count(*), "
        "coalesce(sum(segments), 0)::bigint from sms group by 1, 2"
    )
    return [tuple(row) for row in rows]


async def of_household(db: Connection, household_id: str) -> list[Row]:
    """A household's SMS, oldest first."""
    return await db.fetch(
        f"select {_SHOWN} from sms where household_id = $1 order by told_at, sms_id",  # noqa: S608
        household_id,
    )


async def listed(
    db: Connection,
    *,
    household_id: str | None,
    state: str | None,
    reason: str | None,
    after: str,
    most: int,
) -> list[Row]:
    """A page of SMS by id, of one household, state or reason where given."""
    return await db.fetch(
        f"select {_SHOWN} from sms where ($1::text is null or household_id = $1) "  # noqa: S608
        "and ($2::text is null or state = $2) and ($3::text is null or reason = $3) "
        "and sms_id > $4 order by sms_id limit $5",
        household_id,
        state,
        reason,
        after,
        most,
    )


def _by_id(row: NewSms | Result) -> str:
    return row.sms_id
