"""Payments while processes die and the partner does its worst: all are paid once, every riel is explained.

The seed is printed; TONLE_FAULT_SEED and TONLE_FAULT_HOUSEHOLDS set it and the number of households.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import asyncpg
import pytest

from simulators.partner_behaviour import Behaviour
from tests.integration.payments.conftest import CYCLE, Family, Scene, family, scene
from tests.integration.payments.test_simulated_partner import Simulator, simulator
from tests.waiting import until

__all__ = ["scene", "simulator"]  # the fixtures of payments
pytestmark = [pytest.mark.stack, pytest.mark.long, pytest.mark.timeout(3600)]

SEED = int(os.environ.get("TONLE_FAULT_SEED", "20261129"))
HOUSEHOLDS = int(os.environ.get("TONLE_FAULT_HOUSEHOLDS", "50000"))
RIEL = 176_000
KILLS = 8
AT_ONCE = 500
PATIENCE_S = 1200
WORST = Behaviour(
    seed=SEED, fail=0.03, expire=0.02, relent=0.3, relent_after_s=4, forget=0.01, drop=0.05, twice=0.05,
    late=0.05, wrong_amount=0.005, unknown=0.005, settle_after_s=0.2, down_s=2, down_every_s=15,
)  # fmt: skip
IMPOSSIBLE = {
    "report: no such payment of this household with this partner",
    "report: the amount is not the payment's",
}
FORGOT = "report: not_found, but the payment is "
IMPATIENT = {"report_timeout_s": 3.0, "settlement_timeout_s": 5.0, "reissue_after_s": 2.0}
UNCONFIRMED = """
waiting = 'partner-answer' and exists (select from report r where r.household_id = reissue.household_id
    and r.status = 'not_found' and r.payment_id = (select payment_id from payment p
        where p.household_id = reissue.household_id order by attempt desc limit 1))
"""

UNFINISHED = f"""
with held as (select key from hold)
select (select count(*) from payment where household_id not in (table held)
            and (state in ('issued', 'accepted')
                or state = 'unknown' and reason is distinct from 'not_found'))
    + (select count(*) from decision where household_id not in (table held) and waiting is not null)
    + (select count(*) from reissue where household_id not in (table held) and waiting <> 'attempts'
            and not ({UNCONFIRMED}))
    + (select count(*) from outbox where published_at is null)
"""
EXCEEDED = "select count(*) from cycle join spent using (cycle_id) where committed - released > funded"
UNBALANCED = "select count(*) from (select subject from posting group by subject having sum(amount) <> 0) s"


async def tell(scene: Scene, families: Sequence[Family]) -> None:
    """Every household's key and decision are on their topics."""
    for start in range(0, len(families), AT_ONCE):
        some = families[start : start + AT_ONCE]
        await scene.send(scene.key(each) for each in some)
        await scene.send(scene.scored(each, RIEL) for each in some)


@contextlib.asynccontextmanager
async def watched(scene: Scene) -> AsyncIterator[list[int]]:
    """Looks at the envelope and the postings all the while; gives what it saw broken."""
    broken: list[int] = []
    db = await asyncpg.connect(scene.settings.database)

    async def watch() -> None:
        while True:
            broken.append(await db.fetchval(EXCEEDED))
            await asyncio.sleep(0.2)

    watching = asyncio.create_task(watch())
    try:
        yield broken
    finally:
        watching.cancel()
        await db.close()


async def disturb(scene: Scene, partner: Simulator, chance: random.Random) -> None:
    """Kill payments, and now and then the partner, each when so many more payments have ended."""
    for place, share in enumerate(sorted(chance.uniform(0.02, 0.9) for _ in range(KILLS))):
        async with scene.process(), scene.process() as victim:
            await until(lambda least=share: ended(scene, least), PATIENCE_S)  # type: ignore[misc]
            if place % 3 == 2:
                await partner.end(signal.SIGKILL)
                await partner.start()
            victim.kill()
    async with scene.process(), scene.process():
        await until(lambda: finished(scene), PATIENCE_S)


async def ended(scene: Scene, share: float) -> bool:
    done = "select count(distinct household_id) from payment where state not in ('issued', 'accepted')"
    return bool(await scene.db.fetchval(done) >= HOUSEHOLDS * share)


async def finished(scene: Scene) -> bool:
    """Nothing moves by itself any more; households on hold wait for a person."""
    paid = await scene.db.fetchval("select count(distinct household_id) from payment")
    held = await scene.db.fetchval("select count(*) from hold")
    return bool(paid + held >= HOUSEHOLDS and await scene.db.fetchval(UNFINISHED) == 0)


async def agreed(scene: Scene, book: Path) -> bool:
    """Whether the partner has nothing more to do or to say, and all it settled was heard or forgotten."""
    if not await finished(scene):
        return False
    heard = await scene.db.fetch(
        "select payment_id from payment where state in ('settled', 'settled_late', 'unknown')"
    )
    with contextlib.closing(sqlite3.connect(f"file:{book}?mode=ro", uri=True)) as partner:
        (waiting,) = partner.execute("select count(*) from payment where settle_at is not null").fetchone()
        rows = partner.execute("select payment_id from payment where state = 'settled'")
        missing = {row[0] for row in rows} - {row["payment_id"] for row in heard}
        return waiting == 0 and missing == never_said(partner, missing)


