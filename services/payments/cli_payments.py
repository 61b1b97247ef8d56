"""`tonle payments`: what was paid, what ended without being paid, and what partners paid unexpectedly."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import quote

import typer

from tonle import terminal

AsJson = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
Cycle = Annotated[str | None, typer.Option(help="Only this cycle's, from `tonle cycles list`.")]
Most = Annotated[int, typer.Option(min=1, max=1000, help="Lines at most.")]
Household = Annotated[str, typer.Argument(metavar="HOUSEHOLD", help="The household's id.")]
Payment = Annotated[str, typer.Argument(metavar="PAYMENT", help="The payment's id, as it is listed.")]
Why = Annotated[str, typer.Option(help="Why; kept with what you decide.")]
_LISTED = ("payment_id", "household_id", "cycle_id", "attempt", "amount", "partner", "state", "reason")
_ENDED = (
    *("household_id", "cycle_id", "attempts", "amount", "state", "reason", "waiting", "ordered_by"),
    *("due_at", "asked_at"),
)
_DIFFERING = (
    *("household_id", "payment_id", "kind", "cycle_id", "partner", "partner_reference", "amount", "at"),
    *("cover_by", "resolution", "resolved_by", "reason"),
)


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    payments = terminal.group(app, "payments", "Single payments: their states, new attempts, differences.")
    payments.command("list")(list_payments)
    payments.command("failed")(list_failed)
    payments.command("reissue")(reissue)
    payments.command("cancel")(cancel)
    payments.command("differences")(list_differences)
    payments.command("cover")(cover)
    payments.command("approve-cover")(approve_cover)
    payments.command("close")(close)


def list_payments(
    cycle: Cycle = None,
    household: Annotated[str | None, typer.Option(help="Only this household's.")] = None,
    state: Annotated[
        str | None, typer.Option(help="Only those in this state, like `unknown`, or `planned`.")
    ] = None,
    most: Most = 100,
    as_json: AsJson = False,
) -> None:
    """List payments with their states: every attempt is a payment of its own.

    Before a payment is issued it is `planned`, and `approved` once people said yes to it; `reason` then says
    what it waits for (`tonle cycles show`).
    """
    asked = {"cycle": cycle, "household": household, "state": state, "most": most}
    _show("/payments", asked, _LISTED, as_json)


def list_failed(cycle: Cycle = None, most: Most = 100, as_json: AsJson = False) -> None:
    """List what is not paid by the partner's word, and why it is not sent again yet.

    `waiting` says why: `time` (due again at `due_at`), `partner-answer` (the partner was asked at `asked_at`
    whether it is over, and has not said so yet), `attempts` (as many were made as are made by themselves:
    see `tonle payments reissue`), `left`, `not-due`, `payee` (comes with the household's next decision), or
    what any payment may wait for: `envelope`, `hold`, `closed`.
    """
    _show("/attempts/ended", {"cycle": cycle, "most": most}, _ENDED, as_json)


def reissue(
    cycle: Cycle = None,
    household: Annotated[str | None, typer.Option(help="Only this household's.")] = None,
    reason: Annotated[
        str | None, typer.Option(help="Only what failed for this reason, as `tonle payments failed` says.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send again what failed, expired, came back or was cancelled: now, and to whoever collects now.

    Never what is `unknown`, and at most one attempt of an entitlement is ever open. Without this command it
    happens after a day, or when the household's next decision comes, three attempts in all (settings), once
    the partner has confirmed that the one before is over; this command asks nobody. It needs an officer's
    token in TONLE_TOKEN: `tonle officers add NAME --may prepare`.
    """
    if not (cycle or household):
        terminal.fail("Neither a cycle nor a household is named.", "Say --cycle CYCLE, or --household ID.")
    _send("/attempts/reissue", {"cycle": cycle, "household": household, "reason": reason}, as_json)


def cancel(household: Household, payment: Payment, reason: Why, as_json: AsJson = False) -> None:
    """Ask the partner not to pay a payment that is open (issued, accepted or unknown).

    Nothing changes until it answers. A partner that never heard of the payment makes its id void by it: then
    it is sent again as any that was cancelled, unless the household is held. Needs a token that may approve.
    """
    _send(f"/attempts/{quote(household)}/{quote(payment)}/cancel", {"reason": reason}, as_json)


def list_differences(
    resolved: Annotated[bool, typer.Option("--resolved", help="Those that were decided instead.")] = False,
    most: Most = 100,
    as_json: AsJson = False,
) -> None:
    """List what partners paid and nobody expected: a person finds out, and decides.

    `settled-late`: paid after it had failed or expired; its riel are owed to the partner (`tonle payments
    cover`). `settled-twice`: the partner says that it paid one payment twice.
    """
    _show("/differences", {"resolved": resolved, "most": most}, _DIFFERING, as_json)


def cover(household: Household, payment: Payment, reason: Why, as_json: AsJson = False) -> None:
    """Ask that the cycle's envelope pay what is owed to a partner for a late settlement.

    Another person approves it: `tonle payments approve-cover`; `tonle payments close` refuses it. It needs an
    officer's token in TONLE_TOKEN: `tonle officers add NAME --may prepare`.
    """
    path = f"/differences/{quote(household)}/{quote(payment)}/cover"
    _send(path, {"reason": reason}, as_json)


def approve_cover(household: Household, payment: Payment, reason: Why, as_json: AsJson = False) -> None:
    """Pay from the cycle's envelope what another person asked to cover. Needs a token that may approve."""
    _resolve(household, payment, "covered", reason, as_json)


def close(household: Household, payment: Payment, reason: Why, as_json: AsJson = False) -> None:
    """Close a payment's difference; no riel move. Needs a token that may approve."""
    _resolve(household, payment, "closed", reason, as_json)


def _resolve(household: str, payment: str, resolution: str, reason: str, as_json: bool) -> None:
    path = f"/differences/{quote(household)}/{quote(payment)}/resolve"
    _send(path, {"resolution": resolution, "reason": reason}, as_json)


def _show(path: str, asked: Mapping[str, object], columns: tuple[str, ...], as_json: bool) -> None:
    params = {name: str(value) for name, value in asked.items() if value not in (None, False)}
    with terminal.client("payments") as http:
        found = terminal.checked(http.get(path, params=params)).json()
    terminal.emit(found if as_json else [{name: each[name] for name in columns} for each in found], as_json)


def _send(path: str, body: object, as_json: bool) -> None:
    with terminal.client("payments") as http:
        terminal.emit(terminal.checked(http.post(path, json=body)).json(), as_json)
