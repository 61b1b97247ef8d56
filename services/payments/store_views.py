"""SQL for what is shown: payments, issued or not yet, stories, sums. Nothing here locks or writes."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import asyncpg

from postbox.message import Connection
from services.payments.budget import Stage, Waiting, stage
from services.payments.states import payment_id_of

_STORY = """
select issued_at, 'payment issued', payment_id, amount, partner, traceparent
    from payment where household_id = $1
union all
select c.at, 'correction recorded', payment_id, c.amount, null, p.traceparent
    from correction c join payment p using (household_id, payment_id) where household_id = $1
union all
select r.at, 'partner reported ' || r.status, payment_id, r.amount, r.reason_code, p.traceparent
    from report r join payment p using (household_id, payment_id) where household_id = $1
union all
select updated_at, 'partner asked: no report', payment_id, amount, reason, traceparent
    from payment where household_id = $1 and state = 'unknown'
union all
select issued_at, case when carried > 0 then 'topped up for before' else 'withheld for before' end,
    payment_id, carried, null, traceparent from payment where household_id = $1 and carried <> 0
union all
select coalesce(decided_at, at), 'write-off ' || state, programme, amount, reason, ''
    from write_off where household_id = $1
union all
select at, 'partner asked to cancel', payment_id, 0, reason, ''
    from cancellation where household_id = $1
union all
select queued_at, 'partner can not cancel', payment_id, 0, flaw, ''
    from outgoing where household_id = $1 and kind = 'cancel' and flaw is not null
union all
select coalesce(released_at, placed_at),
    case when released_at is null then 'held' else 'released' end, hold_id,
    0, coalesce(release_reason, reason), '' from payment_hold where household_id = $1
union all
select at, 'payee confirmed by another person', 'revision ' || revision, 0, reason, ''
    from payee_confirmation where household_id = $1
union all
select at, 'to be looked into: ' || kind, payment_id, amount, resolution, ''
    from difference where household_id = $1
union all
select ended_at, 'waits to be sent again', cycle_id, 0, waiting, ''
    from reissue where household_id = $1
union all
select h.decided_at, case when covered then 'waits, covered' else 'waits' end, cycle_id, d.amount, d.waiting,
    h.traceparent from awaiting d join household h using (household_id) where household_id = $1
order by 1, 2
"""


class Shown(NamedTuple):
    """One payment as it is listed; amounts in riel.

    One that is `planned` or `approved` has the id it will be issued under, the reason it waits for, and no
    partner yet.
    """

    payment_id: str
    household_id: str
    cycle_id: str
    programme: str
    period: str
    attempt: int
    amount: int
    entitled: int
    partner: str | None
    commune: str
    state: str
    reason: str | None
    issued_at: datetime | None
    updated_at: datetime | None


class Wait(NamedTuple):
    """What waits in a cycle for one reason, and whether it was approved."""

    cycle_id: str
    reason: str
    households: int
    riel: int
    state: Stage


class Share(NamedTuple):
    """The payments of one cycle in one province (gazetteer code) and state.

    `reissued` of them are attempts that another one replaced; their riel do not count.
    """

    cycle_id: str
    province: str
    state: str
    payments: int
    riel: int
    reissued: int


class Told(NamedTuple):
    """One thing that happened to a household's payments."""

    at: datetime
    what: str
    about: str
    riel: int
    note: str | None
    traceparent: str


async def payments(
    db: Connection, wanted: Mapping[str, str | None], after: tuple[str, str], most: int
) -> list[Shown]:
    """A page of payments by (household, payment), those with these values of cycle, household and state."""
    rows = await db.fetch(
        """
        select payment_id, household_id, cycle_id, programme, period, attempt, amount, entitled, partner,
            commune, state, reason, issued_at, updated_at
        from payment
        where ($1::text is null or cycle_id = $1) and ($2::text is null or household_id = $2)
            and ($3::text is null or state = $3) and (household_id, payment_id) > ($4, $5)
        order by household_id, payment_id limit $6
        """,
        *(wanted.get("cycle_id"), wanted.get("household_id"), wanted.get("state"), *after, most),
    )
    return [Shown(*row) for row in rows]


