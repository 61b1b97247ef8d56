"""Condition reports at the single window: told once, corrected, refused, one by one and from a file."""

import csv
from pathlib import Path

import pytest

from contracts import topics, wire
from contracts.condition import ConditionKind, ConditionReport, ConditionReported
from services.registration import cli_conditions
from tests.integration.registration.conftest import Window, form
from tests.integration.registration.test_commands import Commands, commands
from vault import keyring
from vault.master import MasterKey

pytestmark = pytest.mark.stack
__all__ = ["commands"]
FEW = ("--member", "1", "--kind", "postnatal_visit", "--on", "2026-02-03")


async def told(window: Window) -> list[ConditionReport]:
    """Every report told, opened."""
    name = topics.CONDITION_REPORTED.name
    found = [
        wire.decode(ConditionReported, name, each.key, each.value, each.headers)
        for each in await window.on(name)
    ]
    assert [each.data.number for each in found] == [each.sequence for each in found]
    master = MasterKey.from_file(window.settings.master_key_file)
    keys = await keyring.load(window.db, master, {each.data.report.key_id for each in found})
    sealed = [(each, each.data.report) for each in found]
    assert {len(part.blob) for _, part in sealed} == {512 + 28}
    return [
        wire.load(ConditionReport, keys.open(part.key_id, part.blob, event_id=each.id, event_type=name))
        for each, part in sealed
    ]


async def test_reports_are_told_once_corrected_and_refused_with_what_to_do(
    commands: Commands, open_window: Window, tmp_path: Path
) -> None:
    cli_conditions.mount(commands.app)
    household = (await open_window.register(form())).json()["household_id"]
    commands.token = await open_window.registrar("", ["household.report", "read"])
    for state in ("reported", "unchanged"):
        assert (await commands.json("conditions", "report", household, *FEW))["state"] == state
    clash = await commands.run("conditions", "report", household, *FEW[:-1], "2026-02-04", "--corrects")
    assert "without `corrects`" in clash.output
    unknown = await commands.run("conditions", "report", "h-unknown", *FEW)
    assert "No such household" in unknown.output
    taken_back = await commands.json("conditions", "report", household, *FEW, "--withdrawn")
    assert taken_back == {"household_id": household, "number": 2, "state": "withdrawn"}
    file = tmp_path / "visits.csv"
    rows = [
        {"household_id": household, "member": "1", "kind": "vaccination", "on": "2026-02-05"},
        {"household_id": household, "member": "9", "kind": "vaccination", "on": "2026-02-05"},
        {"household_id": household, "member": "1", "kind": "picnic", "on": "2026-02-05"},
    ]
    with file.open("w", newline="") as target:
        writer = csv.DictWriter(target, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    counted = await commands.json("conditions", "import", str(file))
    assert counted == {"rows": 3, "reported": 1, "refused": 2}
    again = await commands.json("conditions", "import", str(file))
    assert again == {"rows": 3, "unchanged": 1, "refused": 2}
    with (tmp_path / "visits.refused.csv").open() as source:
        refused = list(csv.DictReader(source))
    assert [(each["row"], each["member"]) for each in refused] == [("3", "9"), ("4", "1")]
    assert "is no member of the household" in refused[0]["reason"]
    assert "kind" in refused[1]["reason"]
    found = await told(open_window)
    assert [(each.kind, each.withdrawn) for each in found] == [
        (ConditionKind.POSTNATAL_VISIT, False),
        (ConditionKind.POSTNATAL_VISIT, True),
        (ConditionKind.VACCINATION, False),
    ]
    assert found[0].reference == found[1].reference
