"""`tonle referrals`: services besides money, and which households their ministries were told of."""

from pathlib import Path
from typing import Annotated

import typer

from tonle import terminal

Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]


def mount(app: typer.Typer) -> None:
    """Add the group."""
    commands = terminal.group(app, "referrals", "Services besides money, and who was referred to them.")
    commands.command("list")(list_)
    for command in (services, totals, check):
        commands.command()(command)


def list_(
    household: Annotated[str, typer.Option(help="Of this household only.")] = "",
    to: Annotated[str, typer.Option(help="To this ministry only, by its name: health, say.")] = "",
    as_json: Json = False,
) -> None:
    """List the latest referrals: which household, to which ministry, for which service, with which decision.

    Of a ministry that offers something sensitive, no service is named here: the letter says it, and that
    ministry alone can read it. What a household is offered stands in `tonle explain HOUSEHOLD`.
    """
    with terminal.client("eligibility") as client:
        found = client.get("/referrals", params={"household_id": household, "to": to})
        rows = terminal.checked(found).json()
    names = ("household_id", "number", "recipient", "service", "made_at", "withdrawn_at")
    shown = [{name: each[name] for name in names} for each in rows]
    terminal.emit(rows if as_json else [_named(each) for each in shown], as_json)


def totals(as_json: Json = False) -> None:
    """Count referrals by ministry and service: made so far, and not withdrawn since."""
    with terminal.client("eligibility") as client:
        rows = terminal.checked(client.get("/referrals/totals")).json()
    terminal.emit(rows if as_json else [_named(each) for each in rows], as_json)


def services(as_json: Json = False) -> None:
    """List the services that households are offered, whom they are sent to, and how well each is known.

    `reachable` says whether that ministry's key is set (TONLE_MINISTRIES): without, its services are offered
    and nobody is told.
    """
    with terminal.client("eligibility") as client:
        found = terminal.checked(client.get("/services")).json()
    rows = [
        {
            **{name: each[name] for name in ("id", "kind", "to", "reachable", "sensitive", "evidence")},
            "from": each["valid_from"],
            "until": each["valid_to"],
            "tells": ", ".join(each["tells"]),
        }
        for each in found
    ]
    terminal.emit(found if as_json else rows, as_json)


def check(
    files: Annotated[list[Path], typer.Argument(help="Files of services.", exists=True, dir_okay=False)],
    as_json: Json = False,
) -> None:
    """Check files of services as the service would read them, and run their worked examples.

    What is wrong is said with file, line and remedy; the command then fails. Nothing is kept.
    """
    checked = []
    with terminal.client("eligibility") as client:
        for path in files:
            answer = client.post("/services/check", params={"file": path.name}, content=path.read_bytes())
            checked.append(terminal.checked(answer).json())
    rows = [
        {"service": each["id"], **example, "right": example["found"] == example["expected"]}
        for each in checked
        for example in each["examples"]
    ]
    terminal.emit(checked if as_json else rows, as_json)
    if wrong := [row["name"] for row in rows if not row["right"]]:
        terminal.fail(f"{len(wrong)} worked examples come out otherwise.", "Correct them, or the conditions.")


def _named(row: dict[str, object]) -> dict[str, object]:
    return {**row, "service": row["service"] or "(sealed)"}
