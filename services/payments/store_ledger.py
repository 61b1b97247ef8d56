"""SQL that reads the ledger: balances at an instant, and a household's postings. Nothing here writes."""

from datetime import datetime
from typing import NamedTuple

from postbox.message import Connection

_FUNDS = """
with moved as (
    select cycle_id, fund, kind, sum(amount)::bigint as riel from fund_transfer
    where ($1::timestamptz is null or at <= $1) and ($2::text is null or cycle_id = $2) group by 1, 2, 3),
by_fund as (
    select cycle_id, fund,
        coalesce(sum(riel) filter (where kind = 'fund'), 0)::bigint as funded,
        coalesce(sum(riel) filter (where kind in ('issue', 'cover')), 0)::bigint as committed,
        coalesce(sum(riel) filter (where kind = 'issue'), 0)::bigint as issued,
        coalesce(sum(riel) filter (where kind in ('release', 'return')), 0)::bigint as released,
        coalesce(sum(case when kind = 'issue' then riel when kind in ('settle', 'release') then -riel end),
            0)::bigint as in_transit,
        coalesce(sum(case when kind in ('settle', 'settle-late') then riel
            when kind in ('return', 'return-late') then -riel end), 0)::bigint as paid,
        coalesce(sum(case when kind in ('cover', 'return-late') then riel when kind = 'settle-late' then -riel
            end), 0)::bigint as owed
    from moved group by 1, 2)
select c.programme, c.period, c.cycle_id, f.donor, sum(b.funded)::bigint, sum(b.committed)::bigint,
    sum(b.issued)::bigint, sum(b.released)::bigint, sum(b.funded - b.committed + b.released)::bigint,
    sum(b.in_transit)::bigint, sum(b.paid)::bigint, sum(b.owed)::bigint
from by_fund b join fund f on f.cycle_id = b.cycle_id and f.number = b.fund
    join cycle c on c.cycle_id = b.cycle_id
group by 1, 2, 3, 4 order by c.period, c.programme, min(f.number)
"""


class Balance(NamedTuple):
    """Debits minus credits of one account of a cycle, in riel."""

    cycle_id: str
    account: str
    riel: int
    postings: int


class Fund(NamedTuple):
    """What became of a donor's riel in a cycle: funded = room + in_transit + paid + owed (below zero).

    `committed` riel left the envelope (`issued` for payments, the rest for late settlements), `released` came
    back.
    """

    programme: str
    period: str
    cycle_id: str
    donor: str
    funded: int
    committed: int
    issued: int
    released: int
    room: int
    in_transit: int
    paid: int
    owed: int


class Entry(NamedTuple):
    """One transfer: `amount` riel into `debit`, out of `credit`; `fund`: whose riel, by its number."""

    at: datetime
    cycle_id: str
    household_id: str
    subject: str
    kind: str
    debit: str
    credit: str
    amount: int
    fund: int


async def balances(db: Connection, at: datetime | None, cycle_id: str | None) -> list[Balance]:
    """Every account of every cycle (or of one) as it stood at an instant; now, where none is given."""
    rows = await db.fetch(
        "select cycle_id, account, sum(amount)::bigint, count(*) from posting "
        "where ($1::timestamptz is null or at <= $1) and ($2::text is null or cycle_id = $2) "
        "group by 1, 2 order by 1, 2",
        at,
        cycle_id,
    )
    return [Balance(*row) for row in rows]


async def funds(db: Connection, at: datetime | None, cycle_id: str | None) -> list[Fund]:
    """Each donor's riel in each cycle (or in one) as they stood at an instant; now, where none is given."""
    rows = await db.fetch(
        _FUNDS,
        at,
        cycle_id,
    )
    return [Fund(*row) for row in rows]


async def entries(db: Connection, household_id: str) -> list[Entry]:
    """Every transfer of a household's payments, the oldest first."""
    rows = await db.fetch(
        "select at, cycle_id, household_id, subject, kind, debit, credit, amount, fund from every_transfer "
        "where household_id = $1 order by at, subject, kind",
        household_id,
    )
    return [Entry(*row) for row in rows]
