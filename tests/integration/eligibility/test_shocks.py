"""A shock supplements the households of its communes, once, whatever runs beside it or is killed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import asyncpg
import httpx
import pytest

from contracts import topics
from contracts.eligibility import EligibilityScored
from contracts.household import KeyPurpose, Level
from contracts.shock import ShockDeclared, ShockEnded, ShockKind
from contracts.wire import Received, decode
from postbox.message import Batch
from services.eligibility import handlers, store, store_shocks, striking
from services.eligibility.agenda import PHNOM_PENH
from services.eligibility.app import FOLDER, read_programmes
from services.eligibility.handlers import Office
from services.eligibility.packages import Panel
from services.eligibility.shocks import Shock
from tests.broker import admin, everything
from tests.integration.eligibility.conftest import Scene
from tests.processes import service_process
from tests.unit.eligibility.samples import cycle_changed
from tests.waiting import until
from tonle import recompute
from tonle.recompute import Wanted
from vault import keyring
from vault.keyring import WrappedKey

pytestmark = pytest.mark.stack
PROGRAMMES = read_programmes(FOLDER / "programmes")
GOVERNMENT, INFLATION = "flood-supplement-government", "inflation-supplement"
DECEMBER = date(2022, 12, 10)
HOME, ELSEWHERE = "010201", "010202"
FILE = f"""name: flood-2022-12
kind: flood
communes: ['{HOME}']
dates: {{first: 2022-12-01, last: 2023-02-28}}
"""
FLOOD = Shock("flood-2022-12", ShockKind.FLOOD, frozenset({HOME}), date(2022, 12, 1), date(2023, 2, 28))
FLOODED = {GOVERNMENT: 80_000 + 5 * 16_000 + 16_000, INFLATION: 0}
DRY = {GOVERNMENT: 0, INFLATION: 81_300 + 5 * 20_000}
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MANY = 3_000


async def token(scene: Scene, name: str, area: str = "") -> str:
    body = {"name": name, "actions": ["shock.declare", "read"], "area": area}
    found: str = (await scene.post("/callers", body)).json()["token"]
    return found


async def declare(scene: Scene, by: str, content: str = FILE) -> httpx.Response:
    headers = {"Authorization": f"Bearer {by}"}
    async with httpx.AsyncClient(verify=False, base_url=scene.service.url, headers=headers) as http:
        return await http.post("/shocks?file=flood.yaml", content=content.encode())


async def open_cycles(scene: Scene) -> None:
    """December's cycles of both programmes that at-risk households are paid by."""
    for name in (GOVERNMENT, INFLATION):
        await scene.tell(
            cycle_changed(cycle_id=f"{name}-2022-12", reference_date=DECEMBER, programme=PROGRAMMES[name])
        )
    await until(lambda: cycles_known(scene))


async def cycles_known(scene: Scene) -> bool:
    known: int = await scene.db.fetchval("select count(*) from cycle")
    return known == 2 and await scene.counts(caseloads_running=0)


async def register(scene: Scene, commune: str, *household_ids: str) -> None:
    for each in household_ids:
        await scene.tell_keys(each)
        await scene.tell(scene.sealer.registered(each, level=Level.AT_RISK, commune=commune))


async def done(scene: Scene) -> bool:
    """No job is at work, and all is published."""
    running = await scene.db.fetchval("select count(*) from shock_job where finished_at is null")
    return not running and await scene.counts()


def amounts(scored: Sequence[Received[EligibilityScored]], household_id: str) -> list[dict[str, int]]:
    """Riel by programme of each scoring of a household for its cycles."""
    found = [each for each in scored if each.key == household_id]
    return [{made.programme: made.amount for made in each.data.decisions if made.cycle_id} for each in found]


async def recomputed(scene: Scene) -> set[str]:
    """The verdicts of every decision of the log."""
    broker, prefix = admin(scene.settings), scene.settings.topic_prefix
    cases = await recompute.gathered(Wanted(), broker, prefix, lambda *_: None)
    shocks = await recompute.gathered_shocks(broker, prefix)
    found = await scene.post("/recomputations", {"cases": cases, **shocks})
    assert found.status_code == 200, found.text
    missing = await scene.post("/recomputations", {"cases": cases, "declared": [], "ended": []})
    assert "a shock that it names" in {each["why"] for each in missing.json()}
    return {each["verdict"] for each in found.json()}


