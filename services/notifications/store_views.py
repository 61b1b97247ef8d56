"""SQL for those who look: what households were told, by household, state and payment."""

from asyncpg import Record as Row

from postbox.message import Connection
from services.notifications.store import SHOWN_STATE

_SHOWN = (
    f"sms_id, household_id, payment_id, template, {SHOWN_STATE} as state, reason, language, encoding, "
    "segments, attempts, told_at, finished_at, traceparent"
)


async def summary(db: Connection) -> list[tuple[str, str | None, int, int]]:
    """State, reason (of `none` only), how many SMS, how many segments."""
    rows = await db.fetch(
        f"select {SHOWN_STATE}, case when state = 'none' then reason end, count(*), "  # noqa: S608
        "coalesce(sum(segments), 0)::bigint from sms group by 1, 2"
    )
    return [tuple(row) for row in rows]


async def payments(db: Connection) -> list[tuple[str, str, int]]:
    """State of payments, the best that became of what is told of them (no reminders), how many."""
    rows = await db.fetch(
        """
        select p.state, coalesce(told.outcome, 'none'), count(*) from payment p left join (
            select payment_id, case when bool_or(state in ('queued', 'sending')) then 'queued'
                when bool_or(state = 'sent') then 'sent' when bool_or(state = 'unknown') then 'unknown'
                when bool_or(state = 'waiting') then 'waiting' when bool_or(state = 'failed') then 'failed'
                else 'none' end as outcome
            from sms where payment_id is not null and template <> 'payment-reminder' group by 1
        ) told using (payment_id) group by 1, 2
        """
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
        f"and ($2::text is null or {SHOWN_STATE} = $2) and ($3::text is null or reason = $3) "
        "and sms_id > $4 order by sms_id limit $5",
        household_id,
        state,
        reason,
        after,
        most,
    )
