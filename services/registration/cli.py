"""`tonle import`, `household`, `quarantine` and `registrars`: the single window on the command line."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

import httpx
import typer

from tonle import terminal

ACTIONS = ("register", "revise", "read", "exit", "import", "duplicates", "decide", "report", "grievances")
POLL_S = 0.3
PART_BYTES = 256 * 1024
_LISTS = ("consents", "assets", "conditions")
_NUMBERS = ("collector", "attendance_percent")
Reason = Literal["graduated", "moved", "deceased", "card_revoked", "asked_to_leave"]
_KINDS = {
    "extra_forbidden": "is no field known here",
    "literal_error": "is not a word known here",
    "missing": "is missing",
    "string_type": "must be text",
    "int_type": "must be a whole number",
}

AsJson = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
HouseholdId = Annotated[str, typer.Argument(metavar="ID", help="The household's id.")]


def mount(app: typer.Typer) -> None:
    """Add the commands of registration."""
    app.command("import")(import_file)
    households = terminal.group(app, "household", "One household: its story, revise it, let it exit.")
    households.command("revise")(revise)
    households.command("exit")(leave)
    quarantined = terminal.group(app, "quarantine", "Rows that were not registered, and why.")
    quarantined.command("list")(list_quarantine)
    quarantined.command("export")(export)
    quarantined.command("resubmit")(resubmit)
    registrars = terminal.group(app, "registrars", "Who may register households, and where.")
    registrars.command("add")(add_registrar)
    registrars.command("list")(list_registrars)
    registrars.command("revoke")(revoke_registrar)


def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV, XLSX or Parquet.")],
    as_json: AsJson = False,
) -> None:
    """Import households from a file, one row a household.

    A bad row goes to quarantine with its row number and what to do, and stops no other. Importing the same
    file again changes nothing. It needs a registrar's token in TONLE_TOKEN: `tonle registrars add NAME`.
    """
    _send(file, "/imports", as_json)


def resubmit(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The corrected export.")],
    as_json: AsJson = False,
) -> None:
    """Import a corrected quarantine export; entries whose rows are registered now are resolved."""
    _send(file, "/quarantine/resubmit", as_json)


def revise(
    household_id: HouseholdId,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="COLUMN=VALUE", help="A column of the import file; empty clears it."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(exists=True, help="The whole household as JSON, as the API takes it.")
    ] = None,
    replaces: Annotated[
        int | None, typer.Option(help="The revision that was looked at; the current one by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change what is registered of a household.

    For instance: `tonle household revise ID --set phone="012 345 678" --set member_2_school=primary`.
    """
    with terminal.client("registration") as http:
        current = _checked(http.get(f"/households/{household_id}")).json()
        form = json.loads(file.read_text(encoding="utf-8")) if file else current["household"]
        for each in sets or ():
            column, _, value = each.partition("=")
            _set(form, column.strip(), value.strip())
        body = {"replaces": replaces or current["revision"], "household": form}
        answer = http.put(f"/households/{household_id}", json=body)
    terminal.emit(_checked(answer).json(), as_json)


def leave(
    household_id: HouseholdId,
    reason: Annotated[Reason, typer.Option(help="Why it leaves.")],
    as_json: AsJson = False,
) -> None:
    """Let a household exit. Its card, national ids and account are free for others from then on."""
    with terminal.client("registration") as http:
        answer = http.post(f"/households/{household_id}/exit", json={"reason": reason})
    terminal.emit(_checked(answer).json(), as_json)


def list_quarantine(
    *,
    import_id: Annotated[str | None, typer.Option("--import", help="Only rows of this import.")] = None,
    duplicates: Annotated[bool, typer.Option(help="Only duplicates of other households.")] = False,
    resolved: Annotated[bool, typer.Option(help="Those that were registered after all.")] = False,
    most: Annotated[int, typer.Option(min=1, max=1000, help="How many rows.")] = 20,
    after: Annotated[int, typer.Option(help="Go on after this quarantine number.")] = 0,
    as_json: AsJson = False,
) -> None:
    """List rows that were not registered: where they stood, why, and what to do."""
    query: dict[str, str | int | bool] = {"most": most, "after": after, "resolved": resolved}
    query |= {"import_id": import_id} if import_id else {}
    query |= {"outcome": "duplicate"} if duplicates else {}
    with terminal.client("registration") as http:
        found = _checked(http.get("/quarantine", params=query)).json()
    if as_json:
        terminal.emit(found, as_json)
        return
    terminal.emit([_line(entry, flaw) for entry in found for flaw in entry["flaws"]], as_json)


def export(
    file: Annotated[Path, typer.Argument(help="The CSV file to write.")] = Path("quarantine.csv"),
    import_id: Annotated[str | None, typer.Option("--import", help="Only rows of this import.")] = None,
) -> None:
    """Write quarantined rows to a CSV file, with what is wrong beside them.

    Correct the file in a spreadsheet, leave the last columns alone, and then run
    `tonle quarantine resubmit FILE`.
    """
    query = {"import_id": import_id} if import_id else {}
    rows = -1
    with (
        terminal.client("registration") as http,
        http.stream("GET", "/quarantine/export", params=query) as answer,
    ):
        if answer.is_error:
            answer.read()
            _checked(answer)
        with file.open("wb") as target:
            for part in answer.iter_bytes():
                rows += part.count(b"\n")
                target.write(part)
    terminal.emit({"file": str(file), "rows": rows}, as_json=False)


