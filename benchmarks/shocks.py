"""`make bench ONLY=shocks`: a flood over 50,000 households, declared while others are being registered."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
import httpx

from benchmarks import pipeline
from benchmarks.pipeline import Ground
from tonle.demo_acts import PREPARER
from tonle.stack.errors import StackError
from tonle.stack.postgres import SUPERUSER

STRUCK = 50_000
SPARE, ARRIVING = 1.15, 0.8
"""So many times the struck households are registered before, and so many while the flood is decided."""
PROGRAMME, PERIOD, DAY = "flood-supplement-government", "2022-12", "2022-12-10"
CYCLE = f"{PROGRAMME}-{PERIOD}"
NAME = "benchmark-flood"
LOOK_S, STILL_S = 0.1, 5.0
PATIENCE_S = 600.0
_SEEN = "select count(*) from household where revision > 0"
_COMMUNES = "select commune, count(*) as households from registration group by 1 order by 1"
_DECIDED = """
select count(*) as decisions, count(distinct household_id) as households,
    count(*) filter (where outcome = 'eligible') as supplemented
from every_decision where programme = $1 and cause_id = (select cause_id from shock_job where name = $2)
"""
_MISSED = """
select count(*) from decision join registration using (household_id)
where programme = $1 and commune = any($2) and reasons like '%commune-not-flooded%'
"""
_UNPUBLISHED = "select count(*) from outbox where lane = $1 and published_at is null"


@dataclass(frozen=True)
class Struck:
    """How long it took, how many households were seen, and how many others were scored meanwhile."""

    seconds: float
    seen: int
    arrived: int
    cpu_s: float


async def measure(ground: Ground, struck: int = STRUCK) -> dict[str, object]:
    """From the declaration until every household of its communes is decided and told; then all is counted."""
    headers = await _officer(ground)
    await _open_cycle(ground)
    await ground.acts.upload(await pipeline.written(ground, int(struck * SPARE)))
    await _still(ground)
    dsn = ground.stack.postgres.dsn[SUPERUSER].rpartition("/")[0] + "/eligibility"
    db = await asyncpg.connect(dsn)
    try:
        communes = await _communes(db, struck)
        found = await _strike(ground, db, headers, communes, int(struck * ARRIVING))
        await _still(ground)
        supplemented = await _count(ground, db, communes, found)
    finally:
        await db.close()
    return {
        "shock_50k_s": round(found.seconds * STRUCK / found.seen, 2),
        "shock_s": round(found.seconds, 2),
        "shock_households": found.seen,
        "shock_households_per_second": round(found.seen / found.seconds, 1),
        "shock_communes": len(communes),
        "shock_supplemented": supplemented,
        "shock_arrived_meanwhile": found.arrived,
        "shock_eligibility_cpu_s": round(found.cpu_s, 2),
    }


async def _officer(ground: Ground) -> dict[str, str]:
    url, token = ground.stack.services["eligibility"].url, ground.stack.tokens["admin"]
    async with httpx.AsyncClient(verify=False, headers={"Authorization": f"Bearer {token}"}) as http:
        body = {"name": "benchmark", "actions": ["shock.declare", "read"]}
        made = (await http.post(f"{url}/callers", json=body)).raise_for_status().json()
    return {"Authorization": f"Bearer {made['token']}"}


async def _open_cycle(ground: Ground) -> None:
    eligibility, payments = (ground.stack.services[name].url for name in ("eligibility", "payments"))
    admin = {"Authorization": f"Bearer {ground.stack.tokens['admin']}"}
    async with httpx.AsyncClient(verify=False, timeout=60) as http:
        found = (await http.get(f"{eligibility}/programmes", headers=admin)).raise_for_status().json()
        (programme,) = (each for each in found if each["id"] == PROGRAMME)
        terms = {
            "programme": PROGRAMME,
            "programme_hash": programme["hash"],
            "purpose": programme["purpose"],
            "period": PERIOD,
            "reference_date": DAY,
            "envelope": 1_000_000_000_000,
            "cap_household": 2_000_000,
            "cap_payments": 10_000_000,
        }
        for path, who, body in (
            ("", PREPARER, terms),
            (f"/{CYCLE}/submit", PREPARER, None),
        ):
            headers = {"Authorization": f"Bearer {ground.acts.tokens[who]}"}
            (await http.post(f"{payments}/cycles{path}", headers=headers, json=body)).raise_for_status()
    await ground.acts.approve(CYCLE)
    await ground.monitor.until_cycles_are_known()


async def _still(ground: Ground) -> None:
    """Wait until no topic gets messages any more; how much two cycles come to is counted afterwards."""
    before: object = None
    while (now := (await ground.watch.look()).messages) != before:
        before = now
        await asyncio.sleep(STILL_S)


async def _communes(db: asyncpg.Connection, struck: int) -> list[str]:
    """The first communes that so many households live in."""
    found: list[str] = []
    lived_in = 0
    for commune, households in await db.fetch(_COMMUNES):
        if lived_in >= struck:
            return found
        found.append(commune)
        lived_in += households
    if lived_in < struck:
        raise StackError(f"Only {lived_in:,} households were registered.", "Register more before the flood.")
    return found


async def _strike(
    ground: Ground, db: asyncpg.Connection, headers: dict[str, str], communes: Sequence[str], arriving: int
) -> Struck:
    """Declare the flood while a file is being registered, and wait until its households are told."""
    await _intake(ground, db, arriving)
    ground.say(f"declaring a flood for {len(communes):,} communes while {arriving:,} more are registered")
    listed = ", ".join(f"'{each}'" for each in communes)
    content = f"name: {NAME}\nkind: flood\ncommunes: [{listed}]\ndates: {{first: {DAY}, last: {DAY}}}\n"
    first, here = await ground.watch.look(), await db.fetchval(_SEEN)
    began = time.monotonic()
    url = ground.stack.services["eligibility"].url
    async with httpx.AsyncClient(verify=False, base_url=url, headers=headers, timeout=60) as http:
        answer = await http.post("/shocks", params={"file": "flood.yaml"}, content=content.encode())
        found = answer.raise_for_status().json()
        while found["state"] != "finished" or await db.fetchval(_UNPUBLISHED, f"shock:{NAME}"):
            if time.monotonic() - began > PATIENCE_S:
                raise StackError(
                    "The flood is not decided yet.", f"It has seen {found['seen']:,} households."
                )
            await asyncio.sleep(LOOK_S)
            found = (await http.get(f"/shocks/{NAME}")).raise_for_status().json()
    took = time.monotonic() - began
    last, now = await ground.watch.look(), await db.fetchval(_SEEN)
    ground.say(f"{found['seen']:,} households decided and told in {took:.1f} s; {now - here:,} others came")
    return Struck(took, found["seen"], now - here, last.cpu_s["eligibility"] - first.cpu_s["eligibility"])


async def _intake(ground: Ground, db: asyncpg.Connection, arriving: int) -> None:
    """Have a file registered, and wait until its first households are scored."""
    file = await pipeline.written(ground, arriving, pipeline.SEED + 1)
    before: int = await db.fetchval(_SEEN)
    await ground.acts.upload(file)
    while True:
        if await db.fetchval(_SEEN) > before:
            return
        await asyncio.sleep(LOOK_S)


async def _count(ground: Ground, db: asyncpg.Connection, communes: Sequence[str], struck: Struck) -> int:
    """How many were supplemented. Raises `StackError` where one was missed, or decided twice by the flood."""
    decided = await db.fetchrow(_DECIDED, PROGRAMME, NAME)
    missed = await db.fetchval(_MISSED, PROGRAMME, list(communes))
    assert decided is not None
    if missed or decided["decisions"] != decided["households"] or not decided["supplemented"]:
        raise StackError(
            f"{missed} households were missed, and {decided['decisions']} decisions made of "
            f"{decided['households']}.",
            "Nothing is measured before it counts.",
        )
    ground.say(
        f"counted: of {struck.seen:,} households {decided['supplemented']:,} are supplemented, none twice"
    )
    return int(decided["supplemented"])
