"""`tonle grievances`: complaints, from the window or by SMS, on their way through the offices."""

from typing import Annotated
from uuid import uuid4

import typer

from tonle import terminal

AsJson = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
Number = Annotated[str, typer.Argument(metavar="NUMBER", help="The number people were told, like G-000123.")]
Note = Annotated[str | None, typer.Option(help="What was found or done, in a sentence.")]
_LISTED = ("number", "state", "level", "due_on", "category", "channel", "household_id", "assigned_to")


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    complaints = terminal.group(app, "grievances", "Complaints: take them in, work on them, settle them.")
    complaints.command("categories")(categories)
    complaints.command("open")(open_grievance)
    complaints.command("list")(list_grievances)
    complaints.command("show")(show)
    complaints.command("text")(text)
    complaints.command("reader")(add_reader)
    complaints.command("acknowledge")(acknowledge)
    complaints.command("take")(take)
    complaints.command("resolve")(resolve)
    complaints.command("reject")(reject)
    complaints.command("reopen")(reopen)
    complaints.command("close")(close)


def categories(as_json: AsJson = False) -> None:
    """Show what people may complain about, with the working days that the first office has."""
    with terminal.client("registration") as http:
        found = terminal.checked(http.get("/grievances/categories")).json()
    terminal.emit(found if as_json else [{"category": name, **each} for name, each in found.items()], as_json)


def open_grievance(
    household_id: Annotated[str, typer.Argument(metavar="HOUSEHOLD", help="The household's id.")],
    words: Annotated[str, typer.Argument(metavar="TEXT", help="The complaint, in the household's words.")],
    *,
    category: Annotated[str, typer.Option(help="See `tonle grievances categories`.")] = "other",
    decision: Annotated[
        str | None, typer.Option(help="The decision it is an appeal against: a reference, nothing more.")
    ] = None,
    request_id: Annotated[
        str | None, typer.Option(help="The same id opens one grievance, however often it is sent.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take in a complaint at the window; its number is what the household is told."""
    body = {"household_id": household_id, "text": words, "category": category, "decision_id": decision}
    with terminal.client("registration") as http:
        headers = {"Idempotency-Key": request_id or str(uuid4())}
        opened = terminal.checked(http.post("/grievances", json=body, headers=headers)).json()
    terminal.emit(opened if as_json else {name: opened[name] for name in _LISTED}, as_json)


def list_grievances(
    state: Annotated[str | None, typer.Option(help="Those in this state, instead of all open ones.")] = None,
    household: Annotated[str | None, typer.Option(help="Those of this household.")] = None,
    *,
    late: Annotated[bool, typer.Option(help="Those past their last day.")] = False,
    after: Annotated[str, typer.Option(help="Go on after this number.")] = "",
    most: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the grievances of your area, the oldest first. Level 1 is the commune's, 4 the nation's."""
    query: dict[str, str | int | bool] = {"late": late, "after": after, "most": most}
    query |= {"state": state} if state else {}
    query |= {"household_id": household} if household else {}
    with terminal.client("registration") as http:
        found = terminal.checked(http.get("/grievances", params=query)).json()
    terminal.emit(found if as_json else [{name: each[name] for name in _LISTED} for each in found], as_json)


def show(number: Number, as_json: AsJson = False) -> None:
    """Show a grievance with its text and every step: who, when and why.

    The text of an SMS from a number that is no one household's rests elsewhere: `tonle grievances text ID`
    with its `message_id`.
    """
    with terminal.client("registration") as http:
        found = terminal.checked(http.get(f"/grievances/{number}")).json()
    if as_json:
        terminal.emit(found, as_json)
        return
    terminal.emit({name: value for name, value in found.items() if name != "steps"}, as_json)
    typer.echo()
    names = ("at", "step", "state", "level", "due_on", "actor", "note")
    terminal.emit([{name: each[name] for name in names} for each in found["steps"]], as_json)


def text(
    message_id: Annotated[str, typer.Argument(metavar="ID", help="The grievance's `message_id`.")],
    as_json: AsJson = False,
) -> None:
    """Read what was written from a number of no household, with a token of `tonle grievances reader`."""
    with terminal.client("notifications") as http:
        terminal.emit(terminal.checked(http.get(f"/messages/{message_id}")).json(), as_json)


def add_reader(
    name: Annotated[str, typer.Argument(help="Who it is.")],
    as_json: AsJson = False,
) -> None:
    """Let somebody read such messages. The token is shown once: they set it as TONLE_TOKEN for that."""
    with terminal.client("notifications") as http:
        answer = http.post("/callers", json={"name": name, "actions": ["messages.read"], "area": ""})
    terminal.emit(terminal.checked(answer).json(), as_json)


def acknowledge(number: Number, note: Note = None, as_json: AsJson = False) -> None:
    """Say that the complaint was read; the household is told so."""
    _step(number, "acknowledge", note, as_json)


def take(number: Number, note: Note = None, as_json: AsJson = False) -> None:
    """Work on a grievance: it is yours from now on."""
    _step(number, "take", note, as_json)


def resolve(number: Number, note: Note = None, as_json: AsJson = False) -> None:
    """Settle a grievance in the household's favour; `--note` says what was done."""
    _step(number, "resolve", note, as_json)


def reject(number: Number, note: Note = None, as_json: AsJson = False) -> None:
    """Settle a grievance against the household; `--note` says what was found."""
    _step(number, "reject", note, as_json)


def reopen(number: Number, note: Note = None, as_json: AsJson = False) -> None:
    """Work on a settled grievance again, with a new last day; `--note` says why."""
    _step(number, "reopen", note, as_json)


def close(number: Number, note: Note = None, as_json: AsJson = False) -> None:
    """Close a settled grievance for good."""
    _step(number, "close", note, as_json)


def _step(number: str, verb: str, note: str | None, as_json: bool) -> None:
    with terminal.client("registration") as http:
        moved = terminal.checked(http.post(f"/grievances/{number}/{verb}", json={"note": note})).json()
    terminal.emit(moved if as_json else {name: moved[name] for name in _LISTED}, as_json)
