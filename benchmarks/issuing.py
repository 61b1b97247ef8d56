"""Issuing a cycle, as the stack runs it: from decisions that wait to instructions on Kafka, beside a floor.

Payments runs alone; households with their keys and decisions are put into its database. Then one, four and
sixteen processes issue a cycle at once, in chunks of their own: as services do, and all of them locking the
cycle's row, as it was before envelopes were kept in parts.
"""

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path

import asyncpg
import psutil

from benchmarks import results
from benchmarks.floor import issuing as floor
from benchmarks.floor.wire import PARTNER
from benchmarks.payments import Ground, opened
from benchmarks.watch import used_cpu_s, whole
from contracts.household import Account, Payee
from contracts.topics import ELIGIBILITY_SCORED, PAYMENT_ISSUED
from contracts.wire import dump, event_id
from tonle.stack.errors import StackError
from vault.master import MasterKey
from vault.sealing import Keys, new_key

PROGRAMME, RIEL, AT_ONCE, LOOK_S = "bench", 176_000, 5_000, 0.5
ENVELOPE = 400_000_000_000
OFFICERS = {"Sokha": "prepare", "Dara": "approve", "Vanna": "approve", "Bopha": "approve"}
WORKERS, EACH_MOST = (1, 4, 16), 16_000
_DECIDE = """
insert into decision (household_id, programme, programme_hash, purpose, cycle_id, period, outcome, amount,
    decision_id, revision, waiting)
select household_id, $1, 'h', 'bench', $1 || '-' || $2, $2, 'eligible', $3, decision_id, 1, 'approval'
from household order by household_id limit $4
"""
_LEFT = """
select (select count(*) from cycle where issue_after is not null)
    + (select count(*) from outbox where published_at is null)
"""


async def measure(home: Path, households: int, say: Callable[[str], None]) -> results.Figures:
    """The figures for so many households. Raises `StackError` where one was not issued once."""
    async with opened(home) as ground:
        officers = [await _officer(ground, name, action) for name, action in OFFICERS.items()]
        db = await asyncpg.connect(ground.dsn, password=ground.password)
        try:
            await _fill(db, MasterKey.from_file(ground.stack.secrets.master_key), households)
            say(f"{households:,} households wait")
            floor_s = await floor.measure(ground, db, households)
            say(f"the bare loop issues them in {floor_s:.1f} s")
            issued = await _job(ground, db, officers, households, say)
            took_s = households / float(str(issued["payments_issued_per_second"]))
            together = await _together(ground, db, officers, min(households, EACH_MOST), say)
        finally:
            await db.close()
    return {**issued, "payments_issued_floor_ratio": results.ratio(floor_s, took_s), **together}


async def _together(
    ground: Ground, db: asyncpg.Connection, officers: list[str], each: int, say: Callable[[str], None]
) -> dict[str, object]:
    """Payments a second of some workers, side by side and on one row."""
    figures: dict[str, object] = {}
    for number, workers in enumerate(WORKERS, 1):
        for name, one_row in (("", False), ("_one_row", True)):
            period = f"20{27 + one_row}-{number:02}"
            await _approved(ground, officers, db, period)
            await db.execute(_DECIDE, PROGRAMME, period, RIEL, each)
            speed = each / await _workers(ground, db, period, workers, one_row=one_row)
            figures[f"payments_issued_per_second_workers_{workers}{name}"] = round(speed)
            say(f"{workers} workers{' on one row' * one_row}: {speed:,.0f}/s")
    return figures


async def _job(
    ground: Ground, db: asyncpg.Connection, officers: list[str], households: int, say: Callable[[str], None]
) -> dict[str, object]:
    """From the approval until every instruction is on Kafka."""
    await _submitted(ground, officers, "2026-01", households)
    await db.execute(_DECIDE, PROGRAMME, "2026-01", RIEL, households)
    await db.execute("analyze")
    looks = [await ground.watch.look()]
    began = time.perf_counter()
    await _step(ground, officers[3], f"/{PROGRAMME}-2026-01/approve")
    while await db.fetchval(_LEFT):
        await asyncio.sleep(LOOK_S)
        looks.append(await ground.watch.look())
        if len(looks) % 20 == 0:
            say(
                f"{looks[-1].messages[PAYMENT_ISSUED.name] - looks[0].messages[PAYMENT_ISSUED.name]:,} issued"
            )
    took = time.perf_counter() - began
    looks.append(await ground.watch.look())
    told = looks[-1].messages[PAYMENT_ISSUED.name] - looks[0].messages[PAYMENT_ISSUED.name]
    if told != households:
        raise StackError(f"{told} payments of {households} were told.", "See the service's log.")
    used = used_cpu_s(looks)
    say(f"issued in {took:.1f} s")
    return {
        "payments_issued": households,
        "payments_issued_per_second": round(households / took),
        "payments_issued_cpu_us": round(whole(used) / households * 1e6, 1),
        "payments_issued_cpu_us_by_process": {
            name: round(seconds / households * 1e6, 1) for name, seconds in used.items() if seconds
        },
    }


