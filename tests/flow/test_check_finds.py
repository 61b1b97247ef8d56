"""`tonle check` on the finished run: a row taken away or made twice anywhere is found and named."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import asyncpg
import pytest

from tests.flow.conftest import Run
from tonle import check
from tonle.stack.postgres import SUPERUSER

pytestmark = pytest.mark.stack

TABLES = {
    ("registration", "household"): "each revision of a household was told",
    ("eligibility", "household"): "eligibility knows each household as last told",
    ("eligibility", "referral"): "each referral and withdrawal was told",
    ("payments", "household"): "payments has each household's latest decisions",
    ("payments", "payment"): "each payment was told",
    ("payments", "household_key"): "payments knows each payee's key",
    ("notifications", "sms"): "each step of a payment has one SMS, or none for a reason",
}


@asynccontextmanager
async def connected(run: Run, database: str) -> AsyncIterator[asyncpg.Connection]:
    """Tests may change what services wrote."""
    dsn = run.stack.state.postgres.dsn[SUPERUSER].rpartition("/")[0]
    db = await asyncpg.connect(f"{dsn}/{database}")
    try:
        yield db
    finally:
        await db.close()


@asynccontextmanager
async def without_a_row(run: Run, database: str, table: str) -> AsyncIterator[str]:
    """One household's rows (the shown one's, if it has any) are gone from a table meanwhile; gives its id."""
    async with connected(run, database) as db:
        household = await db.fetchval(
            f"select household_id from {table} order by household_id <> $1, 1 limit 1",
            run.done.shown.household_id,
        )
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


@contextmanager
def changed_inbox(run: Run) -> Iterator[None]:
    """The gateway's own record lacks its first SMS and has its last twice, meanwhile."""
    with sqlite3.connect(run.data_dir / "gateway.sqlite") as db:
        before = db.execute("select * from sms").fetchall()
        db.execute("delete from sms where position = (select min(position) from sms)")
        db.execute("update sms set copies = 2 where position = (select max(position) from sms)")
    try:
        yield
    finally:
        with sqlite3.connect(run.data_dir / "gateway.sqlite") as db:
            db.execute("delete from sms")
            db.executemany(f"insert into sms values ({', '.join('?' * len(before[0]))})", before)


@asynccontextmanager
async def overdrawn(run: Run) -> AsyncIterator[None]:
    """Each sub-envelope has committed far more than it was allotted, meanwhile."""
    rule = "constraint within_envelope"
    async with connected(run, "payments") as db:
        await db.execute(f"alter table sub_envelope drop {rule}")
        await db.execute("update sub_envelope set committed = committed + 10 ^ 15")
        try:
            yield
        finally:
            await db.execute("update sub_envelope set committed = committed - 10 ^ 15")
            await db.execute(f"alter table sub_envelope add {rule} check (committed - released <= allotted)")


async def test_a_row_taken_from_any_table_is_missed_where_it_was(run: Run) -> None:
    async with AsyncExitStack() as stack:
        rows = {name: without_a_row(run, *table) for table, name in TABLES.items()}
        missing = {name: await stack.enter_async_context(each) for name, each in rows.items()}
        audit = await check.audit(run.stack.state)
    assert not audit.passed
    named = {each.comparison.name: {one.household for one in each.differences} for each in audit.findings}
    assert {name: household for name, household in missing.items() if household not in named[name]} == {}
    said = "\n".join(check.lines(audit))
    assert [household for household in missing.values() if household not in said] == []


async def test_what_the_gateway_has_not_or_twice_is_found_and_an_envelope_overdrawn(run: Run) -> None:
    with changed_inbox(run):
        async with overdrawn(run):
            audit = await check.audit(run.stack.state)
    assert (audit.lost, audit.doubled, audit.passed) == (1, 1, False)
    assert "committed minus released stays within the envelope" in audit.broken


async def test_the_run_is_whole_again_after_all_that(run: Run) -> None:
    audit = await check.audit(run.stack.state)
    assert [line for line in check.lines(audit) if line.startswith("✗")] == []
