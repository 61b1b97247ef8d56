"""`tonle inbox`, on a real gateway and with notifications' answer about a household."""

import json
from collections.abc import Callable

import httpx
import pytest
import typer
from typer.testing import CliRunner

from services.notifications import cli
from services.notifications.gateways.kannel import Kannel
from tests.integration.notifications.conftest import PASSWORD, PHONE, SENDER, USER, Gateway
from tonle import terminal

OTHER = "+85598765432"


@pytest.fixture
async def inbox(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, str]]]:
    """Three messages in the gateway, the last of them to another number; and the command."""
    await gateway.start()
    kannel = Kannel(gateway.url, USER, PASSWORD, SENDER, timeout_s=5)
    for number, phone in enumerate((PHONE, PHONE, OTHER)):
        await kannel.send(f"s-{number}", phone, f"text {number}", "gsm-7")
    await kannel.close()

    def told(request: httpx.Request) -> httpx.Response:
        known = request.url.params["household"] == "h-1"
        return httpx.Response(200, json=[{"sms_id": "s-2"}] if known else [])

    def client(service: str) -> httpx.Client:
        transport = httpx.MockTransport(told) if service == "notifications" else None
        return httpx.Client(base_url=gateway.url, transport=transport)

    monkeypatch.setattr(terminal, "client", client)
    app = typer.Typer()
    cli.mount(app)

    def run(*arguments: str) -> list[dict[str, str]]:
        result = CliRunner().invoke(app, ["inbox", *arguments, "--json"])
        assert result.exit_code == 0, result.output
        found: list[dict[str, str]] = json.loads(result.stdout)
        return found

    return run


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        ((), ["text 2", "text 1", "text 0"]),
        (("--last", "1"), ["text 2"]),
        (("--phone", PHONE), ["text 1", "text 0"]),
        (("--phone", "012 345 678"), ["text 1", "text 0"]),
        (("--household", "h-1"), ["text 2"]),
        (("--household", "h-2"), []),
    ],
)
async def test_the_inbox_shows_the_newest_first_by_number_or_household(
    inbox: Callable[..., list[dict[str, str]]], arguments: tuple[str, ...], texts: list[str]
) -> None:
    assert [sms["text"] for sms in inbox(*arguments)] == texts
