"""SQL about the money of cycles: funds, and sub-envelopes that many workers spend from and free at once.

Whoever issues shares a cycle with others; a person's step has it alone (`store_cycles`). Then come its
envelope (only to give to sub-envelopes, or to free), these, and households: waits go in this order alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from contracts.cycle import CycleState
from postbox.message import Connection
from services.payments import store_cycles
from services.payments.budget import Budget, Draw, Part
from services.payments.cycles import Cycle
from services.payments.ledger import Paid, Transfer

AT_A_TIME = 8
"""A sub-envelope is given at least one in so many of the riel that none has: few wait for the envelope."""
_PART = "fund, number, allotted - committed + released, allotted_payments - payments"
_READY = f"""
select {_PART} from sub_envelope
where cycle_id = $1 and allotted - committed + released >= $2 and allotted_payments - payments >= $3
order by fund, number limit 1 for update skip locked
"""  # noqa: S608 - a constant
_GIVE = f"""
update sub_envelope set allotted = allotted + $3, allotted_payments = allotted_payments + $4
where cycle_id = $1 and number = $2 returning {_PART}
"""  # noqa: S608 - a constant
_TAKE_BACK = """
update sub_envelope set allotted = committed - released, allotted_payments = payments
where cycle_id = $1 and (allotted, allotted_payments) <> (committed - released, payments)
"""


class Fund(NamedTuple):
    """What a donor gave, or gives, to a cycle; `number`: the version of the cycle that approved it."""

    number: int
    donor: str
    riel: int
    proposed_by: Sequence[str]
    approved_by: str
    reason: str | None
    at: datetime


async def budgets(db: Connection, wanted: Mapping[str, int]) -> dict[str, Budget]:
    """These cycles, shared, with room for so many payments of each, or all the room there is.

    What may be spent is locked until the transaction ends; nothing is where a cycle is not approved.
    """
    if not wanted:
        return {}
    found: dict[str, Budget] = {}
    for cycle in sorted(await store_cycles.share(db, wanted), key=lambda each: each.cycle_id):
        count, approved = wanted[cycle.cycle_id], cycle.state is CycleState.APPROVED
        riel = count * cycle.terms.cap_household
        parts = await take(db, cycle.cycle_id, riel, count) if approved and count else []
        found[cycle.cycle_id] = Budget(cycle, parts)
    return found


async def to_cover(db: Connection, household_id: str, payment_id: str) -> Budget | None:
    """What the cycle of a payment (its household not locked yet) can pay for it; None where there is none."""
    row = await db.fetchrow(
        "select cycle_id, amount from payment where household_id = $1 and payment_id = $2",
        household_id,
        payment_id,
    )
    if row is None:
        return None
    (cycle,) = await store_cycles.share(db, [row["cycle_id"]])
    return Budget(cycle, await take(db, cycle.cycle_id, row["amount"], 0))


async def take(db: Connection, cycle_id: str, riel: int, payments: int) -> list[Part]:
    """Sub-envelopes of a cycle with so much in them, or with all there is, in the order of their funds."""
    ready = await db.fetchrow(_READY, cycle_id, riel, payments)
    if ready is None:
        if await db.fetchrow("select from envelope where cycle_id = $1 for update", cycle_id) is None:
            return []
        ready = await db.fetchrow(_READY, cycle_id, riel, payments)
    return [Part(*ready)] if ready else await _give(db, cycle_id, riel, payments)


async def spend(
    db: Connection, budgets: Iterable[Budget], payments: Sequence[Paid], *, covers: bool = False
) -> dict[str, int]:
    """Take payments from what their budgets hold; returns the fund of each, by its id.

    `covers`: a late settlement of theirs is paid for, and no payment is made.
    """
    draws: list[Draw] = []
    spent: list[tuple[str, int, int, int]] = []
    for budget in budgets:
        cycle_id = budget.cycle.cycle_id
        paid = [each for each in payments if each.cycle_id == cycle_id]
        drawn = budget.draw(paid)
        count = 0 if covers else len(paid)
        for part in budget.parts if paid else ():
            riel = sum(each.amount for each in drawn if each.number == part.number)
            spent.append((cycle_id, part.number, riel, count))
            count = 0
        draws += drawn
    if spent:
        await db.execute(
            "update sub_envelope s set committed = s.committed + t.riel, payments = s.payments + t.count "
            "from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) "
            "as t(cycle_id, number, riel, count) where s.cycle_id = t.cycle_id and s.number = t.number",
            *zip(*spent, strict=True),
        )
    return await _split(db, draws, covers=covers)


async def keep_open(db: Connection, cycle_ids: Iterable[str]) -> None:
    """Before households are locked: `free` may give riel back to these cycles.

    Whoever looked for room everywhere and lets a household wait has the envelope alone: it is freed after.
    """
    await db.execute(
        "select from envelope where cycle_id = any($1) order by cycle_id for share", sorted(set(cycle_ids))
    )


async def free(db: Connection, transfers: Sequence[Transfer]) -> None:
    """Give room back to the funds it came from (see `keep_open`); what waits for room is tried again."""
    freed = [transfer for transfer in transfers if transfer.frees]
    if not freed:
        return
    rows = await db.fetch(
        """
        with freed as (select * from unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::bigint[])
            as t(cycle_id, household_id, payment_id, fund, amount)),
        other as (select s.* from split s join freed using (household_id, payment_id) where not s.covers)
        select cycle_id, fund, sum(amount)::bigint, sum(count)::bigint from (
            select cycle_id, fund, amount, 1 as count from freed
            union all select f.cycle_id, f.fund, -s.amount, 0
                from other s join freed f using (household_id, payment_id)
            union all select cycle_id, fund, amount, 0 from other) each
        group by 1, 2 order by 1, 2
        """,
        *zip(*((t.cycle_id, t.household_id, t.subject, t.fund, t.amount) for t in freed), strict=True),
    )
    for cycle_id, fund, riel, count in rows:
        await db.execute(
            "update sub_envelope set released = released + $3, payments = payments - $4 "
            "where cycle_id = $1 and number = $2",
            *(cycle_id, await _free_part(db, cycle_id, fund), riel, count),
        )
    await db.execute(
        f"update cycle set {store_cycles.BEGIN_ANEW} where cycle_id in "  # noqa: S608 - a constant
        "(select cycle_id from cycle where cycle_id = any($1) order by cycle_id for no key update)",
        [transfer.cycle_id for transfer in freed],
    )


async def fund(db: Connection, cycle: Cycle, amount: int, prepared_by: Sequence[str], at: datetime) -> None:
    """Write what the last step approved: so many riel more, of the cycle's donor."""
    await db.execute(
        "insert into envelope (cycle_id, cap_payments) values ($1, $2) on conflict (cycle_id) do nothing",
        cycle.cycle_id,
        cycle.terms.cap_payments,
    )
    await db.execute(
        "insert into fund (cycle_id, number, donor, amount, proposed_by, approved_by, reason, at) "
        "values ($1, $2, $3, $4, $5, $6, $7, $8)",
        *(cycle.cycle_id, cycle.version, cycle.donor, amount, prepared_by),
        *(cycle.decided_by, cycle.reason, at),
    )