async def test_a_declared_flood_supplements_its_communes_until_it_is_ended(scene: Scene) -> None:
    async with scene.running():
        by = await token(scene, "Sokha")
        await open_cycles(scene)
        await register(scene, HOME, "h-1", "h-2")
        await register(scene, ELSEWHERE, "h-3")
        await until(lambda: scene.counts(in_cycle=3))
        first = await declare(scene, by)
        assert (first.status_code, first.json()["households"]) == (201, 2)
        await until(lambda: done(scene))
        await register(scene, HOME, "h-4")
        await until(lambda: scene.counts(in_cycle=4))
        body = {"on": "2022-12-05"}
        ended = await scene.post("/shocks/flood-2022-12/end", body, by)
        assert (ended.status_code, ended.json()["households"]) == (200, 3)
        await until(lambda: done(scene))
        scored = await scene.scored()
        assert [amounts(scored, each) for each in ("h-1", "h-2", "h-3", "h-4")] == [
            [DRY, FLOODED, DRY],
            [DRY, FLOODED, DRY],
            [DRY],
            [FLOODED, DRY],
        ]
        assert [each.data.shocks for each in scored if each.key == "h-1"] == [(), ("flood-2022-12@1",), ()]
        shown = (await scene.get("/shocks/flood-2022-12")).json()
        assert (shown["state"], shown["seen"], shown["scored"], shown["failed"]) == ("finished", 3, 3, [])
        assert await recomputed(scene) == {"equal"}
    assert await told(scene) == [
        (1, "Sokha", ["010201"], "2022-12-01", "2023-02-28"),
        (2, "Sokha", "2022-12-05"),
    ]


async def told(scene: Scene) -> list[tuple[object, ...]]:
    """What the topics say of shocks."""
    found: list[tuple[object, ...]] = []
    for r in await everything(scene.settings, scene.db, topics.SHOCK_DECLARED.name):
        one = decode(ShockDeclared, topics.SHOCK_DECLARED.name, r.key, r.value, r.headers)
        said = one.data
        days = (str(said.first_day), str(said.last_day))
        found.append((one.sequence, said.declared_by, list(said.communes), *days))
    for r in await everything(scene.settings, scene.db, topics.SHOCK_ENDED.name):
        end = decode(ShockEnded, topics.SHOCK_ENDED.name, r.key, r.value, r.headers)
        found.append((end.sequence, end.data.ended_by, str(end.data.on)))
    return found


async def test_a_shock_is_declared_and_ended_once_and_by_who_may(scene: Scene) -> None:
    async with scene.running():
        by, outside = await token(scene, "Sokha"), await token(scene, "Dara", area="02")
        assert (await declare(scene, scene.admin_token)).status_code == 403
        beyond = await declare(scene, outside)
        assert (beyond.status_code, "outside your area, 010201" in beyond.text) == (403, True)
        refused = await declare(scene, by, FILE.replace(HOME, "010299"))
        assert refused.status_code == 422
        assert "flood.yaml:3: no commune has the code 010299; correct it" in refused.json()["detail"]
        assert [(await declare(scene, by)).status_code for _ in range(2)] == [201, 200]
        other = await declare(scene, by, FILE.replace("02-28", "02-27"))
        assert other.status_code == 409
        path = "/shocks/flood-2022-12/end"
        ends = [("2023-02-01", 200), ("2023-02-01", 200), ("2023-02-02", 409), ("2023-01-15", 200)]
        for on, status in ends:
            assert (await scene.post(path, {"on": on}, by)).status_code == status
        assert (await scene.post("/shocks/other/end", {"on": "2023-01-01"}, by)).status_code == 404
        assert [(await declare(scene, by)).status_code for _ in range(2)] == [200, 200]
        await until(lambda: done(scene))
        assert [(each["name"], each["version"]) for each in (await scene.get("/shocks")).json()] == [
            ("flood-2022-12", 3)
        ]
    assert [each[0] for each in await told(scene)] == [1, 2, 3]


@asynccontextmanager
async def transaction(scene: Scene) -> AsyncIterator[asyncpg.Connection]:
    db = await asyncpg.connect(scene.settings.database)
    try:
        async with db.transaction():
            yield db
    finally:
        await db.close()


def office(scene: Scene) -> Office:
    return Office(scene.master, Panel(PROGRAMMES), {})


async def know(scene: Scene, household_ids: Sequence[str]) -> None:
    """Keep these households' keys."""
    keys = [(each, scene.key(each, purpose)) for each in household_ids for purpose in KeyPurpose]
    async with transaction(scene) as db:
        await keyring.keep(
            db,
            [
                WrappedKey(of, key.key_id, key.purpose, key.state, key.master_key_id, key.wrapped)
                for of, key in keys
            ],
        )


async def score(scene: Scene, db: asyncpg.Connection, household_ids: Sequence[str]) -> None:
    events = [scene.sealer.registered(each, level=Level.AT_RISK) for each in household_ids]
    await handlers.score(office(scene), Batch(events, NOW, holds=True), db)


async def open_cycle(scene: Scene) -> None:
    """December's cycle of the government's supplement, without a broker."""
    opened = cycle_changed(
        cycle_id=f"{GOVERNMENT}-2022-12", reference_date=DECEMBER, programme=PROGRAMMES[GOVERNMENT]
    )
    async with transaction(scene) as db:
        await handlers.open_cycle(Batch([opened], NOW, holds=True), db)


async def strike(db: asyncpg.Connection) -> None:
    """What the API does when a shock is declared."""
    await store.lock_terms(db)
    await store_shocks.declare(db, FLOOD, "Sokha", NOW)
    await store_shocks.add_job(db, FLOOD, None, NOW)


async def waits(scene: Scene) -> bool:
    query = "select 1 from pg_locks where locktype = 'advisory' and not granted"
    return bool(await scene.db.fetch(query))


