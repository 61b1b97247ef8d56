"""SQL of scorings: the last of a household stands with it, and what they came to is kept once for all."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from postbox.message import Connection
from services.eligibility.households import Household, Scored

Row = tuple[object, ...]
LAST = ("scored_sequence", "scored_revision", "cause_id", "traceparent", "decided_at", "finding")
"""The columns of `household` that say its last scoring; in `scoring` two have other names."""
_COLUMNS = ("household_id", "sequence", "revision", *LAST[2:])


async def add(db: Connection, households: Iterable[Household], now: datetime) -> dict[str, Row]:
    """Write what was decided of locked households, but the last scoring of each: its values of `LAST`, by
    household. Whoever writes the household must write these, since those before them are moved away."""
    scored = [each for each in households if each.scored]
    if not scored:
        return {}
    texts = {one.made.digest: one.made.json for each in scored for one in each.scored}
    findings = await _findings(db, texts)
    await _move(db, [each.household_id for each in scored if not each.is_new])
    passed = [(one.household_id, *_row(one, now, findings)) for each in scored for one in each.scored[:-1]]
    if passed:
        await db.copy_records_to_table("scoring", columns=_COLUMNS, records=passed)
    return {each.household_id: _row(each.scored[-1], now, findings) for each in scored}


def _row(one: Scored, now: datetime, findings: Mapping[bytes, int]) -> Row:
    return one.sequence, one.revision, one.cause.id, one.cause.traceparent, now, findings[one.made.digest]


async def _move(db: Connection, household_ids: Sequence[str]) -> None:
    """Put last scorings where they stay."""
    if household_ids:
        await db.execute(
            f"insert into scoring ({', '.join(_COLUMNS)}) select household_id, {', '.join(LAST)}"  # noqa: S608 - constants
            " from household where household_id = any($1) and finding is not null order by household_id",
            household_ids,
        )


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
