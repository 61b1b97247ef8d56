"""SQL about payments as they were told, and those whose time to collect is ending."""

from collections.abc import Collection, Sequence
from datetime import date

from postbox.message import Connection
from services.notifications.telling import Payment, Payments

_COLUMNS = ", ".join(Payment._fields)


async def load(db: Connection, payment_ids: Collection[str]) -> dict[str, Payments]:
    """What is known of these payments, by household."""
    rows = await db.fetch(
        f"select {_COLUMNS} from payment where payment_id = any($1::text[])",  # noqa: S608
        sorted(payment_ids),
    )
    found: dict[str, dict[str, Payment]] = {}
    for row in rows:
        payment = Payment(*row)
        found.setdefault(payment.household_id, {})[payment.payment_id] = payment
    return {household: Payments(household, payments) for household, payments in found.items()}


async def keep(db: Connection, households: Sequence[Payments]) -> None:
    """Write what changed, in one statement; what was told before, or of a later state, stays."""
    rows = sorted(each.payments[payment] for each in households for payment in each.changed)
    if not rows:
        return
    await db.execute(
        f"""
        insert into payment ({_COLUMNS})
        select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
            $7::date[], $8::text[], $9::int[], $10::text[], $11::text[], $12::text[])
        on conflict (payment_id) do update set
            programme = coalesce(payment.programme, excluded.programme),
            partner = coalesce(payment.partner, excluded.partner),
            period = coalesce(payment.period, excluded.period),
            amount = coalesce(payment.amount, excluded.amount),
            until = coalesce(payment.until, excluded.until),
            state = case when excluded.sequence > payment.sequence then excluded.state else payment.state end,
            event_id = case when excluded.sequence > payment.sequence
                then excluded.event_id else payment.event_id end,
            correlation_id = case when excluded.sequence > payment.sequence
                then excluded.correlation_id else payment.correlation_id end,
            traceparent = case when excluded.sequence > payment.sequence
                then excluded.traceparent else payment.traceparent end,
            sequence = greatest(payment.sequence, excluded.sequence)
        """,  # noqa: S608
        *(list(column) for column in zip(*rows, strict=True)),
    )


async def without_phone(
    db: Connection, commune: str, today: date, programmes: Collection[str]
) -> list[Payment]:
    """Payments of these programmes to a commune's households without a telephone that are news today.

    They can be collected, or came to nothing since. Who wishes no contact, or is forgotten, is not there.
    """
    columns = ", ".join(f"p.{each}" for each in Payment._fields)
    rows = await db.fetch(
        f"""
        select {columns} from payment p join contact c using (household_id)
        where c.reach = 'no-phone' and c.commune = $1 and p.programme = any($3::text[]) and (
            (p.state in ('accepted', 'unknown') and p.until >= $2)
            or (p.state in ('failed', 'returned', 'expired') and p.until >= $2 - 30))
        order by p.until, p.payment_id
        """,  # noqa: S608
        commune,
        today,
        sorted(programmes),
    )
    return [Payment(*row) for row in rows]


async def take_to_remind(db: Connection, today: date, until: date, most: int) -> list[Payment]:
    """Payments that can still be collected, the last day of which is not after `until`; each once."""
    rows = await db.fetch(
        f"""
        with due as (
            select payment_id from payment
            where state = 'accepted' and not reminded and until between $1 and $2
            order by until, payment_id limit $3 for update skip locked
        )
        update payment set reminded = true where payment_id in (select payment_id from due)
        returning {_COLUMNS}
        """,  # noqa: S608
        today,
        until,
        most,
    )
    return [Payment(*row) for row in rows]
