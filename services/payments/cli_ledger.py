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
Why = Annotated[str, typer.Option(help="Why; kept for ever, with your name.")]
Number = Annotated[int, typer.Argument(metavar="NUMBER", help="From `tonle ledger reversals`.")]
ACCOUNTS = ("funding", "envelope", "in-transit", "paid", "owed")


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    ledger = terminal.group(app, "ledger", "Where each riel of each cycle is, now or at any past instant.")
    ledger.command("balances")(balances)
    ledger.command("funds")(funds)
    ledger.command("entries")(entries)
    ledger.command("reverse")(reverse)
    ledger.command("reversals")(list_reversals)
    ledger.command("approve")(approve)
    ledger.command("refuse")(refuse)


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


def reverse(
    household: Annotated[str, typer.Argument(metavar="HOUSEHOLD", help="The household's id.")],
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="The entry's subject, as it is listed.")],
    kind: Annotated[str, typer.Argument(metavar="KIND", help="`settle`, of which a counter-entry is made.")],
    *,
    reason: Why,
    as_json: AsJson = False,
) -> None:
    """Ask for the counter-entry of an entry that `tonle ledger entries` shows and that is wrong.

    Nothing moves until another person approves it, and it happens once. A settlement that never was makes
    the payment `failed`, and sent again after a day. Other entries are not reversed, least of all what a
    partner may still pay: the answer says what to do instead. Needs a token that may prepare.
    """
    body = {"household_id": household, "subject": subject, "kind": kind, "reason": reason}
    _send("/ledger/reversals", body, as_json)


def list_reversals(
    decided: Annotated[bool, typer.Option("--decided", help="Those that were decided.")] = False,
    most: Annotated[int, typer.Option(min=1, max=1000, help="Lines at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the counter-entries that wait for a second person, with who asked for them and why."""
    params = {"most": str(most), **({"decided": "true"} if decided else {})}
    with terminal.client("payments") as http:
        terminal.emit(terminal.checked(http.get("/ledger/reversals", params=params)).json(), as_json)


def approve(number: Number, reason: Why, as_json: AsJson = False) -> None:
    """Book a counter-entry that another person asked for. Needs a token that may approve."""
    _send(f"/ledger/reversals/{number}/approve", {"reason": reason}, as_json)


def refuse(number: Number, reason: Why, as_json: AsJson = False) -> None:
    """Refuse a counter-entry: the entry stands. Needs a token that may approve."""
    _send(f"/ledger/reversals/{number}/refuse", {"reason": reason}, as_json)


def _send(path: str, body: object, as_json: bool) -> None:
    with terminal.client("payments") as http:
        terminal.emit(terminal.checked(http.post(path, json=body)).json(), as_json)


def _instant(at: str | None) -> str | None:
    if at is None:
        return None
    try:
        return datetime.fromisoformat(at).astimezone().isoformat()
    except ValueError:
        terminal.fail(f"{at} is no instant.", "Write it like 2023-06-30T17:00:00+07:00.")
