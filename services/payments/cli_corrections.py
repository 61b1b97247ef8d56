"""`tonle corrections`: what households were paid too little or too much, and what is written off."""

from typing import Annotated
from urllib.parse import quote

import typer

from tonle import terminal

AsJson = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
Most = Annotated[int, typer.Option(min=1, max=1000, help="Lines at most.")]
Household = Annotated[str, typer.Argument(metavar="HOUSEHOLD", help="The household's id.")]
Programme = Annotated[str, typer.Argument(metavar="PROGRAMME", help="The programme's id, as it is listed.")]
Why = Annotated[str, typer.Option(help="Why; kept with what you decide.")]


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    corrections = terminal.group(
        app, "corrections", "What was paid too little or too much, and goes with the next payment."
    )
    corrections.command("list")(list_corrections)
    corrections.command("show")(show)
    corrections.command("write-off")(write_off)
    corrections.command("write-offs")(list_write_offs)
    corrections.command("approve")(approve)
    corrections.command("refuse")(refuse)


def list_corrections(most: Most = 100, as_json: AsJson = False) -> None:
    """List what is open: riel above zero are owed to the household, below zero it got too much.

    What is owed goes with the household's next payment, within its cap. What was too much is taken from it,
    at most a fifth of each payment (a setting), unless two people write it off. Where the programme pays the
    household no more, `owner` and `next_step` say who closes it, and how.
    """
    _show("/corrections", most, as_json)


def show(household: Household, as_json: AsJson = False) -> None:
    """Show the payments that make a household's balance, and what was written off."""
    with terminal.client("payments") as http:
        found = terminal.checked(http.get(f"/corrections/{quote(household)}")).json()
    if as_json:
        terminal.emit(found, as_json)
        return
    for title, rows in (("Payments:", found["payments"]), ("Write-offs:", found["write_offs"])):
        if rows:
            typer.echo(title)
            terminal.emit(rows, as_json)
    if not found["payments"] and not found["write_offs"]:
        typer.echo("Every payment is what is due.")


def write_off(
    household: Household,
    programme: Programme,
    *,
    riel: Annotated[int, typer.Option(help="How many riel need not be given back.")],
    reason: Why,
    as_json: AsJson = False,
) -> None:
    """Propose that an overpayment need not be given back; another person approves it.

    It needs an officer's token in TONLE_TOKEN: `tonle officers add NAME --may prepare`.
    """
    _send(household, programme, "write-off", {"riel": riel, "reason": reason}, as_json)


def list_write_offs(most: Most = 100, as_json: AsJson = False) -> None:
    """List the write-offs that wait for a second person."""
    _show("/corrections/write-offs", most, as_json)


def approve(household: Household, programme: Programme, reason: Why, as_json: AsJson = False) -> None:
    """Write off what another person proposed. Needs a token that may approve."""
    _send(household, programme, "approve", {"reason": reason}, as_json)


def refuse(household: Household, programme: Programme, reason: Why, as_json: AsJson = False) -> None:
    """Refuse a write-off: the overpayment is recovered as before. Needs a token that may approve."""
    _send(household, programme, "refuse", {"reason": reason}, as_json)


def _show(path: str, most: int, as_json: bool) -> None:
    with terminal.client("payments") as http:
        terminal.emit(terminal.checked(http.get(path, params={"most": most})).json(), as_json)


def _send(household: str, programme: str, step: str, body: object, as_json: bool) -> None:
    path = f"/corrections/{quote(household)}/{quote(programme)}/{step}"
    with terminal.client("payments") as http:
        terminal.emit(terminal.checked(http.post(path, json=body)).json(), as_json)
