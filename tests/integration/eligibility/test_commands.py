"""`tonle programmes`, on the running service."""

import asyncio
import json
from collections.abc import Callable

import httpx
import pytest
import typer
from typer.testing import CliRunner, Result

from services.eligibility import cli
from tests.integration.eligibility.conftest import Scene
from tests.unit.eligibility.samples import PROGRAMME
from tonle import terminal

pytestmark = pytest.mark.stack


async def test_programmes_are_listed_by_hash_and_shown_with_evidence_and_source(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = typer.Typer()
    cli.mount(application)

    def client(_: str) -> httpx.Client:
        return httpx.Client(
            base_url=scene.service.url, headers={"Authorization": f"Bearer {scene.admin_token}"}
        )

    monkeypatch.setattr(terminal, "client", client)
    invoke: Callable[..., Result] = CliRunner().invoke
    async with scene.running():
        listed = await asyncio.to_thread(invoke, application, ["programmes", "list", "--json"])
        table = await asyncio.to_thread(invoke, application, ["programmes", "list"])
        shown = await asyncio.to_thread(invoke, application, ["programmes", "show", PROGRAMME.id])
        unknown = await asyncio.to_thread(invoke, application, ["programmes", "show", "no-such"])
        refused = await asyncio.to_thread(httpx.get, f"{scene.service.url}/programmes")
    (programme,) = json.loads(listed.stdout)
    assert (programme["id"], programme["hash"], programme["purpose"]) == (
        PROGRAMME.id,
        PROGRAMME.hash,
        "social-transfer",
    )
    assert [each["valid_to"] for each in programme["versions"]] == ["2023-12-31", "2024-03-31"]
    assert "2020-06-25\t2024-03-31" in table.stdout
    assert "rural\tpoor_1\tmember\t24000\tmemory\turdupoint" in shown.stdout
    assert unknown.exit_code == 1
    assert refused.status_code == 401
