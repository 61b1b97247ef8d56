"""`tonle payees`: who would be paid to somebody else than last, and waits for a second person."""

from typing import Annotated
from urllib.parse import quote

import typer

from tonle import terminal

AsJson = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    payees = terminal.group(app, "payees", "Payees that changed since they were paid last.")
    payees.command("list")(list_payees)
    payees.command("confirm")(confirm)


def list_payees(
    confirmed: Annotated[bool, typer.Option("--confirmed", help="Those that were confirmed.")] = False,
    most: Annotated[int, typer.Option(min=1, max=1000, help="Lines at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List who would be paid to another name, telephone or account than last, and waits for a second person.

    `revision` is the household's as it was registered: look there who collects, and ask the household.
    """
    path = "/payees/confirmed" if confirmed else "/payees/waiting"
    with terminal.client("payments") as http:
        terminal.emit(terminal.checked(http.get(path, params={"most": most})).json(), as_json)


def confirm(
    household: Annotated[str, typer.Argument(metavar="HOUSEHOLD", help="The household's id.")],
    *,
    revision: Annotated[int, typer.Option(help="The revision you looked at, as it is listed.")],
    reason: Annotated[str, typer.Option(help="How you made sure; kept with your name. No names in it.")],
    as_json: AsJson = False,
) -> None:
    """Let a household be paid to whoever collects now: what waits for it is issued within seconds.

    Whoever registered the change must not be who confirms it. If it is not true, don't confirm: place a hold
    (`tonle holds place`). Needs an officer's token: `tonle officers add NAME --may approve`.
    """
    body = {"revision": revision, "reason": reason}
    with terminal.client("payments") as http:
        found = terminal.checked(http.post(f"/payees/{quote(household)}/confirm", json=body)).json()
    terminal.emit(found, as_json)
