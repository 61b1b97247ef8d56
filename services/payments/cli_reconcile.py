"""`tonle reconcile`: whether we, the partners and the banks say the same, and who has to act where not."""

from typing import Annotated

import typer

from tonle import terminal

AsJson = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
_DAY = ("day", "partner", "issued", "riel_issued", "acknowledged", "settled", "riel_settled", "on_statement")
_DIFFERENCE = ("kind", "partner", "day", "age_days", "riel", "note", "owner", "subject")


def mount(app: typer.Typer) -> None:
    """Add the command, and the one that closes what it found."""
    app.command("reconcile")(reconcile)
    partners = terminal.group(app, "partners", "Payment partners: how they are talked to, and their files.")
    partners.command("accept")(accept)


def reconcile(
    partner: Annotated[str | None, typer.Option(help="Of this partner alone.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="Show days of issue from here on.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, max=10_000, help="How many differences are listed.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Compare instructions, acknowledgements, settlements and bank statements, by partner and day.

    Ends with code 0 at zero differences; else it lists each with its age, its owner and the next step, and
    ends with code 1. It changes nothing, and can be run at any time.
    """
    asked: dict[str, str | int] = {"most": most}
    asked |= {name: each for name, each in (("partner", partner), ("since", since)) if each}
    with terminal.client("payments", timeout_s=600.0) as http:
        found = terminal.checked(http.get("/reconciliation", params=asked)).json()
    if as_json:
        terminal.emit(found, as_json)
    else:
        terminal.emit([{name: each[name] for name in _DAY} for each in found["days"]], as_json)
        _tell(found["differences"], found["open"], found["closed"])
    if found["open_total"]:
        raise typer.Exit(1)


def accept(
    kind: Annotated[str, typer.Argument(help="As `tonle reconcile` lists it: `fee`, say.")],
    partner: Annotated[str, typer.Argument(help="The partner.")],
    subject: Annotated[str, typer.Argument(help="The payment, statement or line.")],
    riel: Annotated[int, typer.Argument(help="The riel, as listed.")],
    reason: Annotated[str, typer.Option(help="What you found out; kept for ever.")],
) -> None:
    """Close a difference of `tonle reconcile` with a reason; it opens again if its riel change.

    It needs a token that may load in TONLE_TOKEN. Riel below zero come after `--`.
    """
    body = {"kind": kind, "partner": partner, "subject": subject, "riel": riel, "reason": reason}
    with terminal.client("payments") as http:
        terminal.emit(terminal.checked(http.post("/reconciliation/close", json=body)).json(), as_json=False)


def _tell(differences: list[dict[str, object]], counts: dict[str, int], closed: int) -> None:
    if not counts:
        typer.echo(f"\nNothing differs. {closed} differences were closed by a person.")
        return
    typer.echo("")
    terminal.emit([{name: each[name] for name in _DIFFERENCE} for each in differences], as_json=False)
    steps = {str(each["kind"]): f"{each['owner']}: {each['next_step']}" for each in differences}
    typer.echo("")
    for kind, count in counts.items():
        typer.echo(f"{count} × {kind}. {steps.get(kind, '')}")
