"""SQL about households, their decisions and what is issued: loaded under lock, one statement a table."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import asyncpg

from postbox.message import Connection
from services.payments import store_corrections, store_decisions
from services.payments.decided import Decision, Part
from services.payments.entitlements import Corrected, Household, Issued, SealedPayee
from services.payments.ledger import Transfer
from services.payments.states import Cancelling, Inquiry, Key, Patience, Payment, State, due
from services.payments.store_decisions import Standing

_HOUSEHOLD_COLUMNS = (
    *("household_id", "scored", "revision", "exit_revision", "commune", "decision_id", "correlation_id"),
    *("traceparent", "decided_at", "payee_key_id", "payee", "sequence", "paid_to"),
)
_HOUSEHOLDS = f"""
select {", ".join(_HOUSEHOLD_COLUMNS)}
from household where household_id = any($1) order by household_id for update
"""  # noqa: S608 - constants
_PAYMENT_COLUMNS = (
    *("payment_id", "household_id", "programme", "period", "purpose", "attempt", "cycle_id", "amount"),
    *("entitled", "partner", "commune", "revision", "decision_id", "correlation_id", "traceparent", "state"),
    *("carried", "fund", "due_at", "issued_at", "updated_at", "posted"),
)
PAYMENTS = """
select payment_id, household_id, programme, period, purpose, attempt, cycle_id, amount, entitled, partner,
    commune, revision, decision_id, correlation_id, traceparent, state, reason, partner_reference, inquiries,
    due_at, late, carried, cancels, fund
