"""`tonle cycles` and `tonle officers`: who is paid from what money, and who may decide so."""

from datetime import datetime
from typing import Annotated
from urllib.parse import quote

import typer

from contracts.eligibility import SEALED_TOGETHER, terms_together
from tonle import terminal

ACTIONS = {"prepare": "cycle.prepare", "approve": "cycle.approve", "load": "partner.load"}
OFFICER = ("prepare", "approve")

AsJson = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
Donor = Annotated[str, typer.Option(help="Who gives it: lower-case letters, digits and hyphens, like `wfp`.")]
CycleId = Annotated[str, typer.Argument(metavar="CYCLE", help="Its id, from `tonle cycles list`.")]
Reason = Annotated[str | None, typer.Option(help="Why; kept with the step.")]
Name = Annotated[str, typer.Argument(help="Who it is; shown as the one who acted.")]
DEFAULT_DONOR = "royal-government"
_SHOWN = (
    *("cycle_id", "state", "prepared_by", "approved_by", "approvals_missing", "proposed", "funded", "room"),
    "payments",
)


def mount(app: typer.Typer) -> None:
    """Add the commands of payments."""
    cycles = terminal.group(app, "cycles", "A programme's payments for one period: terms, approval, money.")
    cycles.command("open")(open_cycle)
    cycles.command("list")(list_cycles)
    cycles.command("show")(show_cycle)
    cycles.command("submit")(submit)
    cycles.command("approve")(approve)
    cycles.command("refuse")(refuse)
    cycles.command("close")(close)
    cycles.command("fund")(fund)
    officers = terminal.group(app, "officers", "Who prepares cycles, and who approves them.")
    officers.command("add")(add_officer)
    officers.command("list")(list_officers)
    officers.command("revoke")(revoke_officer)


def open_cycle(
    programme: Annotated[str, typer.Argument(help="Its id, from `tonle programmes list`.")],
    period: Annotated[str, typer.Argument(metavar="YYYY-MM", help="The month paid for.")],
    *,
    envelope: Annotated[int, typer.Option(help="Riel this cycle may commit.")],
    cap_household: Annotated[int, typer.Option(help="Riel a household may get at most.")],
    cap_payments: Annotated[int, typer.Option(help="Households that may be paid at most.")],
    reference_date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day on which ages and cards are judged."),
    ] = None,
    donor: Donor = DEFAULT_DONOR,
    approval: Annotated[
        str, typer.Option(help="`standing`: paid as decisions come; `payroll`: from approved lists only.")
    ] = "standing",
    as_json: AsJson = False,
) -> None:
    """Open a cycle with its terms. Nothing is paid until it is submitted and another person approves it.

    Sensitive programmes are paid together, as one amount a household, from cycles of `social-transfer`.

    Households are scored again for the cycle's reference date, by default the first of the month. It needs
    an officer's token in TONLE_TOKEN: `tonle officers add NAME --may prepare`.
    """
    known = _terms_of(programme)
    terms = {
        "programme": programme,
        "programme_hash": known["hash"],
        "purpose": known["purpose"],
        "period": period,
        "reference_date": reference_date.date().isoformat() if reference_date else f"{period}-01",
        "envelope": envelope,
        "cap_household": cap_household,
        "cap_payments": cap_payments,
        "donor": donor,
        "approval": approval,
    }
    _send("/cycles", terms, as_json)


def list_cycles(as_json: AsJson = False) -> None:
    """List cycles, the latest period first: state, who prepared and approved, and riel."""
    with terminal.client("payments") as http:
        found = terminal.checked(http.get("/cycles")).json()
    terminal.emit(found if as_json else [{name: each[name] for name in _SHOWN} for each in found], as_json)


def show_cycle(cycle: CycleId, as_json: AsJson = False) -> None:
    """Show a cycle's terms and money, what waits in it and why, and who did what with it."""
    with terminal.client("payments") as http:
        found = terminal.checked(http.get(f"/cycles/{quote(cycle)}")).json()
    if as_json:
        terminal.emit(found, as_json)
        return
    below = {title: found.pop(title.lower()) for title in ("Waiting", "Funds", "Steps")}
    terminal.emit(found, as_json)
    for title, rows in below.items():
        if rows:
            typer.echo(f"\n{title}:")
            terminal.emit(rows, as_json)


def submit(cycle: CycleId, as_json: AsJson = False) -> None:
    """Ask for a decision on a cycle that was opened."""
    _send(f"/cycles/{quote(cycle)}/submit", None, as_json)


