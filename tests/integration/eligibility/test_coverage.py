"""`tonle coverage`, on the running service."""

import asyncio
import csv
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import httpx
import pytest
import typer
from typer.testing import CliRunner, Result

from contracts.household import KeyPurpose, KeyState, Level
from services.eligibility import jobs
from services.eligibility.agenda import PHNOM_PENH
from tests.integration.eligibility.conftest import Scene
from tests.unit.eligibility.samples import PROGRAMME, cycle_changed, exited
from tests.waiting import until
from tonle import coverage, terminal

pytestmark = pytest.mark.stack


async def tonle(scene: Scene, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    """`tonle coverage` on the scene's service."""
    application = typer.Typer()
    coverage.mount(application)

    def client(_: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {scene.admin_token}"}
        return httpx.Client(verify=False, base_url=scene.service.url, headers=headers)

    monkeypatch.setattr(terminal, "client", client)
    invoke: Callable[..., Result] = CliRunner().invoke
    return await asyncio.to_thread(invoke, application, list(words))


async def test_who_is_reached_is_counted_and_told_as_table_file_and_page(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with scene.running():
        await _register_eight(scene)
        answer = json.loads((await tonle(scene, monkeypatch, "--json")).stdout)
        table = (await tonle(scene, monkeypatch)).stdout.splitlines()
        file, page = tmp_path / "reach.csv", tmp_path / "reach.html"
        await tonle(scene, monkeypatch, "--csv", str(file), "--html", str(page))
    # Six of eight households are left and can be read, with five members each; four of them are entitled.
    assert (answer["households"], answer["seen"], answer["unreadable"]) == (7, 7, 1)
    everyone = answer["report"]["tables"][0]["groups"][0]["people"]
    assert everyone.items() >= {"registered": 40, "floor": 20, PROGRAMME.id: 20}.items()
    for begins in (
        f"by\tgroup\tregistered\tfloor\t{PROGRAMME.id}\t",
        "province\tBanteay Meanchey\t40\t20\t20\t",
        "age\t60 years and older\t< 10\t< 10\t< 10\t",
    ):
        assert any(line.startswith(begins) for line in table)
    rows = list(csv.DictReader(file.open(encoding="utf-8-sig")))
    assert {row["suppressed"] for row in rows} == {"yes", "no"}
    assert "បន្ទាយមានជ័យ" in page.read_text(encoding="utf-8")
    assert await scene.db.fetchval("select counts from coverage") == "{}"


async def test_a_day_is_counted_once_unless_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene.running():
        first = json.loads((await tonle(scene, monkeypatch, "--json")).stdout)
        await _register_eight(scene)
        second = json.loads((await tonle(scene, monkeypatch, "--json")).stdout)
        that_day = json.loads((await tonle(scene, monkeypatch, "--date", first["as_of"], "--json")).stdout)
        again = json.loads((await tonle(scene, monkeypatch, "--again", "--json")).stdout)
        never = await tonle(scene, monkeypatch, "--date", "2020-01-01")
    assert first["households"] == 0
    assert first == second == that_day
    assert again["households"] == 7
    assert (never.exit_code, "was not counted" in never.stderr) == (1, True)


async def test_a_count_that_was_stopped_goes_on_where_it_was(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene.running():
        await _register_eight(scene)
    monkeypatch.setattr(jobs.count_coverage, "__kwdefaults__", {"chunk": 3})
    today = datetime.now(PHNOM_PENH).date()
    await scene.db.execute(
        "insert into coverage (as_of, households, started_at) values ($1, 7, now())", today
    )
    async with scene.running():
        await until(lambda: scene.db.fetchval("select finished_at from coverage"))
        found = (await scene.get(f"/coverage/{today}")).json()
    assert found["seen"] == 7
    assert found["report"]["tables"][0]["groups"][0]["people"]["registered"] == 40


async def _register_eight(scene: Scene) -> None:
    """Two of eight have no card, one has left, and one was forgotten."""
    await scene.tell(cycle_changed())
    for number in range(8):
        level = Level.POOR_1 if number < 6 else Level.NONE
        await scene.tell_keys(f"h-{number}")
        await scene.tell(scene.sealer.registered(f"h-{number}", level=level))
    await scene.tell(exited("h-0"))
    await until(lambda: scene.counts(households=8, exited=1))
    await scene.tell_keys("h-1", KeyState.DESTROYED, [KeyPurpose.PERSON])
    await until(lambda: scene.db.fetchval("select true from household_key where state = 'destroyed'"))