async def test_a_household_scored_while_a_shock_is_declared_is_among_those_scored_again(scene: Scene) -> None:
    await know(scene, ["h-1"])

    async def striking() -> None:
        async with transaction(scene) as db:
            await strike(db)

    async with transaction(scene) as db:
        await score(scene, db, ["h-1"])
        task = asyncio.create_task(striking())
        await until(lambda: waits(scene))
        assert not task.done()
    await task
    assert await scene.db.fetchval("select households from shock_job") == 1


async def test_a_household_that_comes_while_a_shock_is_declared_sees_it(scene: Scene) -> None:
    await know(scene, ["h-1"])
    await open_cycle(scene)

    async def scoring() -> None:
        async with transaction(scene) as db:
            await score(scene, db, ["h-1"])

    async with transaction(scene) as db:
        await strike(db)
        task = asyncio.create_task(scoring())
        await until(lambda: waits(scene))
        assert not task.done()
    await task
    amount = await scene.db.fetchval("select amount from decision where programme = $1", GOVERNMENT)
    assert amount == FLOODED[GOVERNMENT]


async def test_a_household_that_can_not_be_read_is_listed_and_does_not_stop_the_others(scene: Scene) -> None:
    await know(scene, ["h-1", "h-2"])
    await open_cycle(scene)
    async with transaction(scene) as db:
        await score(scene, db, ["h-1", "h-2"])
        await db.execute("update registration set event_id = 'moved' where household_id = 'h-1'")
        await strike(db)
    async with transaction(scene) as db:
        assert await striking.score_chunk(office(scene), db, 10)
    failed = await scene.db.fetch("select household_id, reason from shock_failure")
    assert [tuple(row) for row in failed] == [("h-1", "seal-broken")]
    rows = await scene.db.fetch("select household_id, as_of from decision where outcome = 'eligible'")
    assert [tuple(row) for row in rows] == [("h-2", DECEMBER)]


async def test_without_a_cycle_households_are_judged_as_of_the_day_a_shock_is_declared_or_ended(
    scene: Scene, tmp_path: Path
) -> None:
    for path in scene.settings.programmes.glob("*.yaml"):
        content = path.read_text().replace("valid_to: 2023-02-10", "valid_to: null")
        (tmp_path / path.name).write_text(content)
    async with scene.running(programmes=tmp_path):
        by = await token(scene, "Sokha")
        await register(scene, HOME, "h-1")
        await until(lambda: scene.counts(refused=1))
        endless = FILE.replace("2022-12-01", "2025-06-01").replace("2023-02-28", "null")
        assert (await declare(scene, by, endless)).status_code == 201
        grown_up = FLOODED[GOVERNMENT] - 16_000
        await until(lambda: scene.counts(eligible=1, riel=grown_up))
        today = datetime.now(PHNOM_PENH).date()
        assert await scene.db.fetchval("select judged_on from household") == today
        assert (await scene.post("/shocks/flood-2022-12/end", {"on": str(today)}, by)).status_code == 200
        await until(lambda: scene.counts(refused=1))


async def test_eligibility_killed_in_the_middle_goes_on_and_decides_each_household_once(
    scene: Scene,
) -> None:
    names = [f"h-{number:04}" for number in range(MANY)]
    await know(scene, names)
    async with scene.running():
        await open_cycles(scene)
    for at in range(0, MANY, 500):
        async with transaction(scene) as db:
            await score(scene, db, names[at : at + 500])
    async with transaction(scene) as db:
        await strike(db)

    async def seen(least: int) -> bool:
        count: int = await scene.db.fetchval("select seen from shock_job")
        return count >= least

    for kill in (1, 2):
        async with service_process("services.eligibility.app", scene.settings) as process:
            await until(lambda least=1000 * kill: seen(least))  # type: ignore[misc]
            process.kill()
            await process.wait()
        assert await scene.db.fetchval("select finished_at is null and seen < $1 from shock_job", MANY)
    async with service_process("services.eligibility.app", scene.settings):
        await register(scene, HOME, *(f"new-{number}" for number in range(10)))
        await until(lambda: scene_counts(scene, MANY + 10), 60)
    rows = await scene.db.fetch(
        "select household_id, sequence, amount from every_decision where programme = $1 and sequence > 1",
        GOVERNMENT,
    )
    assert sorted(map(tuple, rows)) == [(name, 2, FLOODED[GOVERNMENT]) for name in names]
    assert await scene.db.fetchval("select scored from shock_job where finished_at is not null") == MANY
    scored = await scene.scored()
    assert {(each.key, each.sequence) for each in scored if each.sequence > 1} == {(n, 2) for n in names}
    for number in range(10):
        assert amounts(scored, f"new-{number}") == [FLOODED]


async def scene_counts(scene: Scene, households: int) -> bool:
    """All are supplemented and told."""
    all_done: bool = await scene.db.fetchval(
        """
        select (select count(*) from decision where programme = $1 and outcome = 'eligible') = $2
            and not exists (select 1 from shock_job where finished_at is null)
            and not exists (select 1 from outbox where published_at is null)
        """,
        GOVERNMENT,
        households,
    )
    return all_done
