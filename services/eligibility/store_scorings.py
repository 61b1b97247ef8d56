"""SQL of scorings: what each came to is kept once for all households that come to the same."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from postbox.message import Connection
from services.eligibility.households import Scored

_COLUMNS = ("household_id", "sequence", "revision", "cause_id", "traceparent", "decided_at", "finding")


async def add(db: Connection, scored: Iterable[Scored], now: datetime) -> None:
    """Write scorings."""
    all_ = list(scored)
    if not all_:
        return
    findings = await _findings(db, {one.made.digest: one.made.json for one in all_})
    rows = [
        (
            *(one.household_id, one.sequence, one.revision, one.cause.id, one.cause.traceparent),
            *(now, findings[one.made.digest]),
        )
        for one in all_
    ]
    await db.copy_records_to_table("scoring", columns=_COLUMNS, records=rows)


async def _findings(db: Connection, texts: Mapping[bytes, str]) -> dict[bytes, int]:
    """The ids of texts by their digests; those not kept yet are kept now."""
    rows = await db.fetch("select digest, id from finding where digest = any($1)", list(texts))
    if new := texts.keys() - {row["digest"] for row in rows}:
        rows += await db.fetch(
            "insert into finding (digest, decisions) select * from unnest($1::bytea[], $2::text[])"
            " returning digest, id",
            list(new),
            [texts[digest] for digest in new],
        )
    return {row["digest"]: row["id"] for row in rows}
