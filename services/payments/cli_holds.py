"""`tonle holds`: who is not paid until another person lets them go."""

from typing import Annotated
from urllib.parse import quote

import typer

from tonle import terminal

AsJson = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
Reason = Annotated[
    str, typer.Option(help="A code like fraud-suspicion or court-order: letters, digits, dashes; no names.")
]


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    holds = terminal.group(app, "holds", "Households and accounts that are not paid for the time being.")
    holds.command("place")(place)
    holds.command("list")(list_holds)
    holds.command("screening")(list_hits)
    holds.command("release")(release)


def place(
    household: Annotated[
        str | None, typer.Argument(metavar="[HOUSEHOLD]", help="The household's id.")
    ] = None,
    *,
    account: Annotated[
        str | None,
        typer.Option(metavar="PROVIDER:NUMBER", help="An account instead, whoever collects by it."),
    ] = None,
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Hold a household, or an account: nothing is issued to it until another person releases it.

    What was issued already runs its course (`tonle payments cancel` asks the partner to stop it). Of an
    account only a keyed digest is kept. Needs an officer's token: `tonle officers add NAME --may prepare`.
    """
    if (household is None) is (account is None):
        terminal.fail("Name a household or an account.", "tonle holds place HOUSEHOLD --reason CODE")
    body: dict[str, object] = {"reason": reason, "household_id": household}
    if account is not None:
        provider, colon, number = account.partition(":")
        if not (provider and colon and number):
            terminal.fail(f"{account} is no account.", "Write it as PROVIDER:NUMBER, like wing:012345678.")
        body["account"] = {"provider": provider, "number": number}
    _send("/holds", body, as_json)


def list_holds(
    household: Annotated[str | None, typer.Option(help="Only this household's.")] = None,
    released: Annotated[bool, typer.Option("--released", help="Those that were released instead.")] = False,
    most: Annotated[int, typer.Option(min=1, max=1000, help="Lines at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the holds that stand, the oldest first, with who placed them and why."""
    asked = {"household": household, "released": "true" if released else None, "most": str(most)}
    with terminal.client("payments") as http:
        params = {name: value for name, value in asked.items() if value is not None}
        terminal.emit(terminal.checked(http.get("/holds", params=params)).json(), as_json)


def list_hits(
    released: Annotated[bool, typer.Option("--released", help="Those that were released instead.")] = False,
    most: Annotated[int, typer.Option(min=1, max=1000, help="Lines at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List payees whose name is like one on the screening list, by the entry's id in it; a person decides.

    Look the entry up in the list and the household at the window, then `tonle holds release HOLD`, or leave
    it held. The list is the file TONLE_SCREENING_LIST (columns id, name, aliases), read when payments starts.
    """
    params = {"most": str(most), **({"released": "true"} if released else {})}
    with terminal.client("payments") as http:
        terminal.emit(terminal.checked(http.get("/holds/screening", params=params)).json(), as_json)


def release(
    hold: Annotated[
        str | None, typer.Argument(metavar="[HOLD]", help="Its id, from `tonle holds list`.")
    ] = None,
    *,
    wrong_list: Annotated[
        str | None,
        typer.Option("--list", metavar="VERSION", help="All hits of a wrong screening list, as listed."),
    ] = None,
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Let go what another person held: what waits for it is issued within seconds.

    With --list, all who are held for likenesses in that screening list alone; the right list, once payments
    is started with it, holds them again where they are alike. Needs an officer's token:
    `tonle officers add NAME --may approve`; never the token that placed it.
    """
    if (hold is None) is (wrong_list is None):
        terminal.fail("Name a hold or a list.", "tonle holds release HOLD --reason CODE")
    if hold is not None:
        _send(f"/holds/{quote(hold)}/release", {"reason": reason}, as_json)
    else:
        _send(f"/holds/lists/{quote(str(wrong_list))}/release", {"reason": reason}, as_json)


def _send(path: str, body: object, as_json: bool) -> None:
    with terminal.client("payments") as http:
        terminal.emit(terminal.checked(http.post(path, json=body)).json(), as_json)
