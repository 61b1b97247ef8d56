"""`tonle partners` and `tonle reconcile`, on the running service: what they print, and how they end."""

import json
from pathlib import Path

import pytest
from typer.testing import Result

from simulators import bank
from simulators.bank import Balance, Outcome
from tests.integration.payments.conftest import Scene
from tests.integration.payments.test_commands import Tonle, tonle
from tests.integration.payments.test_partner_files import AMOUNT, NOW, answer, at_bank, banked, issue
from tests.waiting import until

pytestmark = pytest.mark.stack
__all__ = ["at_bank", "tonle"]


def table(result: Result) -> list[list[str]]:
    """Cells of what was printed; the command must have ended well."""
    assert result.exit_code == 0, result.output
    return [line.split("\t") for line in result.stdout.splitlines()]


async def test_an_operator_sends_orders_loads_what_comes_back_and_reconciles_to_zero(
    at_bank: Scene, tonle: Tonle, tmp_path: Path
) -> None:
    async with at_bank.running():
        await issue(at_bank, banked("h-1"), banked("h-2"))
        await until(lambda: at_bank.db.fetchval("select count(*) = 2 from outgoing"))
        (written,) = json.loads((await tonle("Bopha", "partners", "out", "acleda", "--json")).stdout)
        assert (written["payments"], written["riel"], written["state"]) == (2, 2 * AMOUNT, "told")
        order = Path(written["file"])
        report = answer(tmp_path / "a.xml", order, lambda number: ("ACSC", "XXXX")[number])
        said = await tonle("Bopha", "partners", "load", "acleda", str(report))
        assert "rows_parked\t1" in said.stdout
        assert "tonle partners rows --partner acleda" in said.stdout
        again = await tonle("Bopha", "partners", "load", "acleda", str(report))
        assert "its bytes were loaded before: nothing changed" in again.stdout
        heading, file = table(await tonle("Bopha", "partners", "files"))
        assert dict(zip(heading, file, strict=True))["state"] == "done"
        (row,) = json.loads((await tonle("Bopha", "partners", "rows", "--json")).stdout)
        assert row["why"] == "status: a TxSts we do not know"
        tried = table(await tonle("Bopha", "partners", "retry"))
        assert tried == [["tried", "0"], ["booked", "0"], ["left", "0"]]
        closing = (
            "partners",
            "close",
            "acleda",
            row["sha256"],
            str(row["position"]),
            "--reason",
            "sent anew",
        )
        assert table(await tonle("Bopha", *closing)) == [["closed", "2"], ["by", "Bopha"]]
        assert (await tonle("Bopha", *closing)).exit_code == 1
        await reconciled(tonle, order, tmp_path)


async def reconciled(tonle: Tonle, order: Path, folder: Path) -> None:
    """A statement with a line too many is a difference, until a person has accepted it."""
    first, _ = bank.read(order).orders
    statement, balance = folder / "s.xml", Balance("000111222", 1, 2 * AMOUNT, 0)
    bank.write_statement(statement, balance, [Outcome(first, "ACSC")] * 2, NOW)
    assert (await tonle("Bopha", "partners", "load", "acleda", str(statement))).exit_code == 0
    found = await tonle("Bopha", "reconcile", "--partner", "acleda")
    assert found.exit_code == 1
    assert "1 × double-settlement. finance: Have the bank return what was paid twice" in found.stdout
    told = await tonle("Bopha", "reconcile", "--json")
    (each,) = json.loads(told.stdout)["differences"]
    assert (told.exit_code, each["riel"], each["owner"]) == (1, AMOUNT, "finance")
    known = (each["kind"], each["partner"], each["subject"], str(each["riel"]))
    assert (await tonle("Bopha", "partners", "accept", *known, "--reason", "returned")).exit_code == 0
    ended = await tonle("Bopha", "reconcile")
    assert ended.exit_code == 0
    assert "Nothing differs. 1 differences were closed by a person." in ended.stdout


async def test_what_cannot_be_done_says_why_and_what_to_do(
    at_bank: Scene, tonle: Tonle, tmp_path: Path
) -> None:
    (no_xml := tmp_path / "a.xml").write_text("no XML")
    async with at_bank.running():
        await at_bank.officer("Bopha", "partner.load", "read")
        await at_bank.officer("Dany", "read")
        for who, arguments, words in (
            ("Bopha", ("load", "acleda", str(no_xml)), "It is no XML file. Send a pain.002"),
            (
                "Bopha",
                ("load", "nobody", str(no_xml)),
                "Take one of: wing, acleda.",
            ),
            ("Bopha", ("out", "wing"), "wing is told by no files\nPartners told by files: acleda."),
            ("Bopha", ("pause", "nobody", "--reason", "a test"), "There is no partner nobody"),
            ("Dany", ("load", "acleda", str(no_xml)), "partner.load"),
            ("Dany", ("refused",), "partner.load"),
        ):
            failed = await tonle(who, "partners", *arguments)
            assert (failed.exit_code, words in failed.stderr) == (1, True), failed.stderr
        heading, file = table(await tonle("Bopha", "partners", "files"))
        assert dict(zip(heading, file, strict=True))["reason"] == "It is no XML file"
        assert (await tonle("Bopha", "partners", "refused")).stdout == "nothing\n"
        for name in ("wing", "acleda"):
            done = await tonle("Bopha", "partners", "pause", name, "--reason", "their holiday")
            assert table(done)[1:] == [["paused", "their holiday"], ["paused_by", "Bopha"]]
        heading, *partners = table(await tonle("Bopha", "partners", "list"))
        assert [(each[0], each[1], each[-2]) for each in partners] == [
            ("wing", "kafka", "their holiday"),
            ("acleda", "files", "their holiday"),
        ]
        assert table(await tonle("Bopha", "partners", "resume", "wing"))[1] == ["paused", "-"]
