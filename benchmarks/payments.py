"""A bank's files, as large as a national month: a pain.002 booked, a camt.053 kept, everything reconciled.

Payments runs as it does in the stack; what it was issued before is put into its database. The floor reads
the same file by the same parser and writes the least that a report must leave behind, a thousand at a time.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import md5
from itertools import islice
from pathlib import Path

import asyncpg
import httpx

from benchmarks import results
from benchmarks.watch import Look, Watch, rss_mb_most, used_cpu_s, whole
from services.payments.partners.iso20022 import pain002
from simulators import bank
from simulators.bank import Balance, Order, Outcome
from tonle.stack.errors import StackError
from tonle.stack.programs import programs
from tonle.stack.supervisor import Stack, StackSettings

RIEL, CYCLE, BANK = 176_000, "bench-2026-11", "acleda"
PART_BYTES, AT_ONCE, LOOK_S = 1024 * 1024, 1_000, 0.5
NATIONAL = 700_000
_FILL = """
insert into cycle_step (cycle_id, version, step, state, actor, prepared_by, funded, donor, at)
values ('{cycle}', 2, 'submit', 'submitted', 'a', '{{a}}', 0, 'wfp', now()),
    ('{cycle}', 3, 'approve', 'approved', 'b', '{{a}}', 0, 'wfp', now());
insert into cycle (cycle_id, programme, programme_hash, purpose, period, reference_date, cap_household,
    cap_payments, state, version, prepared_by, decided_by, funded, donor)
values ('{cycle}', 'bench', 'h', 'bench', '2026-11', '2026-11-01', 1000000, 10000000, 'approved', 3,
    '{{a}}', 'b', {riel} * {count}::bigint, 'wfp');
insert into fund (cycle_id, number, donor, amount, proposed_by, approved_by, at)
values ('{cycle}', 3, 'wfp', {riel} * {count}::bigint, '{{a}}', 'b', now());
insert into envelope (cycle_id, cap_payments) values ('{cycle}', 10000000);
insert into sub_envelope (cycle_id, fund, allotted, committed, allotted_payments, payments)
values ('{cycle}', 3, {riel} * {count}::bigint, {riel} * {count}::bigint, {count}, {count});
insert into household (household_id, scored, revision, exit_revision, commune, decision_id, correlation_id,
    traceparent, sequence)
select 'h-' || n, 1, 1, 0, '120101', 'd', 'c', '{trace}', 1 from generate_series(1, {count}) n;
insert into payment (household_id, payment_id, programme, period, purpose, attempt, cycle_id, amount,
    entitled, partner, commune, revision, decision_id, correlation_id, traceparent, state, issued_at,
    updated_at, fund, posted)
select 'h-' || n, md5(n::text)::uuid, 'bench', '2026-11', 'bench', 1, '{cycle}', {riel}, {riel}, '{bank}',
    '120101', 1, 'd', 'c', '{trace}', 'issued', now(), now(), 3, true from generate_series(1, {count}) n;