def approve(cycle: CycleId, reason: Reason = None, as_json: AsJson = False) -> None:
    """Approve what awaits a decision: a submitted cycle, or a larger envelope.

    Nobody approves what they prepared, and nobody twice. Where decisions are paid as they come, a large
    envelope takes two or three people: `approvals_missing` says how many more. With the last one's, what
    waits is paid at once.
    """
    _send(f"/cycles/{quote(cycle)}/approve", {"reason": reason}, as_json)


def refuse(
    cycle: CycleId,
    reason: Annotated[str, typer.Option(help="Why; whoever prepared it must know what to change.")],
    as_json: AsJson = False,
) -> None:
    """Refuse what awaits a decision. A refused cycle can be opened again with other terms."""
    _send(f"/cycles/{quote(cycle)}/refuse", {"reason": reason}, as_json)


def close(cycle: CycleId, reason: Reason = None, as_json: AsJson = False) -> None:
    """End a cycle: nothing is issued from here on; what was issued runs its course."""
    _send(f"/cycles/{quote(cycle)}/close", {"reason": reason}, as_json)


def fund(
    cycle: CycleId,
    envelope: Annotated[int, typer.Option(help="The envelope's new total, in riel.")],
    donor: Donor = DEFAULT_DONOR,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a larger envelope; one to three others, by its total, must `tonle cycles approve` it.

    What is added is a fund of its donor, drawn after those before it: see `tonle ledger funds`.
    """
    asked = {"envelope": envelope, "donor": donor, "reason": reason}
    _send(f"/cycles/{quote(cycle)}/fund", asked, as_json)


def add_officer(
    name: Name,
    may: Annotated[
        list[str] | None,
        typer.Option(help="`prepare`, `approve` (both by default), or `load`: partners' files."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let an officer in. The token is shown once: give it to them, to be set as TONLE_TOKEN.

    Who may do both still can't approve what they prepared.
    """
    unknown = set(may or ()) - set(ACTIONS)
    if unknown:
        terminal.fail(f"Unknown: {', '.join(sorted(unknown))}.", f"Take some of {', '.join(ACTIONS)}.")
    actions = [*(ACTIONS[each] for each in may or OFFICER), "read"]
    with terminal.client("payments") as http:
        answer = http.post("/callers", json={"name": name, "actions": actions})
    terminal.emit(terminal.checked(answer).json(), as_json)


def list_officers(as_json: AsJson = False) -> None:
    """List officers with what they may do; revoked ones too."""
    with terminal.client("payments") as http:
        terminal.emit(terminal.checked(http.get("/callers")).json(), as_json)


def revoke_officer(name: Name) -> None:
    """End an officer's token at once. What they decided stays as it is."""
    with terminal.client("payments") as http:
        terminal.checked(http.delete(f"/callers/{quote(name)}"))
    terminal.emit({"revoked": name}, as_json=False)


def _terms_of(programme: str) -> dict[str, str]:
    # An officer's token is known to payments alone; what programmes there are is no secret on this machine.
    admin = {"Authorization": f"Bearer {terminal.running_stack().tokens['admin']}"}
    with terminal.client("eligibility") as http:
        known = {each["id"]: each for each in terminal.checked(http.get("/programmes", headers=admin)).json()}
    if programme == SEALED_TOGETHER:
        together = [each for each in known.values() if each["sensitive"] and not each["draft"]]
        return {
            "hash": terms_together((each["id"], each["hash"]) for each in together),
            "purpose": SEALED_TOGETHER,
        }
    if programme not in known:
        terminal.fail(f"There is no programme {programme}.", f"Take one of: {', '.join(known)}.")
    found = known[programme]
    if found["draft"]:
        terminal.fail(
            f"{programme} is a draft.", f"Fill in what is missing: tonle programmes show {programme}."
        )
    if found["sensitive"]:
        terminal.fail(
            f"{programme} is sensitive: a cycle of its own would tell why a household is paid.",
            f"Sensitive programmes are paid together: tonle cycles open {SEALED_TOGETHER} YYYY-MM …",
        )
    return {name: found[name] for name in ("hash", "purpose")}


def _send(path: str, body: object, as_json: bool) -> None:
    with terminal.client("payments") as http:
        cycle = terminal.checked(http.post(path, json=body)).json()
    terminal.emit(cycle if as_json else {name: cycle[name] for name in _SHOWN}, as_json)
