"""SQL of a cycle's preview: every household with what it gets and what it got, read in one snapshot."""

from collections.abc import AsyncIterator
from typing import NamedTuple

from postbox.message import Connection
from services.payments.cycles import Cycle
from services.payments.preview import Entry, Measure, expected
from services.payments.store_corrections import BALANCES

AT_ONCE = 5000
# What a cycle promised or would: payments by their latest attempt, and decisions that wait.
_LIST = """
select household_id, amount, waiting, 0 as carried, covered from awaiting where cycle_id = $1
union all
select household_id, (array_agg(amount order by attempt desc))[1], '',
    (array_agg(carried order by attempt desc))[1], true
from payment where cycle_id = $1 group by household_id, purpose
"""
_ENTRIES = f"""
with this as (
    select household_id, sum(amount)::bigint as amount, max(waiting) as waiting, bool_and(covered) as covered,
        sum(carried)::bigint as carried, sum(amount) filter (where waiting <> '')::bigint as waits
    from ({_LIST}) each group by household_id),
open as (select household_id, riel from ({BALANCES}) balance where programme = $3),
last as (
    select household_id, sum(amount)::bigint as amount from (
        select household_id, (array_agg(amount order by attempt desc))[1] as amount
        from payment where cycle_id = $2 group by household_id, purpose) each
    group by household_id)
select household_id, coalesce(this.amount, 0), coalesce(last.amount, 0), coalesce(this.waiting, ''),
    coalesce(this.carried, 0), coalesce(this.covered, false), coalesce(this.waits, 0), coalesce(open.riel, 0)
from this full join last using (household_id) left join open using (household_id) order by household_id
"""  # noqa: S608 - constants


class Grounds(NamedTuple):
    """What a preview compares with: the cycle before, if there is one, and the amounts' measure."""

    last_cycle: str | None
    measure: Measure


async def grounds(db: Connection, cycle: Cycle) -> Grounds:
    """The programme's latest earlier cycle that paid anybody, and the median amount of this one."""
    terms = cycle.terms
    last = await db.fetchval(
        "select cycle_id from cycle c where programme = $1 and period < $2 "
        "and exists (select from payment p where p.cycle_id = c.cycle_id) order by period desc limit 1",
        terms.programme,
        terms.period,
    )
    typical = await db.fetchval(
        f"select percentile_disc(0.5) within group (order by amount) from ({_LIST}) each",  # noqa: S608
        cycle.cycle_id,
    )
    return Grounds(last, Measure(typical or 0, terms.cap_household))


async def entries(
    db: Connection, cycle: Cycle, last_cycle: str | None, recover_percent: int
) -> AsyncIterator[list[Entry]]:
    """Pages of every household in either cycle, by id. The caller holds a transaction."""
    cap = cycle.terms.cap_household
    cursor = await db.cursor(_ENTRIES, cycle.cycle_id, last_cycle, cycle.terms.programme)
    while page := await cursor.fetch(AT_ONCE):
        yield [
            expected(Entry(*entry), waits, balance, cap=cap, recover_percent=recover_percent)
            for *entry, waits, balance in page
        ]
