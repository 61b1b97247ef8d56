"""`tonle programmes`: what households are scored with."""

from typing import Annotated

import typer

from tonle import terminal

Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]


def mount(app: typer.Typer) -> None:
    """Add the group."""
    commands = terminal.group(app, "programmes", "The programmes that every household is scored with.")
    commands.command("list")(list_)
    commands.command()(show)


def list_(as_json: Json = False) -> None:
    """List programmes: id, purpose, from when to when, and the hash that names their content.

    A cycle is opened for a programme by its hash, so that approvers approve the rates they have seen.
    """
    with terminal.client("eligibility") as client:
        found = terminal.checked(client.get("/programmes")).json()
    rows = [
        {
            "id": each["id"],
            "purpose": each["purpose"],
            "from": each["versions"][0]["valid_from"],
            "to": each["versions"][-1]["valid_to"],
            "hash": each["hash"],
        }
        for each in found
    ]
    terminal.emit(found if as_json else rows, as_json)


def show(
    programme: Annotated[str, typer.Argument(help="Its id, from `tonle programmes list`.")],
    as_json: Json = False,
) -> None:
    """Show a programme's rates in riel, each with how well it is known and from where.

    `sourced` stands in the source, `inferred` is concluded from another rate, `memory` is neither.
    """
    with terminal.client("eligibility") as client:
        found = terminal.checked(client.get(f"/programmes/{programme}")).json()
    if as_json:
        terminal.emit(found, as_json)
        return
    terminal.emit({name: found[name] for name in ("id", "name", "purpose", "frequency", "hash")}, as_json)
    terminal.emit(found["parameters"], as_json)
    terminal.emit(
        [
            {
                "from": version["valid_from"],
                "to": version["valid_to"],
                **{name: rate[name] for name in ("area", "level", "component", "riel", "evidence")},
                "source": ", ".join(rate["source"]),
            }
            for version in found["versions"]
            for rate in version["rates"]
        ],
        as_json,
    )
