"""`tonle calendar` and `tonle appeals`: what happens to a household between registrations."""

import time
from enum import StrEnum
from typing import Annotated, Any, Literal
from urllib.parse import quote

import httpx
import typer

from tonle import terminal

POLL_S = 0.3
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
Verdict = Literal["overturned", "upheld"]


class Action(StrEnum):
    """What somebody may do with appeals."""

    PREPARE = "prepare"
    DECIDE = "decide"


def mount(app: typer.Typer) -> None:
    """Add the groups."""
    calendar = terminal.group(
        app, "calendar", "Birthdays, cards and recertification that come with the days."
    )
    calendar.command("run")(run)
    calendar.command("list")(list_runs)
    appeals = terminal.group(app, "appeals", "Refusals that two people set aside, and why.")
    appeals.command("people")(add_person)
    appeals.command("prepare")(prepare)
    appeals.command("decide")(decide)
    appeals.command("list")(list_appeals)


def run(
    day: Annotated[
        str, typer.Option(help="Up to this day, YYYY-MM-DD; today in Phnom Penh when not said.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Reach the milestones of every household up to a day: who turns an age that a programme asks for, cards
    that run out or soon will, recertification that is due.

    It runs by itself once a day. Each milestone is reached once, as of its own day: running a past day again
    changes nothing.
    """
    with terminal.client("eligibility") as http:
        found = terminal.checked(http.post("/calendar/runs", json={"day": day or None})).json()
        with terminal.progress("Reaching milestones (households)") as advance:
            while found["state"] != "finished":
                time.sleep(POLL_S)
                found = terminal.checked(http.get(f"/calendar/runs/{found['day']}")).json()
                advance(found["households"], f"{found['milestones']} milestones")
        outlook = terminal.checked(http.get("/calendar/outlook")).json()
    names = ("day", "households", "milestones", "rescored")
    terminal.emit({**{name: found[name] for name in names}, **outlook}, as_json)


def list_runs(as_json: AsJson = False) -> None:
    """List the latest days run: households looked at, milestones told, households decided anew."""
    with terminal.client("eligibility") as http:
        found = terminal.checked(http.get("/calendar/runs")).json()
    names = ("day", "state", "households", "milestones", "rescored", "asked_by")
    terminal.emit(found if as_json else [{name: each[name] for name in names} for each in found], as_json)


def add_person(
    name: Annotated[str, typer.Argument(help="Who it is; shown as the one who acted.")],
    action: Annotated[list[Action], typer.Option(help="What they may do; say it twice for both.")],
    as_json: AsJson = False,
) -> None:
    """Let somebody prepare or decide appeals. The token is shown once, to be set as TONLE_TOKEN."""
    body = {"name": name, "actions": [*(f"appeal.{each.value}" for each in action), "read"], "area": ""}
    with terminal.client("eligibility") as http:
        terminal.emit(terminal.checked(http.post("/callers", json=body)).json(), as_json)


def prepare(
    household: Annotated[str, typer.Argument(help="The household's id.")],
    programme: Annotated[str, typer.Argument(help="The programme that refuses it.")],
    why: Annotated[str, typer.Option(help="Why the refusal should be set aside; kept sealed.")],
    until: Annotated[str, typer.Option(help="The last day it stands for, YYYY-MM-DD; a year without.")] = "",
    as_json: AsJson = False,
) -> None:
    """Prepare an appeal against a refusal. Another person decides it.

    It stands for this revision of the household, and for this cycle where the refusal was for one. The
    programme then pays by its own rates: an appeal sets reasons aside, it names no amount.
    """
    body = {"household_id": household, "programme": programme, "why": why, "stands_until": until or None}
    with terminal.client("eligibility") as http:
        found = terminal.checked(http.post("/appeals", json=body)).json()
    terminal.emit(found if as_json else {**found, "waives": ", ".join(found["waives"])}, as_json)


def decide(
    appeal: Annotated[str, typer.Argument(help="The appeal's id.")],
    verdict: Annotated[Verdict, typer.Argument(help="Overturn the refusal, or uphold it.")],
    as_json: AsJson = False,
) -> None:
    """Decide an appeal that somebody else prepared; the household's decisions are made anew at once."""
    with terminal.client("eligibility") as http:
        answer = http.post(f"/appeals/{quote(appeal)}/decision", json={"verdict": verdict})
        terminal.emit(_checked(answer), as_json)


def list_appeals(
    household: Annotated[str, typer.Option(help="Of this household only.")] = "", as_json: AsJson = False
) -> None:
    """List the latest appeals: who prepared and who decided them, and how."""
    with terminal.client("eligibility") as http:
        found = _checked(http.get("/appeals", params={"household_id": household}))
    names = ("appeal_id", "household_id", "state", "prepared_by", "decided_by", "decided_at")
    terminal.emit(found if as_json else [{name: each[name] for name in names} for each in found], as_json)


def _checked(answer: httpx.Response) -> Any:
    return terminal.checked(answer).json()
