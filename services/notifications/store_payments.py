"""SQL about payments as they were told, and those whose time to collect is ending."""

from collections.abc import Collection, Sequence
from datetime import date

from contracts.payment import PaymentState
from postbox.message import Connection
from services.notifications import store
from services.notifications.telling import Payment, Payments

_COLUMNS = Payment._fields[:-1]
TOGETHER_MOST = 40
"""Payments in one row of what is to be collected: longer rows would be moved out of their table."""


async def load(db: Connection, payment_ids: Collection[str]) -> dict[str, Payments]:
    """What deciding needs to know of these payments, by household."""
    rows = await db.fetch(
        "select payment_id, household_id, programme, until, state, sequence, steps_off from payment"
        " where payment_id = any($1::text[])",
        sorted(payment_ids),
    )
    found: dict[str, dict[str, Payment]] = {}
    for id_, household, programme, until, state, sequence, steps_off in rows:
        found.setdefault(household, {})[id_] = Payment(
            id_,
            household,
            programme,
            until=until,
            state=state,
            sequence=sequence,
            steps_off=steps_off,
            is_new=False,
        )
    return {household: Payments(household, payments) for household, payments in found.items()}


async def keep_issued(db: Connection, households: Sequence[Payments]) -> None:
    """Write what payments are, in one statement; what is known of one already stays."""
    rows = await _copy_new(db, households)
    if rows:
        await db.execute(
            """
            update payment p set programme = t.programme, partner = t.partner, period = t.period,
                amount = t.amount, until = t.until, event_id = t.event_id, correlation_id = t.correlation_id,
                traceparent = t.traceparent
            from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::date[], $7::text[],
                $8::text[], $9::text[])
                as t(payment_id, programme, partner, period, amount, until, event_id, correlation_id,
                    traceparent)
            where p.payment_id = t.payment_id and p.programme is null
            """,
            *_columns(
                rows,
                "payment_id",
                "programme",
                "partner",
                "period",
                "amount",
                "until",
                "event_id",
                "correlation_id",
                "traceparent",
            ),
        )
        await _keep_to_collect(db, rows)


async def keep_updated(db: Connection, households: Sequence[Payments]) -> None:
    """Write how payments stand, in one statement; of one that is of a later state already it stays."""
    rows = await _copy_new(db, households)
    if rows:
        await db.execute(
            """
            update payment p set state = t.state, sequence = t.sequence, steps_off = t.steps_off
            from unnest($1::text[], $2::text[], $3::int[], $4::text[])
                as t(payment_id, state, sequence, steps_off)
            where p.payment_id = t.payment_id and p.sequence < t.sequence
            """,
            *_columns(rows, "payment_id", "state", "sequence", "steps_off"),
        )
        await _keep_to_collect(db, rows)


async def _copy_new(db: Connection, households: Sequence[Payments]) -> list[Payment]:
    """Copy payments nobody had heard of, which is cheaper; gives the changed ones that are known."""
    changed = sorted(each.payments[payment] for each in households for payment in each.changed)
    new = [each[:-1] for each in changed if each.is_new]
    if new:
        await db.copy_records_to_table("payment", columns=_COLUMNS, records=new)
    return [each for each in changed if not each.is_new]


async def _keep_to_collect(db: Connection, known: Sequence[Payment]) -> None:
    """Note by their last day which of these can be collected from now on."""
    accepted, by_day = PaymentState.ACCEPTED.value, dict[date, list[str]]()
    for each in known:
        if each.state == accepted and each.until is not None:
            by_day.setdefault(each.until, []).append(each.payment_id)
    rows = store.together(by_day, TOGETHER_MOST)
    if rows:
        await db.copy_records_to_table("to_collect", columns=("until", "payment_ids"), records=rows)


def _columns(rows: Sequence[Payment], *names: str) -> list[list[object]]:
    return [[getattr(row, name) for row in rows] for name in names]


async def without_phone(
    db: Connection, commune: str, today: date, programmes: Collection[str]
) -> list[Payment]:
    """Payments of these programmes to a commune's households without a telephone that are news today.

    They can be collected, or came to nothing since. Who wishes no contact, or is forgotten, is not there.
    """
    columns = ", ".join(f"p.{each}" for each in _COLUMNS)
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


async def take_to_collect(db: Connection, until: date, most: int) -> list[str]:
    """Take payments out of those noted as to collect, the last day of which is not after `until`.

    Others skip them; at most `most`. Whether they still wait is for `remind` to see.
    """
    rows = await db.fetch(
        """
        delete from to_collect where ctid in (
            select ctid from to_collect where until <= $1 order by until limit $2 for update skip locked)
        returning payment_ids
        """,
        until,
        most // TOGETHER_MOST,
    )
    return sorted({payment for (payments,) in rows for payment in payments})


async def remind(db: Connection, payment_ids: Sequence[str], today: date) -> list[Payment]:
    """Of these payments those that can still be collected today and were never reminded of: they are now."""
    rows = await db.fetch(
        f"""
        update payment set reminded = true
        where payment_id = any($1::text[]) and state = 'accepted' and not reminded and until >= $2
        returning {", ".join(_COLUMNS)}
        """,  # noqa: S608
        payment_ids,
        today,
    )
    return [Payment(*row) for row in rows]
