"""`tonle programmes`: what households are scored with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tonle import terminal

Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]


def mount(app: typer.Typer) -> None:
    """Add the group."""
    commands = terminal.group(app, "programmes", "The programmes that every household is scored with.")
    commands.command("list")(list_)
    for command in (show, check, facts, file):
        commands.command()(command)
    app.command()(explain)


def list_(as_json: Json = False) -> None:
    """List programmes: id, purpose, from when to when, and the hash that names their content.

    A cycle is opened for a programme by its hash, so that approvers approve the rates they have seen. A
    draft lacks something, which `tonle programmes show` names; it decides nothing.
    """
    with terminal.client("eligibility") as client:
        found = terminal.checked(client.get("/programmes")).json()
    rows = [
        {
            "id": each["id"],
            "purpose": each["purpose"],
            "from": each["versions"][0]["valid_from"],
            "to": each["versions"][-1]["valid_to"],
            "draft": each["draft"],
            "hash": each["hash"],
        }
        for each in found
    ]
    terminal.emit(found if as_json else rows, as_json)


def show(
    programme: Annotated[str, typer.Argument(help="Its id, from `tonle programmes list`.")],
    as_json: Json = False,
) -> None:
    """Show a programme's conditions, whom it counts, and its rates in riel with evidence and source.

    `sourced` stands in the source, `inferred` is concluded from another rate, `memory` is neither, and
    `missing` was not found.
    """
    with terminal.client("eligibility") as client:
        found = terminal.checked(client.get(f"/programmes/{programme}")).json()
    if as_json:
        terminal.emit(found, as_json)
        return
    about = {name: found[name] for name in ("id", "purpose", "frequency", "levels", "hash")}
    terminal.emit({**about, "name": found["name"]["en"], "draft": found["draft"]}, as_json)
    for line in found["missing"]:
        terminal.emit({"missing": line}, as_json)
    groups = [
        {
            "counted": name,
            "any_of": each["sum"] or " or ".join(each["any_of"]),
            "counts": "sum" if each["sum"] else each["counts"],
        }
        for name, each in found["persons"].items()
    ]
    conditions = [{name: each[name] for name in ("reason", "holds", "en")} for each in found["conditions"]]
    for table in (groups, conditions, _rates(found)):
        if table:
            terminal.emit(table, as_json)


def check(
    files: Annotated[list[Path], typer.Argument(help="Programme files.", exists=True, dir_okay=False)],
    as_json: Json = False,
) -> None:
    """Check programme files as the service would read them, and run their worked examples; nothing is kept.

    What is wrong is said with file, line and remedy; the command then fails.
    """
    checked = []
    with terminal.client("eligibility") as client:
        for path in files:
            response = client.post("/programmes/check", params={"file": path.name}, content=path.read_bytes())
            checked.append(terminal.checked(response).json())
    rows = [
        {"programme": each["id"], **example, "right": example["found"] == example["expected"]}
        for each in checked
        for example in each["examples"]
    ]
    terminal.emit(checked if as_json else rows, as_json)
    for line in (line for each in checked for line in each["missing"]):
        typer.echo(f"draft: {line}", err=True)
    if wrong := [row["name"] for row in rows if not row["right"]]:
        terminal.fail(f"{len(wrong)} worked examples come out otherwise.", "Correct them, or the rates.")


def explain(
    household: Annotated[str, typer.Argument(help="The household's id.")],
    programme: Annotated[str, typer.Option(help="This programme only; a sensitive one must be named.")] = "",
    on: Annotated[str, typer.Option(help="What would be decided on this day, YYYY-MM-DD.")] = "",
    as_json: Json = False,
) -> None:
    """Say in English and Khmer why a household gets what it gets, or why not, and what else it is offered.

    Each latest decision is made again from what is registered and the programme's file; where that comes
    out otherwise than recorded, it says so.
    """
    asked = {name: value for name, value in (("programme", programme), ("on", on)) if value}
    with terminal.client("eligibility") as client:
        path = f"/households/{household}/explanations"
        found = terminal.checked(client.get(path, params=asked)).json()
        path = f"/households/{household}/offers"
        offers = [] if programme else terminal.checked(client.get(path, params=asked)).json()
    if as_json:
        terminal.emit({"decisions": found, "offers": offers}, as_json)
        return
    for each in found:
        typer.echo(f"{each['en']}\n{each['km']}")
        if each["same"] is False:
            typer.echo("This is not what is recorded: the registration or the file changed since.", err=True)
        terminal.emit(
            [{name: row[name] for name in ("holds", "en", "km")} for row in each["conditions"]], as_json
        )
    if not found:
        typer.echo("No programme has decided about this household.")
    for each in offers:
        typer.echo(f"{each['en']}\n{each['km']}")


def file(
    hash_: Annotated[str, typer.Argument(metavar="HASH", help="The hash that a decision names.")],
) -> None:
    """Print a programme file by its hash, byte for byte as it decided, whatever it says today."""
    with terminal.client("eligibility") as client:
        found = terminal.checked(client.get(f"/programme-files/{hash_}"))
    typer.echo(found.content, nl=False)


def facts(as_json: Json = False) -> None:
    """List the facts that a programme's conditions and counts may ask for, with unit and source."""
    with terminal.client("eligibility") as client:
        terminal.emit(terminal.checked(client.get("/facts")).json(), as_json)


def _rates(found: Mapping[str, Any]) -> list[dict[str, object]]:
    return [
        {
            "from": version["valid_from"],
            "to": version["valid_to"],
            **{name: rate.get(name) for name in ("area", "level", "component", "riel", "evidence")},
            "source": ", ".join(rate["source"]),
        }
        for version in found["versions"]
        for rate in version["rates"]
    ]
