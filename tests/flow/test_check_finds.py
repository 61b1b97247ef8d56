"""`tonle check` on the finished run: a row taken away or made twice anywhere is found and named."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg
import pytest

from tests.flow.conftest import Run
from tonle import check
from tonle.check import Audit
from tonle.stack.postgres import SUPERUSER

pytestmark = pytest.mark.stack

TABLES = (
    ("registration", "household_change"),
    ("eligibility", "household"),
    ("payments", "decision"),
    ("payments", "payment"),
    ("payments", "household_key"),
    ("notifications", "sms"),
)


@asynccontextmanager
async def without_a_row(run: Run, database: str, table: str) -> AsyncIterator[str]:
    """One household's rows are gone from a table meanwhile; gives the household's id."""
    dsn = run.stack.state.postgres.dsn[SUPERUSER].rpartition("/")[0] + f"/{database}"
    db = await asyncpg.connect(dsn)
    household = run.done.shown.household_id
    try:
        await db.execute("set session_replication_role = replica")
        await db.execute(
            f"create temp table kept as select * from {table} where household_id = '{household}'"
        )
        await db.execute(f"delete from {table} where household_id = $1", household)
        yield household
        written = await db.fetchval(
            "select string_agg(column_name, ', ') from information_schema.columns "
            "where table_name = $1 and is_generated = 'NEVER' and table_schema = 'public'",
            table,
        )
        await db.execute(f"insert into {table} ({written}) select {written} from kept")
    finally:
        await db.close()


@contextmanager
def changed_inbox(run: Run, statement: str) -> Iterator[None]:
    """The gateway's own record says something else meanwhile."""
    file = run.data_dir / "gateway.sqlite"
    with sqlite3.connect(file) as db:
        before = db.execute("select * from sms").fetchall()
        db.execute(statement)
    try:
        yield
    finally:
        with sqlite3.connect(file) as db:
            db.execute("delete from sms")
            db.executemany(f"insert into sms values ({', '.join('?' * len(before[0]))})", before)


def named(audit: Audit) -> set[str]:
    return {one.household for each in audit.findings for one in each.differences}


@pytest.mark.parametrize(("database", "table"), TABLES)
async def test_a_row_taken_from_a_table_is_missed(run: Run, database: str, table: str) -> None:
    async with without_a_row(run, database, table) as household:
        audit = await check.audit(run.stack.state)
    assert not audit.passed
    assert audit.lost + audit.doubled > 0
    assert household in named(audit)
    assert any(household in line for line in check.lines(audit))


async def test_an_sms_the_gateway_never_had_is_lost(run: Run) -> None:
    with changed_inbox(run, "delete from sms where position = (select min(position) from sms)"):
        audit = await check.audit(run.stack.state)
    assert (audit.lost, audit.doubled) == (1, 0)


async def test_an_sms_the_gateway_took_twice_is_doubled(run: Run) -> None:
    with changed_inbox(run, "update sms set copies = 2 where position = (select min(position) from sms)"):
        audit = await check.audit(run.stack.state)
    assert (audit.lost, audit.doubled) == (0, 1)


async def test_an_envelope_that_was_overdrawn_breaks_a_rule(run: Run) -> None:
    dsn = run.stack.state.postgres.dsn[SUPERUSER].rpartition("/")[0] + "/payments"
    db = await asyncpg.connect(dsn)
    rule = "constraint within_envelope"
    await db.execute(f"alter table sub_envelope drop {rule}")
    await db.execute("update sub_envelope set committed = committed + 10 ^ 15")
    try:
        audit = await check.audit(run.stack.state)
    finally:
        await db.execute("update sub_envelope set committed = committed - 10 ^ 15")
        await db.execute(f"alter table sub_envelope add {rule} check (committed - released <= allotted)")
        await db.close()
    assert "committed minus released stays within the envelope" in audit.broken
    assert not audit.passed


async def test_the_run_is_whole_again_after_all_that(run: Run) -> None:
    audit = await check.audit(run.stack.state)
    assert [line for line in check.lines(audit) if line.startswith("✗")] == []
