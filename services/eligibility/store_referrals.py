"""SQL of referrals: those that stand, those made and withdrawn, and what is shown of them."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import asyncpg

from postbox.message import Connection
from services.eligibility.referring import Referred, Told

_COLUMNS = ("household_id", "number", "recipient", "service", "mark", "decision_id", "made_at")


async def standing(db: Connection, household_ids: Sequence[str]) -> dict[str, tuple[Referred, ...]]:
    """The referrals of households (by id) that are not withdrawn, in the order of their numbers."""
    rows = await db.fetch(
        "select household_id, number, recipient, mark from referral"
        " where household_id = any($1) and withdrawn_number is null order by household_id, number",
        household_ids,
    )
    found: dict[str, tuple[Referred, ...]] = {}
    for household_id, number, recipient, mark in rows:
        found[household_id] = (*found.get(household_id, ()), Referred(number, recipient, mark))
    return found


async def save(db: Connection, letters: Iterable[Told], now: datetime) -> None:
    """Write what ministries are told: referrals made, then those withdrawn, of this batch or before."""
    told = list(letters)
    made = [each for each in told if each.withdraws is None]
    if made:
        await db.copy_records_to_table(
            "referral",
            columns=_COLUMNS,
            records=[
                (
                    *(each.about.household_id, each.number, each.recipient, each.service, each.mark),
                    *(each.about.decision_id, now),
                )
                for each in made
            ],
        )
    withdrawn = sorted(
        (each.about.household_id, each.withdraws, each.number) for each in told if each.withdraws is not None
    )
    if withdrawn:
        await db.execute(
            """
            update referral r set withdrawn_number = t.by, withdrawn_at = $4
            from unnest($1::text[], $2::bigint[], $3::bigint[]) as t(household_id, number, by)
            where r.household_id = t.household_id and r.number = t.number
            """,
            *zip(*withdrawn, strict=True),
            now,
        )


async def latest(db: Connection, household_id: str, recipient: str, most: int) -> list[asyncpg.Record]:
    """The latest referrals, of one household or to one ministry where named (not empty)."""
    return await db.fetch(
        """
        select household_id, number, recipient, service, decision_id, made_at, withdrawn_at from referral
        where ($1 = '' or household_id = $1) and ($2 = '' or recipient = $2)
        order by made_at desc, household_id, number limit $3
        """,
        household_id,
        recipient,
        most,
    )


async def totals(db: Connection) -> list[asyncpg.Record]:
    """How many referrals each ministry was told of, and how many of them stand; sensitive ones together."""
    return await db.fetch(
        """
        select recipient, service, count(*) as made,
            count(*) filter (where withdrawn_number is null) as standing
        from referral group by 1, 2 order by 1, 2
        """
    )