async def before_issue(
    db: Connection, wanted: Mapping[str, str | None], after: tuple[str, str], most: int
) -> list[Shown]:
    """A page of what is planned or approved and not issued, as `payments` gives what is; of that state."""
    every = [(why, covered) for why in Waiting for covered in (False, True)]
    asked = wanted.get("state")
    kinds = [each for each in every if asked in (None, stage(each[0], covered=each[1]))]
    rows = await db.fetch(
        """
        with asked as not materialized (
            select household_id, cycle_id, programme, period, purpose, amount, h.commune, waiting, covered
            from awaiting join household h using (household_id)
            where ($1::text is null or cycle_id = $1) and ($2::text is null or household_id = $2)
                and household_id >= $3
                and (waiting, covered) in (select * from unnest($5::text[], $6::boolean[])))
        (select * from asked where household_id > $3 order by household_id fetch first $4 rows with ties)
        union all select * from asked where household_id = $3
        """,
        *(wanted.get("cycle_id"), wanted.get("household_id"), after[0], most),
        *zip(*kinds, strict=True),
    )
    found = sorted(map(_before_issue, rows), key=lambda each: (each.household_id, each.payment_id))
    return [each for each in found if (each.household_id, each.payment_id) > after][:most]


def _before_issue(row: asyncpg.Record) -> Shown:
    household_id, cycle_id, programme, period, purpose, amount, commune, waiting, covered = row
    return Shown(
        payment_id_of(household_id, (programme, period, purpose), 1),
        *(household_id, cycle_id, programme, period, 1, amount, amount, None, commune),
        *(stage(Waiting(waiting), covered=covered), waiting, None, None),
    )


async def waiting(db: Connection, cycle_id: str | None) -> list[Wait]:
    """Households and riel that wait, by cycle and reason."""
    rows = await db.fetch(
        "select cycle_id, waiting, covered, count(*), sum(amount)::bigint from awaiting "
        "where $1::text is null or cycle_id = $1 group by 1, 2, 3 order by 1, 2, 3",
        cycle_id,
    )
    found: dict[tuple[str, str, Stage], Wait] = {}
    for cycle, reason, covered, households, riel in rows:
        at = cycle, reason, stage(Waiting(reason), covered=covered)
        known = found.get(at, Wait(cycle, reason, 0, 0, at[2]))
        found[at] = known._replace(households=known.households + households, riel=known.riel + riel)
    return list(found.values())


async def eligible(db: Connection) -> dict[str, int]:
    """Households whose latest decision says eligible, by cycle."""
    rows = await db.fetch(
        "select cycle_id, count(*) from every_decision where outcome = 'eligible' and cycle_id is not null "
        "group by cycle_id"
    )
    return {row[0]: row[1] for row in rows}


async def shares(db: Connection) -> list[Share]:
    """Payments by cycle, province and state."""
    rows = await db.fetch(
        "select cycle_id, left(commune, 2), state, count(*), "
        "coalesce(sum(amount) filter (where not superseded), 0)::bigint, count(*) filter (where superseded) "
        "from payment group by 1, 2, 3 order by 1, 2, 3"
    )
    return [Share(*row) for row in rows]


async def story(db: Connection, household_id: str) -> list[Told]:
    """What happened to a household's payments, in order."""
    return [_told(Told(*row)) for row in await db.fetch(_STORY, household_id)]


def _told(each: Told) -> Told:
    if not each.what.startswith("waits") or each.what == "waits to be sent again":
        return each
    state = stage(Waiting(each.note or ""), covered=each.what == "waits, covered")
    return each._replace(what=f"payment {state}, and waits")
