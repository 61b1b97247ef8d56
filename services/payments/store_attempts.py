"""SQL about what ended and may be sent again, and about what partners paid and nobody expected.

Rows of `reissue` are written under the lock of their household's row, so that no two attempts are made.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from postbox.message import Connection
from services.payments import store
from services.payments.attempts import Retrying, Tried, Wanted
from services.payments.states import ENDED, Account, DifferenceKind, Payment

_KEY = "household_id, programme, period, purpose"
_DIFFERENCES = """
select household_id, payment_id, report_id, kind, cycle_id, partner, partner_reference, amount, at,
    resolution, resolved_by, reason, cover_by, cover_reason
from difference
"""


class Ended(NamedTuple):
    """An entitlement key that is not paid, and why it is not sent again; `amount`: its last attempt's.

    `asked_at`: when its partner was asked whether that is over.
    """

    household_id: str
    cycle_id: str
    programme: str
    period: str
    attempts: int
    amount: int
    state: str
    reason: str | None
    waiting: str
    ordered_by: str | None
    due_at: datetime | None
    ended_at: datetime
    asked_at: datetime | None


class Differing(NamedTuple):
    """A difference as it is listed; `amount` in riel. `cover_by` asked that the envelope pay it."""

    household_id: str
    payment_id: str
    report_id: str
    kind: str
    cycle_id: str
    partner: str
    partner_reference: str | None
    amount: int
    at: datetime
    resolution: str | None
    resolved_by: str | None
    reason: str | None
    cover_by: str | None
    cover_reason: str | None


async def note(db: Connection, accounts: Sequence[Account], now: datetime, after: timedelta) -> None:
    """After the states were saved: what ended is wanted again, and may be sent again once that is confirmed;
    what settled late is a difference."""
    updated = [update.payment for each in accounts for update in each.updates]
    ended = [each for each in updated if each.state in ENDED]
    if ended:
        await _want(db, ended, now, now + after)
    answered = [(each.household_id, question) for each in accounts for question in each.confirmed]
    if answered:
        await _confirm(db, answered, now)
    if any(each.differences for each in accounts):
        await _differ(db, accounts, now)
        late = [each for each in updated if each.late and each.state not in ENDED]
        await _count(db, [each for each in late if each.state == "settled"])
        await _drop(db, late)


async def hurry(db: Connection, household_ids: Sequence[str], now: datetime) -> None:
    """A newer decision came, perhaps with another payee: what ended is tried at once."""
    await db.execute(
        "update reissue set due_at = $2 where household_id = any($1) and due_at is distinct from $2",
        household_ids,
        now,
    )


async def due(db: Connection, now: datetime, most: int) -> list[tuple[str, str, str]]:
    """(household, cycle, period) of what is to be tried again, not locked; the longest due first."""
    rows = await db.fetch(
        "select household_id, cycle_id, period from reissue where due_at <= $1 order by due_at limit $2",
        now,
        most,
    )
    return [(row[0], row[1], row[2]) for row in rows]


async def wanted(db: Connection, household_ids: Sequence[str], now: datetime) -> dict[str, list[Wanted]]:
    """What is due of these (locked) households, by household."""
    rows = await db.fetch(
        f"select {_KEY}, cycle_id, ordered_by is not null, "  # noqa: S608 - a constant
        "asked is not null, confirmed_at is not null from reissue "
        f"where household_id = any($1) and due_at <= $2 order by {_KEY}",
        household_ids,
        now,
    )
    found: dict[str, list[Wanted]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(Wanted(row[0], (row[1], row[2], row[3]), *row[4:]))
    return found


async def settle(
    db: Connection, tried: Sequence[Tried], issued: Sequence[Payment], policy: Retrying, now: datetime
) -> None:
    """Write what became of each try: gone where an attempt was issued, else why not and when next."""
    await _drop(db, issued)
    await _count(db, issued)
    left = [each for each in tried if each.waiting is not None]
    rows = [
        (each.wanted.household_id, *each.wanted.key, each.waiting, policy.due(each.waiting, now), each.asked)
        for each in left
        if each.waiting is not None
    ]
    if rows:
        await db.execute(
            """
            update reissue r set waiting = t.waiting, due_at = t.due_at, ordered_by = null,
                asked = coalesce(t.asked, r.asked),
                asked_at = case when t.asked is null then r.asked_at else $8 end
            from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[],
                $7::text[]) as t(household_id, programme, period, purpose, waiting, due_at, asked)
            where r.household_id = t.household_id and r.programme = t.programme and r.period = t.period
                and r.purpose = t.purpose
            """,
            *zip(*rows, strict=True),
            now,
        )


async def need_no_answer(db: Connection, payments: Sequence[tuple[str, str]], now: datetime) -> None:
    """Of these (household, payment)s that ended just now nobody has to be asked whether they did."""
    await db.execute(
        """
        update reissue r set confirmed_at = $3
        from payment p join unnest($1::text[], $2::text[]) as t(household_id, payment_id)
            using (household_id, payment_id)
        where r.household_id = p.household_id and r.programme = p.programme and r.period = p.period
            and r.purpose = p.purpose and p.state in ('failed', 'expired', 'returned', 'cancelled')
            and not exists (select from payment q where q.household_id = p.household_id
                and q.programme = p.programme and q.period = p.period and q.purpose = p.purpose
                and q.attempt > p.attempt)
        """,
        *zip(*payments, strict=True),
        now,
    )


async def order(db: Connection, wanted: Mapping[str, str | None], by: str, now: datetime) -> tuple[int, int]:
    """Have what ended of a cycle, household or reason tried at once; returns (keys, riel)."""
    row = await db.fetchrow(
        """
        with chosen as (
            select r.ctid, p.amount from reissue r join lateral (
                select amount, reason from payment p
                where p.household_id = r.household_id and p.programme = r.programme and p.period = r.period
                    and p.purpose = r.purpose order by attempt desc limit 1) p on true
            where ($1::text is null or r.cycle_id = $1) and ($2::text is null or r.household_id = $2)
                and ($3::text is null or p.reason = $3)
            order by r.household_id, r.programme, r.period, r.purpose for update of r),
        ordered as (
            update reissue r set due_at = $4, ordered_by = $5 from chosen c where r.ctid = c.ctid returning 1)
        select (select count(*) from ordered), coalesce(sum(amount), 0)::bigint from chosen
        """,
        *(wanted.get("cycle"), wanted.get("household"), wanted.get("reason"), now, by),
    )
    return (row[0], row[1]) if row else (0, 0)


async def ended(db: Connection, cycle_id: str | None, after: tuple[str, str, str], most: int) -> list[Ended]:
    """A page of what ended and is not sent again yet, by (household, programme, period)."""
    rows = await db.fetch(
        """
        select r.household_id, r.cycle_id, r.programme, r.period, p.attempt, p.amount, p.state, p.reason,
            r.waiting, r.ordered_by, r.due_at, r.ended_at, r.asked_at
        from reissue r join lateral (
            select * from payment p where p.household_id = r.household_id and p.programme = r.programme
                and p.period = r.period and p.purpose = r.purpose order by attempt desc limit 1) p on true
        where ($1::text is null or r.cycle_id = $1) and (r.household_id, r.programme, r.period) > ($2, $3, $4)
        order by 1, 3, 4 limit $5
        """,
        *(cycle_id, *after, most),
    )
    return [Ended(*row) for row in rows]


async def differences(db: Connection, *, resolved: bool, most: int) -> list[Differing]:
    """What partners paid unexpectedly, the oldest first."""
    rows = await db.fetch(
        _DIFFERENCES + "where (resolution is not null) = $1 order by at, household_id, payment_id limit $2",
        resolved,
        most,
    )
    return [Differing(*row) for row in rows]


async def open_difference(db: Connection, payment_id: str, kind: DifferenceKind | None) -> Differing | None:
    """The oldest difference of a payment (its household locked) that nobody resolved."""
    row = await db.fetchrow(
        _DIFFERENCES + "where payment_id = $1 and resolution is null "
        "and ($2::text is null or kind = $2) order by at limit 1",
        payment_id,
        kind,
    )
    return Differing(*row) if row else None


async def propose_cover(db: Connection, found: Differing, *, by: str, why: str) -> None:
    """Write that somebody asks for a cover."""
    await db.execute(
        "update difference set cover_by = $4, cover_reason = $5 "
        "where household_id = $1 and payment_id = $2 and report_id = $3",
        *(found.household_id, found.payment_id, found.report_id, by, why),
    )


async def resolve(
    db: Connection, found: Differing, resolution: str, *, by: str, why: str, at: datetime
) -> None:
    """Write what a person decided of a difference."""
    await db.execute(
        "update difference set resolution = $4, resolved_by = $5, reason = $6, resolved_at = $7 "
        "where household_id = $1 and payment_id = $2 and report_id = $3",
        *(found.household_id, found.payment_id, found.report_id, resolution, by, why, at),
    )


async def payment(db: Connection, household_id: str, payment_id: str) -> Payment | None:
    """One payment; its household stays locked until the transaction ends."""
    await db.execute("select from household where household_id = $1 for update", household_id)
    query = store.PAYMENTS + "where household_id = $1 and payment_id = $2"
    row = await db.fetchrow(query, household_id, payment_id)
    return store.payment_of(row) if row else None


async def _want(db: Connection, payments: Sequence[Payment], now: datetime, due_at: datetime) -> None:
    # Not what another attempt has paid, or may still pay.
    await db.execute(
        f"""
        insert into reissue ({_KEY}, cycle_id, due_at, ended_at)
        select p.household_id, p.programme, p.period, p.purpose, p.cycle_id, $4, $3
        from payment p join unnest($1::text[], $2::text[]) as t(household_id, payment_id)
            using (household_id, payment_id)
        where p.state in ('failed', 'expired', 'returned', 'cancelled') and not exists (
            select from payment q where q.household_id = p.household_id and q.programme = p.programme
                and q.period = p.period and q.purpose = p.purpose and (q.live or q.state = 'settled_late'))
        order by 1, 2, 3, 4
        on conflict do nothing
        """,  # noqa: S608 - a constant
        [each.household_id for each in payments],
        [each.payment_id for each in payments],
        now,
        due_at,
    )


async def _confirm(db: Connection, answered: Sequence[tuple[str, str]], now: datetime) -> None:
    """(household, question)s were answered: what waits for the answer alone is tried at once."""
    await db.execute(
        """
        update reissue r set confirmed_at = $3,
            due_at = case when r.waiting = 'partner-answer' then $3 else r.due_at end
        from unnest($1::text[], $2::text[]) as t(household_id, asked)
        where r.household_id = t.household_id and r.asked = t.asked and r.confirmed_at is null
        """,
        *zip(*answered, strict=True),
        now,
    )


async def _differ(db: Connection, accounts: Sequence[Account], now: datetime) -> None:
    await db.executemany(
        "insert into difference (household_id, payment_id, report_id, kind, cycle_id, partner, "
        "partner_reference, amount, at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        [
            (
                *(found.payment.household_id, found.payment.payment_id, found.report.data.report_id),
                *(found.kind, found.payment.cycle_id, found.payment.partner),
                *(found.report.data.partner_reference, found.payment.amount, now),
            )
            for each in accounts
            for found in each.differences
        ],
    )


async def _drop(db: Connection, payments: Iterable[Payment]) -> None:
    rows = [(each.household_id, *each.key) for each in payments]
    if rows:
        await db.execute(
            f"delete from reissue where ({_KEY}) in "  # noqa: S608 - a constant
            "(select * from unnest($1::text[], $2::text[], $3::text[], $4::text[]))",
            *zip(*rows, strict=True),
        )


async def _count(db: Connection, payments: Iterable[Payment]) -> None:
    """These attempts count from now on, and the others of their keys do not."""
    rows = [(each.household_id, *each.key, each.payment_id) for each in payments]
    if rows:
        await db.execute(
            """
            update payment p set superseded = (p.payment_id <> t.payment_id)
            from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
                as t(household_id, programme, period, purpose, payment_id)
            where p.household_id = t.household_id and p.programme = t.programme and p.period = t.period
                and p.purpose = t.purpose and p.superseded <> (p.payment_id <> t.payment_id)
            """,
            *zip(*rows, strict=True),
        )
