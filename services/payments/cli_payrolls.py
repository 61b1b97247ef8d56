"""`tonle cycles preview`: who would be paid how much, against the cycle before."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from services.payments.cli import AsJson, CycleId
from tonle import terminal

_SUMS = ("cycle_id", "last_cycle", "households", "riel", "typical_riel", "room", "unanswered", "held")


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    cycles = terminal.group(app, "cycles", "A programme's payments for one period: terms, approval, money.")
    cycles.command("preview")(preview)


def preview(
    cycle: CycleId,
    *,
    csv: Annotated[
        Path | None, typer.Option(help="Write every household with its amounts to this file.")
    ] = None,
    outliers: Annotated[int, typer.Option(help="How many of the largest outliers to name.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show who a cycle pays and how much, against the programme's cycle before: new, gone, raised, lowered.

    It is refused until eligibility has answered the cycle for everybody. An outlier is above the cap, over
    three times the median, or more than double or less than half of what the household got last.
    """
    path = f"/cycles/{quote(cycle)}/preview"
    with terminal.client("payments") as http:
        found = terminal.checked(http.get(path, params={"outliers": outliers})).json()
        if csv is not None:
            with http.stream("GET", f"{path}.csv") as answer:
                if answer.is_error:
                    answer.read()
                terminal.checked(answer)
                _write(csv, answer.iter_bytes())
    if as_json:
        terminal.emit(found, as_json)
        return
    terminal.emit({name: found[name] for name in _SUMS}, as_json)
    for title, sums in (("Against the cycle before:", found["changes"]), ("Waiting:", found["waiting"])):
        if sums:
            typer.echo(f"\n{title}")
            terminal.emit([{"what": what, **each} for what, each in sums.items()], as_json)
    if found["largest_outliers"]:
        typer.echo(f"\nOutliers: {found['outliers']['households']}, the largest of them:")
        terminal.emit(found["largest_outliers"], as_json)


def _write(path: Path, parts: Iterator[bytes]) -> None:
    # Whole or not at all: a list that was cut short looks like one with fewer households.
    unfinished = path.with_name(f".{path.name}.part")
    with unfinished.open("wb") as file:
        for part in parts:
            file.write(part)
    unfinished.replace(path)
