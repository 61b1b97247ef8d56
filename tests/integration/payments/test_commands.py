"""`tonle cycles` and `tonle officers`, on the running service."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import typer
from typer.testing import CliRunner, Result

from services.payments import (
    cli,
    cli_corrections,
    cli_holds,
    cli_ledger,
    cli_partners,
    cli_payments,
    cli_payrolls,
    cli_reconcile,
)
from tests.integration.payments.conftest import CYCLE, HASH, PROGRAMME, PURPOSE, Scene, family
from tests.integration.payments.payroll_scenes import payroll_cycle
from tonle import terminal

pytestmark = pytest.mark.stack
MOUNTED = (
    *(cli, cli_payrolls, cli_partners, cli_reconcile, cli_payments, cli_corrections, cli_ledger, cli_holds),
)
Tonle = Callable[..., Awaitable[Result]]
PROGRAMMES = [
    {
        "id": name,
        "hash": HASH,
        "purpose": PURPOSE,
        "draft": name == "a-draft",
        "sensitive": name == "a-sealed-one",
    }
    for name in (PROGRAMME, "a-draft", "a-sealed-one")
]
TERMS = ("--envelope", "1000000", "--cap-household", "400000", "--cap-payments", "10")


@pytest.fixture
def tonle(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Tonle:
    """`await tonle("Sokha", "cycles", "list")`: run a command with a person's token."""
    app = typer.Typer()
    for each in MOUNTED:
        each.mount(app)
    programmes = httpx.MockTransport(lambda _: httpx.Response(200, json=PROGRAMMES))

    async def run(who: str, *arguments: str) -> Result:
        def client(service: str, *, timeout_s: float = 60.0) -> httpx.Client:
            return httpx.Client(
                timeout=timeout_s,
                verify=False,
                base_url=scene.service.url,
                headers={"Authorization": f"Bearer {scene.tokens[who]}"},
                transport=programmes if service == "eligibility" else None,
            )

        monkeypatch.setattr(terminal, "client", client)
        monkeypatch.setattr(terminal, "running_stack", lambda: SimpleNamespace(tokens=scene.tokens))
        return await asyncio.to_thread(CliRunner().invoke, app, arguments)

    return run


async def test_two_officers_take_a_cycle_from_opened_to_closed(scene: Scene, tonle: Tonle) -> None:
    async with scene.running():
        for name in ("Sokha", "Dara"):
            made = await tonle("admin", "officers", "add", name, "--json")
            scene.tokens[name] = json.loads(made.stdout)["token"]
        done = [
            await tonle("Sokha", "cycles", "open", PROGRAMME, "2023-06", *TERMS),
            await tonle("Sokha", "cycles", "submit", CYCLE),
            await tonle("Dara", "cycles", "refuse", CYCLE, "--reason", "too small"),
            await tonle("Sokha", "cycles", "open", PROGRAMME, "2023-06", *TERMS),
            await tonle("Sokha", "cycles", "submit", CYCLE),
            await tonle("Dara", "cycles", "approve", CYCLE),
            await tonle("Dara", "cycles", "fund", CYCLE, "--envelope", "2000000", "--donor", "wfp"),
            await tonle("Sokha", "cycles", "approve", CYCLE, "--reason", "as agreed"),
            await tonle("Sokha", "cycles", "close", CYCLE),
        ]
        assert [each.exit_code for each in done] == [0] * len(done), done
        shown = json.loads((await tonle("Dara", "cycles", "show", CYCLE, "--json")).stdout)
        listed = (await tonle("Dara", "cycles", "list")).stdout
        funds = json.loads((await tonle("Dara", "ledger", "funds", "--cycle", CYCLE, "--json")).stdout)
    steps = [(each["step"], each["actor"], each["reason"]) for each in shown["steps"]]
    assert steps == [
        ("open", "Sokha", None),
        ("submit", "Sokha", None),
        ("refuse", "Dara", "too small"),
        ("open", "Sokha", None),
        ("submit", "Sokha", None),
        ("approve", "Dara", None),
        ("fund", "Dara", None),
        ("approve", "Sokha", "as agreed"),
        ("close", "Sokha", None),
    ]
    assert (shown["state"], shown["funded"], shown["reference_date"]) == ("closed", 2_000_000, "2023-06-01")
    assert CYCLE in listed
    given = [(each["donor"], each["approved_by"], each["riel"]) for each in shown["funds"]]
    assert given == [("royal-government", "Dara", 1_000_000), ("wfp", "Sokha", 1_000_000)]
    assert [(each["donor"], each["room"]) for each in funds] == [each[::2] for each in given]


MISTAKES: dict[tuple[str, ...], str] = {
    ("cycles", "open", "no-programme", "2023-06", *TERMS): f"Take one of: {PROGRAMME}, ",
    ("cycles", "open", "a-draft", "2023-06", *TERMS): "tonle programmes show a-draft",
    ("cycles", "open", "a-sealed-one", "2023-06", *TERMS): "a-sealed-one is sensitive",
    ("cycles", "approve", "no-cycle"): "There is no such cycle",
    ("cycles", "open", PROGRAMME, "June", *TERMS): "The request is not valid",
    ("officers", "add", "Vanna", "--may", "everything"): "Take some of prepare, approve, load.",
}


async def test_a_mistake_ends_with_what_to_do(scene: Scene, tonle: Tonle) -> None:
    async with scene.running():
        await scene.officer("Sokha", "cycle.prepare", "cycle.approve")
        results = {arguments: await tonle("Sokha", *arguments) for arguments in MISTAKES}
    for arguments, result in results.items():
        assert result.exit_code == 1
        assert MISTAKES[arguments] in result.output


async def test_a_list_goes_from_preview_to_paid_by_commands(
    scene: Scene, tonle: Tonle, tmp_path: Path
) -> None:
    families = [family(f"h-{number:04}") for number in range(3)]
    preview, lines = tmp_path / "preview.csv", tmp_path / "lines.csv"
    async with scene.running():
        await payroll_cycle(scene, families)
        seen = await tonle("Dara", "cycles", "preview", CYCLE, "--csv", str(preview))
        frozen = json.loads((await tonle("Sokha", "payrolls", "freeze", CYCLE, "--json")).stdout)
        early = await tonle("Sokha", "cycles", "issue", CYCLE)
        said = ("--digest", frozen["digest"], "--reason", "as previewed")
        done = [
            await tonle("Dara", "payrolls", "show", CYCLE, "--csv", str(lines)),
            await tonle("Dara", "payrolls", "approve", CYCLE, *said),
            await tonle("Dara", "payrolls", "list", CYCLE),
        ]
        issued = json.loads((await tonle("Sokha", "cycles", "issue", CYCLE, "--json")).stdout)
        again = json.loads((await tonle("Sokha", "cycles", "issue", CYCLE, "--json")).stdout)
    assert [each.exit_code for each in (seen, *done)] == [0] * 4, done
    assert "300000" in seen.stdout
    assert early.exit_code == 1
    assert "It takes 1 more approvals." in early.output
    assert len(preview.read_text().splitlines()) == len(lines.read_text().splitlines()) == 4
    assert (issued["issued_now"], again["issued_now"], again["payments"]) == (3, 0, 3)


async def test_a_preview_that_is_refused_writes_no_file(scene: Scene, tonle: Tonle, tmp_path: Path) -> None:
    async with scene.running():
        await scene.open_cycle()
        refused = await tonle("Sokha", "cycles", "preview", CYCLE, "--csv", str(tmp_path / "list.csv"))
    assert refused.exit_code == 1
    assert "has not answered" in refused.output
    assert list(tmp_path.glob("*list.csv*")) == []
