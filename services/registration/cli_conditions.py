"""`tonle conditions`: visits to health care and attendance at school, reported one by one or from a file."""

import csv
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tonle import terminal

BATCH = 200
COLUMNS = (
    "household_id", "member", "kind", "on", "attendance_percent", "babies", "reference",
    "corrects", "withdrawn",
)  # fmt: skip
Kind = Literal["antenatal_visit", "delivery", "vaccination", "postnatal_visit", "attendance"]
AsJson = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]


def mount(app: typer.Typer) -> None:
    """Add the group."""
    commands = terminal.group(app, "conditions", "Visits and attendance that programmes pay for.")
    commands.command()(report)
    commands.command("import")(import_file)


def report(
    household_id: Annotated[str, typer.Argument(metavar="ID", help="The household's id.")],
    kind: Annotated[Kind, typer.Option(help="What is reported.")],
    on: Annotated[str, typer.Option(help="The day of the visit, or the term's last day, YYYY-MM-DD.")],
    *,
    member: Annotated[int, typer.Option(min=1, help="Whose it is: the member's number, from 1.")] = 1,
    attendance: Annotated[
        int | None, typer.Option(help="Percent of the term's days; attendance only.")
    ] = None,
    babies: Annotated[int | None, typer.Option(help="How many were born; delivery only.")] = None,
    reference: Annotated[str | None, typer.Option(help="Your own number of it; made up without one.")] = None,
    corrects: Annotated[bool, typer.Option(help="Replace what was reported under this reference.")] = False,
    withdrawn: Annotated[bool, typer.Option(help="Take back what was reported under it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Report that a member went to a visit or attended school; programmes that ask for it then pay.

    The same report again changes nothing. It needs a registrar's token in TONLE_TOKEN.
    """
    body = {
        "household_id": household_id,
        "member": member,
        "kind": kind,
        "on": on,
        "attendance_percent": attendance,
        "babies": babies,
        "reference": reference,
        "corrects": corrects,
        "withdrawn": withdrawn,
    }
    with terminal.client("registration") as http:
        terminal.emit(terminal.checked(http.post("/conditions", json=body)).json(), as_json)


def import_file(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV in UTF-8, one row a report.")
    ],
    as_json: AsJson = False,
) -> None:
    """Report every row of a CSV file; its columns are the options of `tonle conditions report`.

    Rows that are refused are written beside it (of visits.csv: visits.refused.csv) with why and what to do:
    correct that file and import it. Importing the same file again changes nothing.
    """
    with file.open(encoding="utf-8-sig", newline="") as source:
        rows = list(csv.DictReader(source))
    unknown = {name for row in rows[:1] for name in row} - {*COLUMNS, "row", "reason", "remedy"}
    if unknown or not rows:
        terminal.fail(
            f"Unknown columns: {', '.join(map(str, unknown))}." if unknown else "The file has no rows.",
            f"The columns are {', '.join(COLUMNS)}.",
        )
    counts: dict[str, int] = {}
    refused: list[dict[str, object]] = []
    with (
        terminal.client("registration", timeout_s=120) as http,
        terminal.progress("Reporting", len(rows)) as go,
    ):
        for begin in range(0, len(rows), BATCH):
            part = rows[begin : begin + BATCH]
            answer = http.post("/conditions/batch", json={"reports": [_body(row) for row in part]})
            for at, (row, each) in enumerate(
                zip(part, terminal.checked(answer).json(), strict=True), begin + 2
            ):
                counts[each["state"]] = counts.get(each["state"], 0) + 1
                refused += [_refusal(at, row, each)] if each["state"] == "refused" else []
            go(begin + len(part))
    _written(file, refused)
    terminal.emit({"rows": len(rows), **counts}, as_json)
    if refused:
        typer.echo(f"Rows that were refused: {_refused_file(file)}", err=True)


def _body(row: dict[str, str]) -> dict[str, str]:
    """A row as the API takes it: what is filled in."""
    return {name: row[name].strip() for name in COLUMNS if (row.get(name) or "").strip()}


def _refusal(at: int, row: dict[str, str], answer: dict[str, Any]) -> dict[str, object]:
    found = answer.get("errors") or [{"reason": answer["title"], "remedy": answer["detail"]}]
    why = "; ".join(f"{each.get('field', '')} {each['reason']}".strip() for each in found)
    remedy = " ".join(dict.fromkeys(each["remedy"] for each in found))
    return {**{name: row.get(name, "") for name in COLUMNS}, "row": at, "reason": why, "remedy": remedy}


def _written(file: Path, refused: list[dict[str, object]]) -> None:
    if refused:
        with _refused_file(file).open("w", encoding="utf-8", newline="") as target:
            writer = csv.DictWriter(target, [*COLUMNS, "row", "reason", "remedy"])
            writer.writeheader()
            writer.writerows(refused)


def _refused_file(file: Path) -> Path:
    return file.with_suffix(".refused.csv")
