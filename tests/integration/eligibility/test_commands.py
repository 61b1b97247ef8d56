"""`tonle programmes`, on the running service."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import typer
from typer.testing import CliRunner, Result

from services.eligibility import cli
from tests.integration.eligibility.conftest import Scene
from tests.unit.eligibility.samples import FILE, PROGRAMME, cycle_changed
from tests.waiting import until
from tonle import terminal

pytestmark = pytest.mark.stack
Run = Callable[..., Awaitable[Result]]


@pytest_asyncio.fixture
async def run(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Run]:
    """Runs `tonle ...` against the service."""
    application = typer.Typer()
    cli.mount(application)

    def client(_: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {scene.admin_token}"}
        return httpx.Client(verify=False, base_url=scene.service.url, headers=headers)

    async def invoke(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, application, list(words))

    monkeypatch.setattr(terminal, "client", client)
    async with scene.running():
        yield invoke


async def test_programmes_are_listed_by_hash_and_shown_with_evidence_and_source(run: Run) -> None:
    listed = json.loads((await run("programmes", "list", "--json")).stdout)
    assert len(listed) == 11
    (programme,) = (each for each in listed if each["id"] == PROGRAMME.id)
    assert (programme["id"], programme["hash"], programme["purpose"]) == (
        PROGRAMME.id,
        PROGRAMME.hash,
        "social-transfer",
    )
    assert [each["valid_to"] for each in programme["versions"]] == ["2023-12-31", "2024-03-31"]
    table = (await run("programmes", "list")).stdout
    assert "2020-06-25\t2024-03-31\tno" in table
    assert "reintegration\t-\t-\tyes" in table
    draft = (await run("programmes", "show", "reintegration-grant")).stdout
    assert "reintegration-grant.yaml:36: the rate of grant (any, any) was not found" in draft
    shown = (await run("programmes", "show", PROGRAMME.id)).stdout
    assert "rural\tpoor_1\tmember\t24000\tmemory\turdupoint" in shown
    assert "card-expired\t!card_expired\tthe Equity Card is valid on the reference date" in shown
    assert (await run("programmes", "show", "no-such")).exit_code == 1


async def test_a_proposed_file_is_checked_with_its_worked_examples(run: Run, tmp_path: Path) -> None:
    fine = await run("programmes", "check", str(FILE))
    assert fine.exit_code == 0
    assert "one elder alone in a provincial town\t176000 riel\t176000 riel\tyes" in fine.stdout
    proposed, broken = tmp_path / FILE.name, tmp_path / "broken.yaml"
    proposed.write_text(FILE.read_text().replace("amount: 316_000", "amount: 316_100"))
    otherwise = await run("programmes", "check", str(proposed))
    assert otherwise.exit_code == 1
    assert "316100 riel\t316000 riel\tno" in otherwise.stdout
    broken.write_text(FILE.read_text().replace("members > 0", "cows > 0"))
    refused = await run("programmes", "check", str(broken))
    assert refused.exit_code == 1
    assert re.search(
        r"broken\.yaml:\d+: conditions\.1\.holds: undeclared reference to 'cows'", refused.output
    )
    assert "person\tage\tnumber\twhole years" in (await run("programmes", "facts")).stdout


async def test_a_decision_is_explained_in_english_and_khmer(scene: Scene, run: Run) -> None:
    await scene.tell(cycle_changed())
    await until(lambda: scene.db.fetchval("select count(*) from cycle"))
    await scene.register("h-1")
    await until(lambda: scene.counts(eligible=1))
    said = (await run("explain", "h-1")).stdout
    assert "COVID-19 Cash Transfer gives 176,000 riel, judged on 2023-06-01: 80,000 for the household" in said
    assert "80,000 រៀល សម្រាប់គ្រួសារ (1 × 80,000)" in said
    (recorded,) = json.loads((await run("explain", "h-1", "--json")).stdout)["decisions"]
    assert (recorded["same"], recorded["amount"]) == (True, 176_000)
    after = await run("explain", "h-1", "--programme", PROGRAMME.id, "--on", "2024-04-01")
    assert "gives nothing, judged on 2024-04-01" in after.stdout
    assert "the programme is in force on that day" in after.stdout
    sensitive = await run("explain", "h-1", "--programme", "family-package-hiv")
    assert (sensitive.exit_code, "explain.sensitive" in sensitive.output) == (1, True)
    assert (await run("explain", "no-such")).exit_code == 1


async def test_programmes_are_for_those_who_may_read(scene: Scene) -> None:
    async with scene.running(), httpx.AsyncClient(verify=False, base_url=scene.service.url) as client:
        assert (await client.get("/programmes")).status_code == 401