insert into outgoing (household_id, instruction_id, partner, payment_id, kind, amount, queued_at, message_id)
select household_id, 'i-' || payment_id, partner, payment_id, 'pay', amount, issued_at, 'm-1' from payment;
create table floor_payment as select payment_id, household_id, state from payment;
create unique index on floor_payment (payment_id);
create table floor_report (payment_id text, status text, amount bigint, reference text);
"""
_FLOOR = "update floor_payment set state = 'settled' where payment_id = any($1) and state = 'issued'"
_TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


@dataclass(frozen=True)
class Ground:
    """Payments running alone, and who may load files there."""

    stack: Stack
    http: httpx.AsyncClient
    watch: Watch
    dsn: str
    password: str


async def measure(home: Path, payments: int, say: Callable[[str], None]) -> results.Figures:
    """The figures for so many payments. Raises `StackError` where one was not booked once."""
    async with opened(home) as ground:
        await _fill(ground, payments)
        say(f"{payments:,} payments issued to a bank, two files written")
        report, statement = home / "pain002.xml", home / "camt053.xml"
        await asyncio.to_thread(_write, report, statement, payments)
        floor_s = await _floor(ground, report)
        say(f"the bare loop reads and writes them in {floor_s:.1f} s")
        booked_s, booking = await _loaded(ground, report, payments)
        say(f"pain.002 checked and booked in {booked_s:.1f} s")
        kept_s, keeping = await _loaded(ground, statement, payments + 1)
        say(f"camt.053 checked and kept in {kept_s:.1f} s")
        began = time.perf_counter()
        found = (await ground.http.get("/reconciliation", timeout=600)).json()
        asked_s = time.perf_counter() - began
        if found["open_total"] or found["days"][0]["on_statement"] != payments:
            raise StackError(f"Reconciled with {found['open']}.", "Nothing is measured before all agree.")
        say(f"reconciled in {asked_s:.1f} s: nothing differs")
        national = {"reconcile_700k_s": round(kept_s + asked_s, 1), "pain002_700k_s": round(booked_s, 1)}
        return {
            "payments_reported": payments,
            "reports_per_second": round(payments / booked_s),
            "reports_floor_per_second": round(payments / floor_s),
            "reports_floor_ratio": results.ratio(floor_s, booked_s),
            "statement_lines_per_second": round(payments / kept_s),
            "reconcile_s": round(asked_s, 1),
            "report_cpu_us": round(whole(used_cpu_s(booking)) / payments * 1e6, 1),
            "statement_line_cpu_us": round(whole(used_cpu_s(keeping)) / payments * 1e6, 1),
            "payments_rss_mb": round(rss_mb_most([*booking, *keeping], "payments"), 1),
            **(national if payments == NATIONAL else {}),
        }


@asynccontextmanager
async def opened(home: Path) -> AsyncIterator[Ground]:
    alone = tuple(each for each in programs() if each.name == "payments")
    async with (
        Stack(StackSettings(data_dir=home / "stack"), services=alone) as stack,
        Watch(stack.state) as watch,
    ):
        url = stack.state.services["payments"].url
        admin = {"Authorization": f"Bearer {stack.secrets.admin_token}"}
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            loader = {"name": "bench", "actions": ["partner.load", "read"]}
            made = (await http.post("/callers", json=loader, headers=admin)).raise_for_status().json()
            http.headers["Authorization"] = f"Bearer {made['token']}"
            dsn, password = stack.state.postgres.dsn["payments"], stack.secrets.database_password("payments")
            yield Ground(stack, http, watch, dsn, password)


async def _fill(ground: Ground, payments: int) -> None:
    db = await asyncpg.connect(ground.dsn, password=ground.password)
    try:
        facts = {"cycle": CYCLE, "riel": RIEL, "count": payments, "bank": BANK, "trace": _TRACE}
        await db.execute(_FILL.format(**facts))
        await db.execute("analyze")
    finally:
        await db.close()


def _write(report: Path, statement: Path, payments: int) -> None:
    now = datetime.now(UTC)
    bank.write_report(report, "m-1", _paid(payments), now)
    balance = Balance("000111222", 1, RIEL * payments, 0)
    bank.write_statement(statement, balance, _paid(payments), now)


def _paid(payments: int) -> Iterator[Outcome]:
    for number in range(1, payments + 1):
        name = md5(str(number).encode(), usedforsecurity=False).hexdigest()
        yield Outcome(Order(name, str(RIEL)), bank.SETTLED)


async def _loaded(ground: Ground, file: Path, rows: int) -> tuple[float, list[Look]]:
    """Seconds from the first byte sent until every row is done, and what was seen meanwhile."""
    looks = [await ground.watch.look()]

    async def parts() -> AsyncIterator[bytes]:
        with file.open("rb") as opened:
            while part := await asyncio.to_thread(opened.read, PART_BYTES):
                yield part

    began = time.perf_counter()
    sent = await ground.http.post(f"/partners/{BANK}/files", content=parts(), timeout=600)
    there = f"/partners/{BANK}/files/{sent.raise_for_status().json()['sha256']}"
    while (found := (await ground.http.get(there)).json())["state"] == "received":
        looks.append(await ground.watch.look())
        await asyncio.sleep(LOOK_S)
    took = time.perf_counter() - began
    looks.append(await ground.watch.look())
    if (found["state"], found["rows_booked"]) != ("done", rows):
        raise StackError(f"The file ended {found}.", "See the service's log.")
    return took, looks


async def _floor(ground: Ground, report: Path) -> float:
    """Read with the same parser; one update and one copy for each thousand rows."""
    db = await asyncpg.connect(ground.dsn, password=ground.password)
    began = time.perf_counter()
    try:
        rows = pain002.rows(report)
        while chunk := list(islice(rows, AT_ONCE)):
            async with db.transaction():
                ids = sorted(each.payment_id or "" for each in chunk)
                await db.execute(_FLOOR, ids)
                said = [(each.payment_id, each.status, each.amount, each.reference) for each in chunk]
                await db.copy_records_to_table("floor_report", records=said)
        return time.perf_counter() - began
    finally:
        await db.close()