from payment
"""
_STATE, _STATES = 15, {state.value: state for state in State}


async def load(
    db: Connection, household_ids: Sequence[str], periods: Iterable[str], *, with_open: bool = False
) -> dict[str, Household]:
    """Households (sorted ids), locked, with decisions and, of these periods, the attempts that count.

    Attempts that differ from what is due come with them, of whatever period, and `with_open` the live ones.
    A household that is not there yet is left out; if another batch brings it meanwhile, saving fails.
    """
    rows = await db.fetch(_HOUSEHOLDS, household_ids)
    known = [row["household_id"] for row in rows]
    if not known:
        return {}
    decisions = await store_decisions.load(db, known)
    payments = await _latest_attempts(db, known, periods, with_open)
    written_off = await store_corrections.written_off(db, known)
    found = {row[0]: _household(row, decisions.get(row[0], {}), payments.get(row[0], {})) for row in rows}
    return found | {each: found[each]._replace(written_off=riel) for each, riel in written_off.items()}


async def save(
    db: Connection,
    households: Sequence[Household],
    funds: Mapping[str, int],
    now: datetime,
    patience: Patience,
) -> None:
    """Write households (sorted, each once) with what changed of their payments; `funds` by payment id."""
    new = [each for each in households if each.is_new]
    known = [each for each in households if not each.is_new]
    if new:
        await _insert_households(db, new)
    if known:
        await _update_households(db, known)
    issued = [change.payment for each in households for change in each.changes if isinstance(change, Issued)]
    await _insert_payments(db, issued, funds, now, patience)
    await _save_corrections(db, households, now)
    changes = [change for each in households for change in each.changes]
    await cancel(db, [each for each in changes if isinstance(each, Cancelling)], now)
    await _count_inquiries(db, [each.payment for each in changes if isinstance(each, Inquiry)])


async def insert_transfers(db: Connection, transfers: Sequence[Transfer], now: datetime) -> None:
    """Post transfers, once each: the same (household, subject, kind) again fails on its key.

    What issues or settles stands in its payment's row: the view `every_transfer` shows all.
    """
    if transfers:
        await db.copy_records_to_table(
            "transfer",
            columns=(*Transfer._fields, "at"),
            records=[(*each, now) for each in transfers],
        )


async def cancel(db: Connection, asked: Sequence[Cancelling], now: datetime) -> None:
    """Note that partners are asked not to pay these, once more each."""
    if asked:
        await db.copy_records_to_table(
            "cancellation",
            columns=("household_id", "payment_id", "number", "asked_by", "reason", "at"),
            records=[
                (
                    *(each.payment.household_id, each.payment.payment_id, each.payment.cancels),
                    *(each.asked_by, each.reason, now),
                )
                for each in asked
            ],
        )
        await db.execute(
            "update payment p set cancels = p.cancels + 1 from unnest($1::text[], $2::text[]) "
            "as t(household_id, payment_id) "
            "where p.household_id = t.household_id and p.payment_id = t.payment_id",
            [each.payment.household_id for each in asked],
            [each.payment.payment_id for each in asked],
        )


async def remind(db: Connection, payments: Iterable[tuple[datetime | None, Payment]]) -> None:
    """Note when to look at payments again, one row for each time; nothing for what awaits no report (None).

    An index on `payment.due_at` instead would make each report write to every index of the table.
    """
    due_at: dict[datetime, list[Payment]] = {}
    for at, payment in payments:
        if at is not None:
            due_at.setdefault(at, []).append(payment)
    if due_at:
        await db.copy_records_to_table(
            "reminder",
            columns=("due_at", "household_ids", "payment_ids"),
            records=[
                (at, [each.household_id for each in due_at[at]], [each.payment_id for each in due_at[at]])
                for at in sorted(due_at)
            ],
        )


async def mark_forgotten(db: Connection, keys: Sequence[tuple[str, str]]) -> None:
    """What waits for (household, payee key)s that were destroyed can't be paid any more, and says so.

    Whom they were paid to is forgotten, too.
    """
    await db.execute(
        "with forgotten as (select household_id from household where household_id = any($1) "
        "and paid_to is not null order by household_id for update) "
        "update household h set paid_to = null from forgotten f where h.household_id = f.household_id",
        sorted({household_id for household_id, _ in keys}),
    )
    await db.execute(
        """
        with forgotten as (
            select household_id from household
            where (household_id, payee_key_id) in (select * from unnest($1::text[], $2::text[]))
            order by household_id for update)
        update decision d set waiting = 'forgotten' from forgotten f
        where d.household_id = f.household_id and d.waiting is not null
        """,
        *zip(*sorted(keys), strict=True),
    )


def payment_of(row: asyncpg.Record) -> Payment:
    """A row of `PAYMENTS`."""
    values = [*row]
    values[_STATE] = _STATES[values[_STATE]]
    return Payment(*values)


async def _latest_attempts(
    db: Connection, household_ids: Sequence[str], periods: Iterable[str], with_open: bool
) -> dict[str, dict[Key, Payment]]:
    rows = await db.fetch(
        # Of a key, the last one counts: the live attempt, else one that settled late, else the latest.
        PAYMENTS + "where household_id = any($1) "
        "and (period = any($2) or (entitled <> amount and not superseded) or ($3 and live)) "
        "order by live, state = 'settled_late', attempt",
        household_ids,
        sorted(set(periods)),
        with_open,
    )
    found: dict[str, dict[Key, Payment]] = {}
    for row in rows:
        payment = payment_of(row)
        found.setdefault(payment.household_id, {})[payment.key] = payment
    return found


async def _insert_households(db: Connection, households: Sequence[Household]) -> None:
    standing = Standing(households)
    # No `on conflict`: if another batch brought the household meanwhile, this one must look again.
    await db.copy_records_to_table(
        "household",
        columns=(*_HOUSEHOLD_COLUMNS, "decided", "decided_by"),
        records=map(_household_row, households, standing.settled),
    )
    await standing.insert(db)


async def _update_households(db: Connection, households: Sequence[Household]) -> None:
    standing = Standing(households)
    await db.execute(
        """
        update household h set scored = t.scored, revision = t.revision, exit_revision = t.exit_revision,
            commune = t.commune, decision_id = t.decision_id, correlation_id = t.correlation_id,
            traceparent = t.traceparent, decided_at = t.decided_at, payee_key_id = t.payee_key_id,
            payee = t.payee, sequence = t.sequence, paid_to = t.paid_to, decided = t.decided,
            decided_by = t.decided_by
        from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[],
                $7::text[], $8::text[], $9::timestamptz[], $10::text[], $11::bytea[], $12::bigint[],
                $13::bytea[], $14::json[], $15::bigint[])
            as t(household_id, scored, revision, exit_revision, commune, decision_id, correlation_id,
                traceparent, decided_at, payee_key_id, payee, sequence, paid_to, decided, decided_by)
        where h.household_id = t.household_id
        """,
        *zip(*map(_household_row, households, standing.settled), strict=True),
    )
    await standing.update(db)


def _household_row(each: Household, settled: str | None) -> tuple[object, ...]:
    return (
        *(each.household_id, each.scored, each.revision, each.exit_revision, each.commune),
        *(each.decision_id, each.correlation_id, each.traceparent, each.decided_at),
        each.payee.key_id if each.payee else None,
        each.payee.blob if each.payee else None,
        each.sequence,
        each.paid_to,
        settled,
        each.scored,
    )


async def _insert_payments(
    db: Connection, issued: Sequence[Payment], funds: Mapping[str, int], now: datetime, patience: Patience
) -> None:
    if not issued:
        return
    awaited = [(due(each, now, patience), each) for each in issued]
    await db.copy_records_to_table(
        "payment",
        columns=_PAYMENT_COLUMNS,
        records=[
            (
                *(each.payment_id, each.household_id, each.programme, each.period, each.purpose),
                *(each.attempt, each.cycle_id, each.amount, each.entitled, each.partner, each.commune),
                *(each.revision, each.decision_id, each.correlation_id, each.traceparent, each.state),
                *(each.carried, funds[each.payment_id], due_at, now, now, True),
            )
            for due_at, each in awaited
        ],
    )
    await remind(db, awaited)


async def _count_inquiries(db: Connection, asked: Sequence[Payment]) -> None:
    if asked:
        await db.execute(
            "update payment p set inquiries = p.inquiries + 1 from unnest($1::text[], $2::text[]) "
            "as t(household_id, payment_id) "
            "where p.household_id = t.household_id and p.payment_id = t.payment_id",
            [each.household_id for each in asked],
            [each.payment_id for each in asked],
        )


async def _save_corrections(db: Connection, households: Sequence[Household], now: datetime) -> None:
    corrected = [change for each in households for change in each.changes if isinstance(change, Corrected)]
    if not corrected:
        return
    await db.copy_records_to_table(
        "correction",
        columns=("household_id", "payment_id", "decision_id", "amount", "at"),
        records=[
            (each.payment.household_id, each.payment.payment_id, each.decision_id, each.correction, now)
            for each in corrected
        ],
    )
    latest = {each.payment.payment_id: each.payment for each in corrected}
    await db.execute(
        "update payment p set entitled = t.entitled from unnest($1::text[], $2::text[], $3::bigint[]) "
        "as t(household_id, payment_id, entitled) "
        "where p.household_id = t.household_id and p.payment_id = t.payment_id",
        [each.household_id for each in latest.values()],
        [each.payment_id for each in latest.values()],
        [each.entitled for each in latest.values()],
    )


def _household(
    row: asyncpg.Record, decisions: dict[Part, Decision], payments: dict[Key, Payment]
) -> Household:
    payee = SealedPayee(row["payee_key_id"], row["payee"]) if row["payee"] is not None else None
    known = Household(*row[:9])
    return known._replace(
        payee=payee,
        decisions=decisions,
        payments=payments,
        sequence=row["sequence"],
        paid_to=row["paid_to"],
        is_new=False,
    )