def never_said(partner: sqlite3.Connection, payment_ids: set[str]) -> set[str]:
    """Which of these a partner settled after it had said that they failed, its word on that being lost.

    Nobody asks about what is not sent again, and of some it forgot: only its statement can tell of them.
    """
    if not payment_ids:
        return set()
    rows = partner.execute("select content from report where not dropped")
    said = [json.loads(row[0]) for row in rows]
    return payment_ids - {each["payment_id"] for each in said if each["status"] == "settled"}


async def dismiss_impossible_reports(scene: Scene, book: Path) -> Counter[str]:
    """As an operator would: what the partner can't have meant is given up, and what waited goes on."""
    reasons = Counter[str]()
    async with scene.running():
        while not await agreed(scene, book) or await scene.db.fetchval("select count(*) from parked"):
            for row in await scene.db.fetch("select id, reason from parked where handling = 'park'"):
                reasons[row["reason"]] += 1
                why = {"why": "the partner says that it never meant this"}
                (await scene.call("POST", f"/parked/{row['id']}/dismiss", why)).raise_for_status()
            await asyncio.sleep(0.2)
    return reasons


async def test_each_household_is_paid_once_and_every_riel_is_explained(
    scene: Scene, simulator: Simulator, tmp_path: Path
) -> None:
    sys.stdout.write(f"seed {SEED}, {HOUSEHOLDS} households\n")
    book = tmp_path / "partner-wing.sqlite"
    scene.settings = scene.settings.model_copy(update=IMPATIENT)
    simulator.environment["TONLE_PARTNER_BEHAVIOUR"] = WORST.model_dump_json()
    families = [family(f"h-{number:06}") for number in range(HOUSEHOLDS)]
    async with scene.running():
        await scene.open_cycle(envelope=HOUSEHOLDS * RIEL, cap_household=RIEL, cap_payments=HOUSEHOLDS)
        for officer in ("Vanna", "Bopha"):
            await scene.officer(officer, "cycle.approve", "read")
        for officer in ("Dara", "Vanna", "Bopha")[: scene.settings.approvers.approvers(HOUSEHOLDS * RIEL)]:
            (await scene.call("POST", f"/cycles/{CYCLE}/approve", by=officer)).raise_for_status()
    await tell(scene, families)
    await simulator.start()
    async with watched(scene) as broken:
        await disturb(scene, simulator, random.Random(SEED))
        reasons = await asyncio.wait_for(dismiss_impossible_reports(scene, book), PATIENCE_S)
    await simulator.end()
    sys.stdout.write(f"{dict(reasons)}\n")
    assert {reason for reason in reasons if not reason.startswith(FORGOT)} == IMPOSSIBLE
    assert len(broken) > 10
    assert set(broken) == {0}
    await check(scene, book)


async def check(scene: Scene, book: Path) -> None:
    """The partner's own record and the database say the same of every payment and every riel."""
    with contextlib.closing(sqlite3.connect(f"file:{book}?mode=ro", uri=True)) as partner:
        theirs = dict(partner.execute("select payment_id, state from payment"))
        settled = {payment_id for payment_id, state in theirs.items() if state == "settled"}
        lost = never_said(partner, settled)
        query = "select household_id from payment where state = 'settled' group by 1 having count(*) > 1"
        paid_twice = partner.execute(query).fetchall()
    rows = await scene.db.fetch("select household_id, payment_id, state, late, reason from payment")
    states = Counter(row["state"] for row in rows)
    differences = await scene.db.fetch("select payment_id, kind from difference")
    sys.stdout.write(
        f"{dict(states)}; the partner: {dict(Counter(theirs.values()))}; {len(differences)} differences\n"
    )
    assert {row["payment_id"] for row in rows} == set(theirs)
    paid = {row["payment_id"] for row in rows if row["state"] in ("settled", "settled_late")}
    forgotten = {row["payment_id"] for row in rows if row["state"] == "unknown"}
    over = {row["payment_id"] for row in rows if row["state"] in ("failed", "expired")}
    unheard = lost - paid - forgotten
    sys.stdout.write(f"{len(unheard)} that it said had failed, settled since, its word on that lost\n")
    assert unheard <= over
    assert paid <= settled <= paid | forgotten | unheard
    counted = Counter(row["household_id"] for row in rows if row["state"] in ("settled", "unknown"))
    assert max(counted.values()) == 1
    assert paid_twice == []
    late = {row["payment_id"] for row in rows if row["late"]}
    assert late == {each["payment_id"] for each in differences if each["kind"] == "settled-late"}
    settled_late = {row["household_id"] for row in rows if row["state"] == "settled_late"}
    never = set(await _households(scene)) - set(counted) - settled_late
    waiting = f"select household_id from reissue where waiting = 'attempts' or {UNCONFIRMED}"
    assert never <= {row["household_id"] for row in await scene.db.fetch(waiting)}
    assert await scene.db.fetchval(UNBALANCED) == 0
    balances = await scene.balances()
    assert sum(balances.values()) == 0
    assert balances["paid"] == RIEL * len(paid)
    assert balances.get("owed", 0) == -RIEL * len(late)
    assert balances["in-transit"] == RIEL * len(forgotten)
    assert await scene.db.fetchval("select committed - released from spent where cycle_id = $1", CYCLE) == (
        RIEL * (len(paid - late) + len(forgotten))
    )


async def _households(scene: Scene) -> list[str]:
    return [row["household_id"] for row in await scene.db.fetch("select household_id from household")]