async def funds(db: Connection, cycle_id: str) -> list[Fund]:
    """Who gave a cycle's envelope, in the order in which it is drawn."""
    rows = await db.fetch(
        "select number, donor, amount, proposed_by, approved_by, reason, at from fund "
        "where cycle_id = $1 order by number",
        cycle_id,
    )
    return [Fund(*row) for row in rows]


async def _give(db: Connection, cycle_id: str, riel: int, payments: int) -> list[Part]:
    """Give sub-envelopes so much, the (locked) envelope's first fund first; others' too, if it must be."""
    left, count = await _left(db, cycle_id)
    if sum(left.values()) < riel or count < payments:
        await db.execute("select from sub_envelope where cycle_id = $1 order by number for update", cycle_id)
        await db.execute(_TAKE_BACK, cycle_id)
        left, count = await _left(db, cycle_id)
    parts: list[Part] = []
    # The last fund stands for an envelope that is used up.
    for fund in [number for number, each in left.items() if each] or list(left)[-1:]:
        wanted = max(riel - sum(each.room for each in parts), left[fund] // AT_A_TIME)
        given = min(count, max(payments, count // AT_A_TIME)) if not parts else 0
        row = await db.fetchrow(
            _GIVE,
            *(cycle_id, await _free_part(db, cycle_id, fund), min(left[fund], wanted), given),
        )
        assert row is not None
        parts.append(Part(*row))
        if sum(each.room for each in parts) >= riel:
            break
    return parts


async def _left(db: Connection, cycle_id: str) -> tuple[dict[int, int], int]:
    """Riel by fund, and payments, that no sub-envelope has."""
    rows = await db.fetch(
        "select f.number, f.amount - f.allotted, e.cap_payments - e.allotted_payments "
        "from fund f join envelope e using (cycle_id) where cycle_id = $1 order by f.number",
        cycle_id,
    )
    return {row[0]: row[1] for row in rows}, rows[0][2] if rows else 0


async def _free_part(db: Connection, cycle_id: str, fund: int) -> int:
    """A sub-envelope of a fund that nobody else holds, made where there is none; locked."""
    number = await db.fetchval(
        "select number from sub_envelope where cycle_id = $1 and fund = $2 "
        "order by number limit 1 for update skip locked",
        cycle_id,
        fund,
    )
    if number is None:
        number = await db.fetchval(
            "insert into sub_envelope (cycle_id, fund) values ($1, $2) returning number", cycle_id, fund
        )
    return int(number)


async def _split(db: Connection, draws: Iterable[Draw], *, covers: bool) -> dict[str, int]:
    """The fund of each payment, the first that pays of it; what others pay of it is written."""
    funds: dict[str, int] = {}
    others: dict[tuple[str, str, int], Draw] = {}
    for each in draws:
        if funds.setdefault(each.payment_id, each.fund) != each.fund:
            at = each.household_id, each.payment_id, each.fund
            known = others.get(at)
            others[at] = each._replace(amount=each.amount + known.amount) if known else each
    if others:
        await db.copy_records_to_table(
            "split",
            columns=("household_id", "payment_id", "covers", "fund", "cycle_id", "amount"),
            records=[(*at[:2], covers, at[2], each.cycle_id, each.amount) for at, each in others.items()],
        )
    return funds
