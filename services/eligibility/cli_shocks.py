"""`tonle shock`: floods, lockdowns and price shocks declared for communes, ended, and how far that is."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import typer

from tonle import terminal

POLL_S = 0.3
COMMUNES_SHOWN = 6
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
Name = Annotated[str, typer.Argument(help="The shock's name, from `tonle shock list`.")]
_LISTED = ("name", "kind", "first_day", "last_day", "ended_on", "state", "households", "seen", "scored")


def mount(app: typer.Typer) -> None:
    """Add the group."""
    shocks = terminal.group(app, "shock", "Floods, lockdowns and price shocks declared for communes.")
    shocks.command("people")(add_person)
    shocks.command("declare")(declare)
    shocks.command("end")(end)
    shocks.command("list")(list_shocks)
    shocks.command("show")(show)


def add_person(
    name: Annotated[str, typer.Argument(help="Who it is; shown as the one who acted.")],
    area: Annotated[
        str, typer.Option(help="Only for communes whose codes begin so; the whole nation without.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Let somebody declare and end shocks. The token is shown once, to be set as TONLE_TOKEN."""
    body = {"name": name, "actions": ["shock.declare", "read"], "area": area}
    with terminal.client("eligibility") as http:
        terminal.emit(terminal.checked(http.post("/callers", json=body)).json(), as_json)


def declare(
    file: Annotated[Path, typer.Argument(help="The shock's file.", exists=True, dir_okay=False)],
    as_json: AsJson = False,
) -> None:
    """Declare a shock for communes, and wait until every household there is decided again.

    The file is YAML, and names the days, both included; `last: null` holds until the shock is ended:

        name: flood-2022-12
        kind: flood              # or lockdown, or inflation
        communes: ['020101', '020102']
        dates: {first: 2022-12-01, last: 2023-02-28}

    Programmes ask whether a shock holds on the reference date of their cycle. Declaring the same file again
    changes nothing; the work goes on when this command is interrupted. It takes a token of somebody who may
    (`tonle shock people NAME`) in TONLE_TOKEN.
    """
    with terminal.client("eligibility") as http:
        answer = http.post("/shocks", params={"file": file.name}, content=file.read_bytes())
        found = _finished(http, terminal.checked(answer).json())
    _emit(found, as_json)


def end(
    name: Name,
    *,
    on: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="The first day on which it holds no more.")],
    as_json: AsJson = False,
) -> None:
    """End a shock from a day on, and wait until every household of its communes is decided again.

    What was decided for days before it stays. An end may come earlier later on, and never later.
    """
    with terminal.client("eligibility") as http:
        answer = http.post(f"/shocks/{quote(name)}/end", json={"on": on})
        found = _finished(http, terminal.checked(answer).json())
    _emit(found, as_json)


def list_shocks(as_json: AsJson = False) -> None:
    """List shocks: their days, and of their communes' households how many were seen and decided anew."""
    with terminal.client("eligibility") as http:
        found = terminal.checked(http.get("/shocks")).json()
    terminal.emit(found if as_json else [{name: each[name] for name in _LISTED} for each in found], as_json)


def show(name: Name, as_json: AsJson = False) -> None:
    """Show a shock: communes, days, who declared and ended it, and how far its households are.

    All communes are listed with `--json`.
    """
    with terminal.client("eligibility") as http:
        found = terminal.checked(http.get(f"/shocks/{quote(name)}")).json()
    _emit(found, as_json)


def _finished(http: httpx.Client, found: dict[str, Any]) -> dict[str, Any]:
    with terminal.progress("Deciding again (households)", found["households"]) as advance:
        while found["state"] != "finished":
            time.sleep(POLL_S)
            found = terminal.checked(http.get(f"/shocks/{quote(found['name'])}")).json()
            advance(found["seen"], f"{found['scored']} otherwise")
    return found


def _emit(found: Mapping[str, Any], as_json: bool) -> None:
    if not as_json:
        communes, failed = found["communes"], ", ".join(found["failed"])
        listed = ", ".join(communes[:COMMUNES_SHOWN]) + (", …" if len(communes) > COMMUNES_SHOWN else "")
        found = {**found, "communes": f"{len(communes)}: {listed}", "failed": failed}
    terminal.emit(found, as_json)
