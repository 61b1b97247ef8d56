"""`tonle simulate`: a proposed policy over everybody who is registered, as a table, CSV and a page."""

import csv
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tonle import simulation_page, terminal
from tonle.archive import ARCHIVE
from tonle.simulation import Simulation
from tonle.simulation_run import PHNOM_PENH, Run

DAYS_MOST = 240


class History(StrEnum):
    """Where the history is read from."""

    TOPIC = "topic"
    ARCHIVE = "archive"


Proposed = Annotated[
    list[Path],
    typer.Argument(
        help="Programme files: each replaces the programme of its id, or is new.", exists=True, dir_okay=False
    ),
]
From = Annotated[
    History, typer.Option("--from", help="Read the topics now, or an archive that was written before.")
]
Archive = Annotated[
    Path | None, typer.Option(help="The archive's folder.", show_default="archive in the data folder")
]
Since = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d"],
        help="Judge this day and the same day of each month since; the last day alone if not given.",
    ),
]
Until = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day judged; today if not given.")
]


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulate)


def simulate(
    proposed: Proposed,
    *,
    from_: From = History.TOPIC,
    archive: Archive = None,
    since: Since = None,
    until: Until = None,
    to_csv: Annotated[Path | None, typer.Option("--csv", help="Write the figures to this file.")] = None,
    to_html: Annotated[Path | None, typer.Option("--html", help="Write a page with charts.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show the statements, as Trino runs them.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON.")] = False,
) -> None:
    """Say what a proposed policy would change: who is covered, what it costs, who gains and who loses.

    Every household is decided as the services would, by the programmes in force on that day and by the same
    with the proposed files in place; a draft counts as if it were in force. Nothing is written to Kafka or to
    a database. Facts about persons are kept in the data folder while the command runs, and no longer. Small
    counts are not shown and others are rounded, as in `tonle coverage`.
    """
    stack = terminal.running_stack()
    days = _days(since, until)
    run = Run(stack, proposed, days)
    if plan:
        typer.echo(";\n\n".join(run.plan()) + ";")
        return
    report = (
        run.from_topics() if from_ is History.TOPIC else run.from_archive(archive or stack.data_dir / ARCHIVE)
    )
    if as_json:
        terminal.emit(report, as_json)
    else:
        _show(Simulation.model_validate(report), to_csv, to_html)


def _show(found: Simulation, to_csv: Path | None, to_html: Path | None) -> None:
    for note in found.notes:
        typer.echo(f"note: {note}", err=True)
    if to_csv:
        with to_csv.open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(simulation_page.rows(found))
    if to_html:
        to_html.write_text(simulation_page.page(found), encoding="utf-8")
    if written := [str(path) for path in (to_csv, to_html) if path]:
        terminal.emit({"judged": found.days[-1].on, "written": ", ".join(written)}, False)
        return
    for table in simulation_page.tables(found):
        terminal.emit(table, False)


def _days(since: datetime | None, until: datetime | None) -> list[date]:
    """`since` and the same day of each month after it; the month's last where it has no such day."""
    today = datetime.now(UTC).astimezone(PHNOM_PENH).date()
    last = until.date() if until else today
    first = since.date() if since else last
    if last > today:
        terminal.fail(f"{last} is yet to come.", f"Name a day up to {today}.", terminal.EXIT_USAGE)
    if first > last:
        terminal.fail(f"{first} is after {last}.", f"Name a day up to {last}.", terminal.EXIT_USAGE)
    months = (last.year - first.year) * 12 + last.month - first.month
    days = [day for month in range(months + 1) if (day := _same_day(first, month)) <= last]
    if len(days) > DAYS_MOST:
        terminal.fail(f"These are {len(days)} months.", f"Judge at most {DAYS_MOST}.", terminal.EXIT_USAGE)
    return days


def _same_day(first: date, months: int) -> date:
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    after = date(year + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1)
    return after.replace(day=min(first.day, after.day))
