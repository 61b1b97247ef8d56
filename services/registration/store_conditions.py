"""SQL of condition reports: which were told of a household, by number and by hashed business key."""

from datetime import date, datetime
from typing import NamedTuple

from postbox.message import Connection


class Reported(NamedTuple):
    """A report that was told; what it says is kept as hashes alone."""

    household_id: str
    number: int
    reference_hash: bytes
    content_hash: bytes
    reported_on: date
    reported_by: str
    at: datetime
    traceparent: str


async def last_number(db: Connection, household_id: str) -> int:
    """The number of a household's last report, 0 where there is none; the household is locked before."""
    found: int = await db.fetchval(
        "select coalesce(max(number), 0) from condition_report where household_id = $1", household_id
    )
    return found


async def of_reference(db: Connection, household_id: str, reference_hash: bytes) -> list[Reported]:
    """Every report of one business key, oldest first."""
    rows = await db.fetch(
        "select household_id, number, reference_hash, content_hash, reported_on, reported_by, at, traceparent"
        " from condition_report where household_id = $1 and reference_hash = $2 order by number",
        household_id,
        reference_hash,
    )
    return [Reported(*row) for row in rows]


async def add(db: Connection, report: Reported) -> None:
    """Write that a report was told."""
    await db.copy_records_to_table("condition_report", records=[report], columns=Reported._fields)