async def _workers(
    ground: Ground, db: asyncpg.Connection, period: str, workers: int, *, one_row: bool
) -> float:
    """Seconds until so many processes have issued a cycle together; what they tell is in the outbox then."""
    cycle_id = f"{PROGRAMME}-{period}"
    rows = await db.fetch("select household_id from decision where cycle_id = $1 order by 1", cycle_id)
    ids = [row[0] for row in rows]
    env = os.environ | psutil.Process(ground.stack.state.services["payments"].pid).environ()
    command = (sys.executable, "-m", "benchmarks.issuer", cycle_id, str(int(one_row)))
    started = [
        await asyncio.create_subprocess_exec(*command, env=env, stdin=PIPE, stdout=PIPE)
        for _ in range(workers)
    ]
    for number, child in enumerate(started):
        await _told(child, json.dumps(ids[number::workers]))
    began = time.monotonic()
    ended = await asyncio.gather(*(_told(child, "go") for child in started))
    codes = await asyncio.gather(*(child.wait() for child in started))
    issued = await db.fetchval("select payments from spent where cycle_id = $1", cycle_id)
    if any(codes) or issued != len(ids):
        raise StackError(f"{issued} payments of {len(ids)} were issued.", "See what the workers say.")
    await _still(db)
    return max(map(float, ended)) - began


async def _told(child: Process, line: str) -> str:
    """What a worker answers to a line."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(line.encode() + b"\n")
    return (await child.stdout.readline()).decode()


async def _still(db: asyncpg.Connection) -> None:
    while await db.fetchval(_LEFT):  # noqa: ASYNC110 - another process does it
        await asyncio.sleep(LOOK_S)


async def _approved(ground: Ground, officers: list[str], db: asyncpg.Connection, period: str) -> None:
    await _submitted(ground, officers, period, EACH_MOST)
    await _step(ground, officers[3], f"/{PROGRAMME}-{period}/approve")
    await _still(db)


async def _submitted(ground: Ground, officers: list[str], period: str, households: int) -> None:
    """A cycle that takes one more person: an envelope is as large as it takes three to approve."""
    await _step(ground, officers[0], "", _terms(period, households))
    for officer, step in zip(officers, ("submit", "approve", "approve"), strict=False):
        await _step(ground, officer, f"/{PROGRAMME}-{period}/{step}")


def _terms(period: str, households: int) -> dict[str, object]:
    about = {
        "programme": PROGRAMME,
        "programme_hash": "h",
        "purpose": "bench",
        "reference_date": "2026-01-01",
    }
    caps = {"cap_household": 1_000_000, "cap_payments": households, "envelope": ENVELOPE}
    return {**about, **caps, "period": period}


async def _officer(ground: Ground, name: str, action: str) -> str:
    body = {"name": name, "actions": [f"cycle.{action}", "read"]}
    admin = {"Authorization": f"Bearer {ground.stack.secrets.admin_token}"}
    return str(
        (await ground.http.post("/callers", json=body, headers=admin)).raise_for_status().json()["token"]
    )


async def _step(ground: Ground, token: str, path: str, body: object = None) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    (await ground.http.post(f"/cycles{path}", json=body, headers=headers, timeout=600)).raise_for_status()


async def _fill(db: asyncpg.Connection, master: MasterKey, households: int) -> None:
    """Households with their keys and sealed payees, as decisions leave them."""
    for start in range(0, households, AT_ONCE):
        made = [_household(number, master) for number in range(start, min(start + AT_ONCE, households))]
        await db.copy_records_to_table(
            "household",
            columns=(
                *("household_id", "scored", "revision", "exit_revision", "commune", "decision_id"),
                *("correlation_id", "traceparent", "payee_key_id", "payee", "sequence"),
            ),
            records=[row for row, _ in made],
        )
        await db.copy_records_to_table(
            "household_key",
            columns=("household_id", "key_id", "purpose", "state", "wrapped", "master_key_id"),
            records=[key for _, key in made],
        )


def _household(number: int, master: MasterKey) -> tuple[tuple[object, ...], tuple[object, ...]]:
    name, (key_id, key) = f"h-{number:07}", new_key()
    decision = event_id(ELIGIBILITY_SCORED, name, 1)
    account = Account(provider=PARTNER, number=f"0{number:08}")
    payee = Payee(
        person_id=name, name_km="សុខ ដារ៉ា", name_latin="Sok Dara", phone="+85512345678", account=account
    )
    keys = Keys({})
    keys.add(key_id, key)
    blob = keys.seal(key_id, dump(payee), event_id=decision, event_type=ELIGIBILITY_SCORED.name)
    trace = f"00-{number + 1:032x}-{number + 1:016x}-00"
    wrapped = master.wrap(key, bound_to=f"{name}/{key_id}")
    return (
        (name, 1, 1, 0, "120101", decision, name, trace, key_id, blob, 0),
        (name, key_id, "payee", "active", wrapped, master.id),
    )
