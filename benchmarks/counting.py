"""Counts, household by household, whether everyone was scored, paid and told; no service is asked."""

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from tonle.stack.postgres import SUPERUSER
from tonle.stack.state import StackState

LIVE = {"issued", "accepted", "settled", "unknown"}
_IMPORTS = (
    "select coalesce(sum(rows_total), 0)::bigint as rows, "
    "coalesce(sum(quarantined + duplicates), 0)::bigint as refused from import"
)

_SMS = "select sms_id, household_id, state from sms where template = 'payment-ready'"


@dataclass(frozen=True)
class Counted:
    """What databases and the gateway's own record hold.

    `payments` are (household, state), `sms` (SMS, household, state); `arrived` is how often each SMS came.
    """

    rows: int
    quarantined: int
    registered: frozenset[str]
    scored: frozenset[str]
    eligible: frozenset[str]
    payments: Sequence[tuple[str, str]]
    sms: Sequence[tuple[str, str, str]]
    arrived: Mapping[str, int]

    @property
    def told(self) -> int:
        """SMS that were sent; who has no telephone, or does not wish it, is paid without."""
        return sum(state == "sent" for _, _, state in self.sms)


async def count(stack: StackState) -> Counted:
    """Read all of it; memory grows by about a kilobyte a household."""
    (imports,) = await _rows(stack, "registration", _IMPORTS)
    registered = await _rows(stack, "registration", "select household_id from household")
    scored = await _rows(stack, "eligibility", "select household_id, standing from household")
    payments = await _rows(stack, "payments", "select household_id, state from payment")
    sms = await _rows(stack, "notifications", _SMS)
    return Counted(
        rows=imports["rows"],
        quarantined=imports["refused"],
        registered=frozenset(row["household_id"] for row in registered),
        scored=frozenset(row["household_id"] for row in scored),
        eligible=frozenset(row["household_id"] for row in scored if row["standing"] == "eligible"),
        payments=[(row["household_id"], row["state"]) for row in payments],
        sms=[(row["sms_id"], row["household_id"], row["state"]) for row in sms],
        arrived=_arrived(stack.data_dir / "gateway.sqlite"),
    )


def flaws(counted: Counted) -> list[str]:
    """What is lost, doubled or unfinished, in words; empty when all is well."""
    paid = Counter(household for household, _ in counted.payments)
    live = Counter(household for household, state in counted.payments if state in LIVE)
    told = Counter(household for _, household, _ in counted.sms)
    sent = {sms for sms, _, state in counted.sms if state == "sent"}
    open_sms = Counter(state for _, _, state in counted.sms if state not in ("sent", "none"))
    accounted = len(counted.registered) + counted.quarantined
    found = {
        "rows are neither registered nor quarantined": abs(counted.rows - accounted),
        "registered households were not scored": len(counted.registered - counted.scored),
        "eligible households were not paid": len(counted.eligible - paid.keys()),
        "households were paid without being eligible": len(paid.keys() - counted.eligible),
        "households were paid twice": sum(each > 1 for each in live.values()),
        "paid households were not told": len(paid.keys() - told.keys()),
        "households were told twice": sum(each > paid[household] for household, each in told.items()),
        "SMS that were sent are not at the gateway": len(sent - counted.arrived.keys()),
        "SMS came to the gateway unasked": len(counted.arrived.keys() - sent),
        "SMS came to the gateway twice": sum(each > 1 for each in counted.arrived.values()),
        **{f"SMS are {state}": each for state, each in open_sms.items()},
    }
    return [f"{number:,} {what}" for what, number in found.items() if number]


async def last_sms_at(stack: StackState) -> float:
    """When the last SMS was marked as sent, in seconds since 1970; 0 when none was."""
    query = "select extract(epoch from max(finished_at))::float as at from sms where state = 'sent'"
    (row,) = await _rows(stack, "notifications", query)
    return float(row["at"] or 0.0)


async def _rows(stack: StackState, database: str, query: str) -> list[asyncpg.Record]:
    dsn = stack.postgres.dsn[SUPERUSER].rpartition("/")[0]
    db = await asyncpg.connect(f"{dsn}/{database}", timeout=30, command_timeout=300)
    try:
        return await db.fetch(query)
    finally:
        await db.close()


def _arrived(record: Path) -> dict[str, int]:
    with closing(sqlite3.connect(f"file:{record}?mode=ro", uri=True)) as db:
        return dict(db.execute("select sms_id, copies from sms").fetchall())
