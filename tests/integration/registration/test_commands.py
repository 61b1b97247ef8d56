"""The commands of the single window, against a running service."""

import asyncio
import csv
import io
import json
from pathlib import Path

import httpx
import pytest
import typer
from typer.testing import CliRunner, Result

from services.registration import cli, cli_duplicates
from tests.integration.registration.conftest import Window, numbered
from tests.unit.registration.samples import csv_bytes, row
from tonle import terminal

pytestmark = pytest.mark.stack


class Commands:
    """Runs `tonle` in a thread, as a registrar or as the administrator."""

    def __init__(self, window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
        self._window = window
        self.token = window.admin_token
        self.app = typer.Typer()
        cli.mount(self.app)
        cli_duplicates.mount(self.app)
        monkeypatch.setattr(terminal, "client", self._client)

    def _client(self, service: str, *, timeout_s: float = 60.0) -> httpx.Client:
        assert service == "registration"
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(
            verify=False, base_url=self._window.service.url, headers=headers, timeout=timeout_s
        )

    async def run(self, *arguments: str) -> Result:
        return await asyncio.to_thread(lambda: CliRunner().invoke(self.app, list(arguments)))

    async def json(self, *arguments: str) -> dict[str, object]:
        result = await self.run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        found: dict[str, object] = json.loads(result.stdout)
        return found


@pytest.fixture
def commands(open_window: Window, monkeypatch: pytest.MonkeyPatch) -> Commands:
    return Commands(open_window, monkeypatch)


async def test_a_registrar_is_let_in_imports_and_is_revoked(commands: Commands, tmp_path: Path) -> None:
    file = tmp_path / "households.csv"
    file.write_bytes(csv_bytes([row(1), row(2, village="")]))
    refused = await commands.run("import", str(file))
    assert refused.exit_code == 1
    assert "tonle registrars add NAME" in refused.stderr.replace("\n", " ")
    added = await commands.json("registrars", "add", "Office of Mongkol Borei", "--area", "0102")
    administrator, commands.token = commands.token, str(added["token"])
    done = await commands.run("import", str(file))
    assert done.exit_code == 0, done.output
    assert "registered\t1" in done.stdout
    assert "tonle quarantine list --import " in done.stdout
    commands.token = administrator
    assert "Office of Mongkol Borei" in (await commands.run("registrars", "list")).stdout
    assert (await commands.run("registrars", "revoke", "Office of Mongkol Borei")).exit_code == 0
    commands.token = str(added["token"])
    assert (await commands.run("import", str(file))).exit_code == 1


async def test_quarantine_is_listed_exported_corrected_and_resubmitted(
    commands: Commands, open_window: Window, tmp_path: Path
) -> None:
    commands.token = await open_window.registrar()
    file, exported = tmp_path / "households.csv", tmp_path / "export.csv"
    file.write_bytes(csv_bytes([row(1), row(2, village="")]))
    await commands.run("import", str(file))
    listed = (await commands.run("quarantine", "list")).stdout
    assert "village" in listed
    assert "Fill it in." in listed
    assert "rows\t1" in (await commands.run("quarantine", "export", str(exported))).stdout
    lines = list(csv.DictReader(io.StringIO(exported.read_text(encoding="utf-8-sig"))))
    exported.write_bytes(csv_bytes([lines[0] | row(2)], lines[0]))
    assert (await commands.json("quarantine", "resubmit", str(exported)))["registered"] == 1
    assert (await commands.run("quarantine", "list", "--json")).stdout.strip() == "[]"


async def test_a_household_is_revised_by_columns_and_exits(commands: Commands, open_window: Window) -> None:
    commands.token = await open_window.registrar()
    await open_window.imported(csv_bytes([row(1)]))
    first = numbered(1)
    changed = (
        "phone=012 345 679",
        "fallback_phone=097 123 4567",
        "language=jra",
        "member_2_school=primary",
        "card_number=",
        "card_expires_on=",
    )
    sets = [f"--set={each}" for each in (*changed, "consents=delivery;research", "collector=2")]
    assert (await commands.json("household", "revise", first, *sets))["revision"] == 2
    found = (await open_window.get(f"/households/{first}")).json()["household"]
    assert (found["phone"], found["card_number"], found["collector"]) == ("+85512345679", None, 2)
    assert (found["fallback_phone"], found["language"]) == ("+855971234567", "jra")
    assert found["members"][1]["school"] == "primary"
    assert found["consents"] == ["delivery", "research"]
    stale = await commands.run("household", "revise", first, "--set", "level=poor_2", "--replaces", "1")
    assert stale.exit_code == 1
    flawed = await commands.run("household", "revise", first, "--set", "level=poor")
    assert "level" in flawed.stderr
    assert "Write one of" in flawed.stderr
    unknown = await commands.run("household", "revise", first, "--set", "colour=red")
    assert "colour: is no field known here." in unknown.stderr
    assert (await commands.run("household", "exit", first, "--reason", "bored")).exit_code == 2
    assert (await commands.json("household", "exit", first, "--reason", "moved"))["state"] == "exited"


async def test_a_file_with_wrong_columns_is_told_which(
    commands: Commands, open_window: Window, tmp_path: Path
) -> None:
    commands.token = await open_window.registrar()
    file = tmp_path / "households.csv"
    file.write_bytes(b"reference,village,levl\r\n")
    refused = await commands.run("import", str(file))
    assert refused.exit_code == 1
    assert "unknown columns: levl" in refused.stderr
    assert "levl → level" in refused.stderr


async def test_a_pair_is_found_shown_decided_and_undone(commands: Commands, open_window: Window) -> None:
    actions = [f"household.{each}" for each in cli.ACTIONS]
    commands.token = await open_window.registrar(actions=actions)
    again = {"card_number": "CARD-9", "account_number": "9999", "member_1_national_id": ""}
    await open_window.imported(csv_bytes([row(1), row(2, **again, member_1_birth_date="1985-01-01")]))
    assert (await commands.json("duplicates", "find", "--least-bits", "20"))["pairs_new"] == 1
    listed = await commands.run("duplicates", "list")
    assert "the same village" in listed.stdout
    (pair,) = json.loads((await commands.run("duplicates", "list", "--json")).stdout)
    number = str(pair["pair"])
    shown = (await commands.run("duplicates", "show", number)).stdout
    assert "សុខ ដារា (Sok Dara), female, 1985-04-15" in shown
    assert "the same year, one without its day" in shown
    stale = await commands.run("duplicates", "decide", number, "same", "--later-revision", "7")
    assert "Look at the pair again" in stale.stderr
    assert (await commands.json("duplicates", "decide", number, "same"))["decision"] == "same"
    other = await commands.run("duplicates", "decide", number, "different")
    assert "Undo that decision first." in other.stderr
    assert (await commands.json("duplicates", "undo", number))["decision"] is None
    assert "same" in (await commands.run("duplicates", "show", number)).stdout.splitlines()[-2]