def add_registrar(
    name: Annotated[str, typer.Argument(help="Who it is; shown as the one who acted.")],
    area: Annotated[
        str, typer.Option(help="Gazetteer code of a province (2 digits), district (4) or commune (6).")
    ] = "",
    action: Annotated[
        list[str] | None, typer.Option(help=f"Some of {', '.join(ACTIONS)}; all by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let a registrar in. The token is shown once: give it to them, to be set as TONLE_TOKEN."""
    unknown = set(action or ()) - set(ACTIONS)
    if unknown:
        terminal.fail(f"Unknown action: {', '.join(sorted(unknown))}.", f"Take some of {', '.join(ACTIONS)}.")
    actions = [*(f"household.{each}" for each in action or ACTIONS), "read"]
    with terminal.client("registration") as http:
        answer = http.post("/callers", json={"name": name, "actions": actions, "area": area})
    terminal.emit(terminal.checked(answer).json(), as_json)


def list_registrars(as_json: AsJson = False) -> None:
    """List registrars with their areas and actions; revoked ones too."""
    with terminal.client("registration") as http:
        terminal.emit(terminal.checked(http.get("/callers")).json(), as_json)


def revoke_registrar(name: Annotated[str, typer.Argument(help="The registrar's name.")]) -> None:
    """End a registrar's token at once. What they did stays as it is."""
    with terminal.client("registration") as http:
        terminal.checked(http.delete(f"/callers/{quote(name)}"))
    terminal.emit({"revoked": name}, as_json=False)


def _send(file: Path, path: str, as_json: bool) -> None:
    size = file.stat().st_size
    with terminal.client("registration", timeout_s=600) as http:
        with terminal.progress("Uploading (bytes)", size) as advance:
            answer = http.post(
                path,
                content=_parts(file, advance),
                headers={"Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}"},
            )
        run = _followed(http, _checked(answer).json())
    if run["state"] == "failed":
        terminal.fail(f"The import failed: {run['error']}.", run["remedy"])
    names = ("import_id", "rows_done", "registered", "quarantined", "duplicates", "unchanged", "seconds")
    terminal.emit({name: run[name] for name in names}, as_json)
    if (run["quarantined"] or run["duplicates"]) and not as_json:
        typer.echo(f"Rows that were not registered: tonle quarantine list --import {run['import_id']}")


def _parts(file: Path, advance: terminal.Advance) -> Iterator[bytes]:
    sent = 0
    with file.open("rb") as source:
        while part := source.read(PART_BYTES):
            yield part
            sent += len(part)
            advance(sent)


def _followed(http: httpx.Client, run: dict[str, Any]) -> dict[str, Any]:
    """Poll an import until it has ended, showing how far it is."""
    path, began = f"/imports/{run['import_id']}", time.monotonic()
    with terminal.progress("Importing (rows)", run["rows_total"]) as advance:
        while run["state"] not in ("finished", "failed"):
            time.sleep(POLL_S)
            run = _checked(http.get(path)).json()
            note = f"{run['registered']} registered, {run['quarantined']} quarantined"
            advance(run["rows_done"], f"{note}, {run['duplicates']} duplicates")
    return run | {"seconds": round(time.monotonic() - began, 1)}


def _set(form: dict[str, Any], column: str, value: str) -> None:
    """Put a column of the import file into a household's form."""
    target, name = form, column
    if column.startswith("member_"):
        _, number, name = column.split("_", 2) if column.count("_") > 1 else ("", "", "")
        members = form["members"]
        while number.isdecimal() and len(members) < int(number) <= len(members) + 1:
            members.append({})
        if not number.isdecimal() or not 1 <= int(number) <= len(members):
            terminal.fail(f"There is no {column}.", f"The household has members 1 to {len(members)}.")
        target = members[int(number) - 1]
    if name in _LISTS:
        target[name] = [part.strip() for part in value.split(";") if part.strip()]
    elif name in _NUMBERS and value.isdecimal():
        target[name] = int(value)
    else:
        target[name] = value or None


def _line(entry: dict[str, Any], flaw: dict[str, str]) -> dict[str, object]:
    return {
        "number": entry["quarantine_id"],
        "row": entry["row_number"],
        "reference": entry["original"].get("reference"),
        "field": flaw["field"],
        "value": flaw["value"],
        "reason": flaw["reason"],
        "remedy": flaw["remedy"],
    }


def _checked(answer: httpx.Response) -> httpx.Response:
    """As `terminal.checked`, and every field that is wrong on a line of its own."""
    if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
        found = answer.json()
        told = [_wrong(each) for each in found.get("errors", ())]
        terminal.fail(f"{str(found['title']).rstrip('.')}.", "\n".join(told) or str(found["detail"]))
    return terminal.checked(answer)


def _wrong(error: dict[str, str]) -> str:
    """`phone: is no Cambodian telephone number. Write it like …`; pydantic's kinds in plain words."""
    field = error["field"].removeprefix("body.").removeprefix("household.")
    reason = error.get("reason") or _KINDS.get(error.get("problem", ""), error.get("problem", ""))
    return f"{field}: {reason}. {error.get('remedy', '')}".rstrip()
