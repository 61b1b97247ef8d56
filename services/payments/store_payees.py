"""SQL about payees that are not those paid last, and who confirmed them."""

from datetime import datetime
from typing import NamedTuple

from postbox.message import Connection
from services.payments.entitlements import SealedPayee

_WAITING = """
select household_id, h.revision, cycle_id, amount, h.decided_at as since
    from decision d join household h using (household_id) where d.waiting = 'payee-changed'
union all
select household_id, h.revision, cycle_id, 0, ended_at
    from reissue r join household h using (household_id) where r.waiting = 'payee-changed'
"""


class Waits(NamedTuple):
    """A household that would be paid to somebody else than last, as of `revision`; riel, 0 for what is sent
    again."""

    household_id: str
    revision: int
    cycle_id: str
    riel: int
    since: datetime


class Confirmed(NamedTuple):
    """Who confirmed a payee, and why."""

    household_id: str
    revision: int
    confirmed_by: str
    reason: str
    at: datetime


class Current(NamedTuple):
    """The payee that stands, and the decision event it is sealed under."""

    revision: int
    decision_id: str
    sealed: SealedPayee | None


async def waiting(db: Connection, after: str, most: int) -> list[Waits]:
    """What waits for a second person, by household; the next page begins after the last household."""
    rows = await db.fetch(
        f"select household_id, d.revision, cycle_id, amount, since from ({_WAITING}) d "  # noqa: S608
        "where household_id > $1 order by household_id, cycle_id limit $2",
        after,
        most,
    )
    return [Waits(*row) for row in rows]


async def confirmed(db: Connection, most: int) -> list[Confirmed]:
    """The latest confirmations, the latest first."""
    rows = await db.fetch(
        "select household_id, revision, confirmed_by, reason, at from payee_confirmation "
        "order by at desc limit $1",
        most,
    )
    return [Confirmed(*row) for row in rows]


async def current(db: Connection, household_id: str) -> Current | None:
    """The payee of a household for which something waits, its row locked; None where nothing does."""
    row = await db.fetchrow(
        "select revision, decision_id, payee_key_id, payee from household where household_id = $1 for update",
        household_id,
    )
    waits = f"select exists (select from ({_WAITING}) w where household_id = $1)"  # noqa: S608
    if row is None or not await db.fetchval(waits, household_id):
        return None
    sealed = SealedPayee(row[2], row[3]) if row[3] is not None else None
    return Current(row[0], row[1], sealed)


async def confirm(db: Connection, said: Confirmed, paid_to: bytes) -> None:
    """Write a confirmation for a (locked) household; what waits for it is tried again."""
    await db.execute(
        "insert into payee_confirmation (household_id, number, revision, confirmed_by, reason, at) "
        "select $1, count(*) + 1, $2, $3, $4, $5 from payee_confirmation where household_id = $1",
        *(said.household_id, said.revision, said.confirmed_by, said.reason, said.at),
    )
    await db.execute("update household set paid_to = $2 where household_id = $1", said.household_id, paid_to)
    # `hold` is what the job looks through.
    await db.execute(
        "update decision set waiting = 'hold' where waiting = 'payee-changed' and household_id = $1",
        said.household_id,
    )
    await db.execute(
        "update reissue set due_at = $2 where waiting = 'payee-changed' and household_id = $1",
        *(said.household_id, said.at),
    )
