"""SQL about who was compared with the screening list, and what was alike."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from contracts.wire import Cause
from postbox.message import Connection
from services.payments.entitlements import SealedPayee
from services.payments.screening import Hit


class Shown(NamedTuple):
    """A likeness as it is listed: an entry of the operator's list (its version) by its id, and its hold."""

    household_id: str
    list: str | None
    entry: str
    score: int
    hold_id: str
    at: datetime
    released_by: str | None
    release_reason: str | None


class Kept(NamedTuple):
    """A household's payee as it was kept, and the event it is sealed under."""

    household_id: str
    sealed: SealedPayee
    cause: Cause


async def payees(db: Connection, household_ids: Sequence[str]) -> list[Kept]:
    """The payees kept of these households, which are not locked."""
    rows = await db.fetch(
        "select household_id, payee_key_id, payee, decision_id, correlation_id, traceparent from household "
        "where household_id = any($1) and payee is not null order by household_id",
        household_ids,
    )
    return [Kept(row[0], SealedPayee(row[1], row[2]), Cause(*row[3:])) for row in rows]


async def known(db: Connection, digests: Mapping[str, str]) -> set[str]:
    """Those of these households (household -> digest) that were screened as they are."""
    rows = await db.fetch(
        "select household_id from screened where (household_id, digest) in "
        "(select * from unnest($1::text[], $2::text[]))",
        list(digests),
        list(digests.values()),
    )
    return {row["household_id"] for row in rows}


async def cleared(db: Connection, household_ids: Sequence[str]) -> set[tuple[str, str, str]]:
    """(household, name's digest, entry) of likenesses that a person has looked at and released.

    What was released with a whole wrong list nobody looked at.
    """
    rows = await db.fetch(
        "select household_id, digest, entry from screening_hit "
        "join payment_hold using (hold_id, household_id) "
        "where household_id = any($1) and released_at is not null and released_list is null",
        household_ids,
    )
    return {(row[0], row[1], row[2]) for row in rows}


async def keep(
    db: Connection,
    digests: Mapping[str, str],
    names: Mapping[str, str],
    found: Mapping[str, tuple[str, Sequence[Hit]]],
    *,
    version: str,
    now: datetime,
) -> None:
    """Write who was screened, and of whom something was alike: household -> (hold, hits); the list's version.

    `names` are digests of what was compared, `digests` of that and the list.
    """
    await db.execute(
        "insert into screened (household_id, digest, at) "
        "select household_id, digest, $3 from unnest($1::text[], $2::text[]) as t(household_id, digest) "
        "order by 1 on conflict do nothing",
        list(digests),
        list(digests.values()),
        now,
    )
    await db.executemany(
        "insert into screening_hit (household_id, digest, entry, score, hold_id, list, at) "
        "values ($1, $2, $3, $4, $5, $6, $7) on conflict (household_id, digest, entry) do update set "
        "score = excluded.score, hold_id = excluded.hold_id, list = excluded.list, at = excluded.at",
        [
            (household_id, names[household_id], hit.entry, hit.score, hold_id, version, now)
            for household_id, (hold_id, hits) in sorted(found.items())
            for hit in hits
        ],
    )


async def hits(db: Connection, *, released: bool, most: int) -> list[Shown]:
    """Likenesses that wait for a person, or those that were released; the most alike first."""
    rows = await db.fetch(
        "select s.household_id, s.list, s.entry, s.score, s.hold_id, s.at, h.released_by, h.release_reason "
        "from screening_hit s join payment_hold h using (hold_id) where (h.released_at is not null) = $1 "
        "order by s.score desc, s.household_id, s.entry limit $2",
        released,
        most,
    )
    return [Shown(*row) for row in rows]
