"""`tonle ledger`: the double-entry book of all cycles."""

from datetime import datetime
from typing import Annotated
from urllib.parse import quote

import typer

from tonle import terminal

AsJson = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
At = Annotated[
    str | None,
    typer.Option(metavar="INSTANT", help="As it stood then: 2023-06-30T17:00:00+07:00. Now by default."),
]
Cycle = Annotated[str | None, typer.Option(help="Only this cycle, from `tonle cycles list`.")]
ACCOUNTS = ("funding", "envelope", "in-transit", "paid", "owed")


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    ledger = terminal.group(app, "ledger", "Where each riel of each cycle is, now or at any past instant.")
    ledger.command("balances")(balances)
    ledger.command("funds")(funds)
    ledger.command("entries")(entries)


def balances(at: At = None, cycle: Cycle = None, as_json: AsJson = False) -> None:
    """Show the balances of each cycle in riel: debits minus credits, so that a line sums to zero.

    `funding` is what was approved (a debt, so below zero), `envelope` what may still be committed,
    `in-transit` what a partner was told to pay, `paid` what it settled, `owed` what it paid after the money
    had been taken back (a debt to it). With --json each account is an object of its own.
    """
    found = _asked("/ledger/balances", at, cycle)
    if as_json:
        terminal.emit(found, as_json)
        return
    cycles: dict[str, dict[str, object]] = {}
    for each in found:
        empty: dict[str, object] = {"cycle_id": each["cycle_id"], **dict.fromkeys(ACCOUNTS, 0)}
        cycles.setdefault(str(each["cycle_id"]), empty)[str(each["account"])] = each["riel"]
    terminal.emit(list(cycles.values()), as_json)


def funds(at: At = None, cycle: Cycle = None, as_json: AsJson = False) -> None:
    """Show what became of each donor's riel, by programme and period: funded, committed, released, paid.

    A cycle's funds are drawn in the order in which they were approved; what is released goes back to the
    fund it came from. In each line `funded` is the sum of `room`, `in_transit`, `paid` and `owed`, and the
    lines of a cycle add up to its balances.
    """
    terminal.emit(_asked("/ledger/funds", at, cycle), as_json)


def entries(
    household: Annotated[str, typer.Argument(metavar="HOUSEHOLD", help="The household's id.")],
    as_json: AsJson = False,
) -> None:
    """Show every entry of a household's payments. Entries are never changed: what is undone is one more."""
    with terminal.client("payments") as http:
        terminal.emit(terminal.checked(http.get(f"/ledger/entries/{quote(household)}")).json(), as_json)


def _asked(path: str, at: str | None, cycle: str | None) -> list[dict[str, object]]:
    asked = {name: value for name, value in (("at", _instant(at)), ("cycle", cycle)) if value}
    with terminal.client("payments") as http:
        found: list[dict[str, object]] = terminal.checked(http.get(path, params=asked)).json()
    return found


def _instant(at: str | None) -> str | None:
    if at is None:
        return None
    try:
        return datetime.fromisoformat(at).astimezone().isoformat()
    except ValueError:
        terminal.fail(f"{at} is no instant.", "Write it like 2023-06-30T17:00:00+07:00.")
