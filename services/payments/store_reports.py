"""SQL about what partners said of payments, and about those they were silent on."""

from collections.abc import Container, Iterable, Sequence
from datetime import datetime

import asyncpg

from contracts.payment import PaymentReport
from contracts.wire import Received
from postbox.message import Connection
from services.payments import store
from services.payments.ledger import Kind, Transfer
from services.payments.states import ENDED, Account, Inquiry, Patience, Payment, Updated, code, due


async def load(
    db: Connection, household_ids: Sequence[str], payment_ids: Iterable[str], report_ids: Iterable[str]
) -> dict[str, Account]:
    """Households (sorted ids, locked) with the payments and the report ids in question."""
    sequences = await db.fetch(
        "select household_id, sequence from household where household_id = any($1) "
        "order by household_id for update",
        household_ids,
    )
    rows = await db.fetch(
        store.PAYMENTS + "where household_id = any($1) and payment_id = any($2)",
        household_ids,
        sorted(set(payment_ids)),
    )
    # Late settlements depend on the other attempts of their key.
    several = {each["household_id"] for each in rows if each["attempt"] > 1 or each["state"] in ENDED}
    if several:
        rows += await db.fetch(store.PAYMENTS + "where household_id = any($1)", sorted(several))
    # Whatever is booked of a payment changes it from issued. An id used twice then fails on the table's key.
    heard_of = {row["household_id"] for row in rows if row["state"] != "issued"}
    seen = await _seen(db, sorted(heard_of), report_ids) if heard_of else []
    payments: dict[str, dict[str, Payment]] = {}
    for row in rows:
        payments.setdefault(row["household_id"], {})[row["payment_id"]] = store.payment_of(row)
    reports: dict[str, dict[str, tuple[str, str]]] = {}
    for household_id, report_id, payment_id, status in seen:
        reports.setdefault(household_id, {})[report_id] = (payment_id, status)
    return {
        household_id: Account(
            household_id, sequence, payments.get(household_id, {}), reports.get(household_id, {})
        )
        for household_id, sequence in sequences
    }


async def _seen(
    db: Connection, household_ids: Sequence[str], report_ids: Iterable[str]
) -> list[asyncpg.Record]:
    return await db.fetch(
        "select household_id, report_id, payment_id, status from report "
        "where household_id = any($1) and report_id = any($2)",
        household_ids,
        sorted(set(report_ids)),
    )


async def cycles_of(db: Connection, household_ids: Sequence[str], payment_ids: Iterable[str]) -> list[str]:
    """The cycles these payments belong to, sorted."""
    rows = await db.fetch(
        "select distinct cycle_id from payment where household_id = any($1) and payment_id = any($2) "
        "order by cycle_id",
        household_ids,
        sorted(set(payment_ids)),
    )
    return [row["cycle_id"] for row in rows]


async def next_reminder(db: Connection, now: datetime) -> list[tuple[str, str]] | None:
    """(household, payment) whose partner is silent, not locked; the reminder goes with this transaction.

    None where no reminder is due. Of those it names, most were heard of meanwhile, and are left alone.
    """
    row = await db.fetchrow(
        """
        delete from reminder where id = (
            select id from reminder where due_at <= $1 order by due_at limit 1 for update skip locked)
        returning household_ids, payment_ids
        """,
        now,
    )
    if row is None:
        return None
    silent = await db.fetch(
        "select household_id, payment_id from payment join unnest($1::text[], $2::text[]) "
        "as t(household_id, payment_id) using (household_id, payment_id) where due_at <= $3",
        *row,
        now,
    )
    return [(each[0], each[1]) for each in silent]


async def save(
    db: Connection, accounts: Sequence[Account], now: datetime, patience: Patience
) -> list[Transfer]:
    """Write what reports or silence changed; returns the transfers, which are written too.

    A settlement stands in its payment's row.
    """
    changed = [each for each in accounts if each.updates or each.inquiries or each.cancellings]
    transfers = [update.transfer for each in changed for update in each.updates if update.transfer]
    settled = {each.subject for each in transfers if each.kind is Kind.SETTLE}
    if changed:
        await _save_sequences(db, changed)
        await _save_states(db, changed, settled, now, patience)
        await store.cancel(db, [asked for each in changed for asked in each.cancellings], now)
    await _save_reports(db, [report for each in accounts for report in each.booked], now)
    await store.insert_transfers(db, [each for each in transfers if each.kind is not Kind.SETTLE], now)
    return transfers


async def _save_sequences(db: Connection, accounts: Sequence[Account]) -> None:
    # By how far they rise: a batch has few such numbers, and asyncpg looks twice at each element of an array.
    risen: dict[int, list[str]] = {}
    for each in accounts:
        risen.setdefault(each.told, []).append(each.household_id)
    for by, household_ids in risen.items():
        await db.execute(
            "update household set sequence = sequence + $2 where household_id = any($1)", household_ids, by
        )


async def _save_states(
    db: Connection, accounts: Sequence[Account], settled: Container[str], now: datetime, patience: Patience
) -> None:
    """`settled`: payments whose settlement is booked now."""
    touched: dict[str, Payment] = {}
    for account in accounts:
        changes: tuple[Updated | Inquiry, ...] = (*account.updates, *account.inquiries)
        ids = [each.payment.payment_id for each in changes]
        touched |= {payment_id: account.payments[payment_id] for payment_id in ids}
    awaited = [(due(each, now, patience), each) for each in touched.values()]
    alike: dict[tuple[object, ...], list[Payment]] = {}
    for due_at, each in awaited:
        become = each.state, each.reason, each.inquiries, due_at, each.late, each.payment_id in settled
        alike.setdefault(become, []).append(each)
    for values, payments in alike.items():
        await db.execute(
            """
            update payment p set partner_reference = t.partner_reference, updated_at = $4, state = $5,
                reason = $6, inquiries = $7, due_at = $8, late = $9,
                settled_at = case when $10 then $4 else p.settled_at end
            from unnest($1::text[], $2::text[], $3::text[]) as t(household_id, payment_id, partner_reference)
            where p.household_id = t.household_id and p.payment_id = t.payment_id
            """,
            [each.household_id for each in payments],
            [each.payment_id for each in payments],
            [each.partner_reference for each in payments],
            now,
            *values,
        )
    if awaited:
        await store.remind(db, awaited)


async def _save_reports(db: Connection, reports: Sequence[Received[PaymentReport]], now: datetime) -> None:
    if reports:
        await db.copy_records_to_table(
            "report",
            columns=(
                *("household_id", "report_id", "payment_id", "status", "amount", "partner_reference"),
                *("reason_code", "occurred_at", "at"),
            ),
            records=[
                (
                    *(each.key, said.report_id, said.payment_id, said.status, said.amount),
                    *(said.partner_reference, code(said.reason_code), said.occurred_at, now),
                )
                for each in reports
                for said in (each.data,)
            ],
        )
