"""`tonle cycles preview` and `issue`, `tonle payrolls`: who would be paid, approved as a list, and issued."""

import time
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import httpx
import typer

from services.payments.cli import AsJson, CycleId
from tonle import terminal

POLL_S = 0.5
Number = Annotated[int, typer.Argument(metavar="NUMBER", help="Which of the cycle's payrolls.")]
Seen = Annotated[str, typer.Option(help="The digest of the list you looked at: `tonle payrolls show`.")]
Why = Annotated[str, typer.Option(help="Why; kept with the decision.")]
_PAYROLL = ("number", "state", "households", "riel", "approvers", "approved_by", "prepared_by", "digest")
_SUMS = (
    *("cycle_id", "last_cycle", "households", "riel", "carried_riel", "typical_riel", "room", "unanswered"),
    "held",
)


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    cycles = terminal.group(app, "cycles", "A programme's payments for one period: terms, approval, money.")
    cycles.command("preview")(preview)
    cycles.command("issue")(issue)
    cycles.command("let-in")(let_in)
    payrolls = terminal.group(app, "payrolls", "Lists of payments, frozen, approved by content, then issued.")
    payrolls.command("freeze")(freeze)
    payrolls.command("list")(list_payrolls)
    payrolls.command("show")(show_payroll)
    payrolls.command("approve")(approve)
    payrolls.command("refuse")(refuse)


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
    three times the median, or more than double or less than half of what the household got last. What is
    owed from before, or withheld, is part of each amount: `carried_riel`, see `tonle corrections`.
    """
    path = f"/cycles/{quote(cycle)}/preview"
    with terminal.client("payments") as http:
        found = terminal.checked(http.get(path, params={"outliers": outliers})).json()
        if csv is not None:
            _save(http, f"{path}.csv", csv)
    if as_json:
        terminal.emit(found, as_json)
        return
    terminal.emit({name: found[name] for name in _SUMS}, as_json)
    for title, sums in (
        ("Against the cycle before:", found["changes"]),
        ("States:", found["states"]),
        ("Waiting:", found["waiting"]),
    ):
        if sums:
            typer.echo(f"\n{title}")
            terminal.emit([{"what": what, **each} for what, each in sums.items()], as_json)
    if found["largest_outliers"]:
        typer.echo(f"\nOutliers: {found['outliers']['households']}, the largest of them:")
        terminal.emit(found["largest_outliers"], as_json)


def freeze(cycle: CycleId, as_json: AsJson = False) -> None:
    """Freeze what waits in a cycle as a list that is approved by its digest, and issued as it was approved.

    Only for a cycle opened with `--approval payroll`, and once eligibility has answered it for everybody.
    Look at `tonle cycles preview` first. Stopped halfway, the list is finished all the same.
    """
    with terminal.client("payments") as http:
        begun = terminal.checked(http.post(f"/cycles/{quote(cycle)}/payrolls")).json()
        path = f"/cycles/{quote(cycle)}/payrolls"
        with terminal.progress("Freezing (households)") as advance:
            while True:
                payrolls = terminal.checked(http.get(path)).json()
                found = next(each for each in payrolls if each["number"] == begun["number"])
                advance(found["households"])
                if found["state"] != "freezing":
                    break
                time.sleep(POLL_S)
    terminal.emit(found, as_json)


def list_payrolls(cycle: CycleId, as_json: AsJson = False) -> None:
    """List a cycle's payrolls: state, households, riel, how many approvers each takes and has."""
    with terminal.client("payments") as http:
        found = terminal.checked(http.get(f"/cycles/{quote(cycle)}/payrolls")).json()
    terminal.emit(found if as_json else [{name: each[name] for name in _PAYROLL} for each in found], as_json)


def show_payroll(
    cycle: CycleId,
    number: Number = 1,
    *,
    csv: Annotated[Path | None, typer.Option(help="Write every line to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show a payroll, its digest taken again from its lines, and who decided what on it."""
    path = f"/cycles/{quote(cycle)}/payrolls/{number}"
    with terminal.client("payments") as http:
        found = terminal.checked(http.get(path)).json()
        if csv is not None:
            _save(http, f"{path}.csv", csv)
    decisions = found["decisions"] if as_json else found.pop("decisions")
    terminal.emit(found, as_json)
    if decisions and not as_json:
        typer.echo("\nDecisions:")
        terminal.emit(decisions, as_json)


def approve(
    cycle: CycleId, number: Number = 1, *, digest: Seen, reason: Why, as_json: AsJson = False
) -> None:
    """Approve the list with this digest. Nobody approves what they prepared, and nobody twice.

    Large lists take two or three people. Nothing is paid until `tonle cycles issue`.
    """
    _decide(cycle, number, "approve", {"digest": digest, "reason": reason}, as_json)


def refuse(cycle: CycleId, number: Number = 1, *, digest: Seen, reason: Why, as_json: AsJson = False) -> None:
    """Refuse the list with this digest; what is on it waits for another list."""
    _decide(cycle, number, "refuse", {"digest": digest, "reason": reason}, as_json)


def issue(cycle: CycleId, as_json: AsJson = False) -> None:
    """Issue what was approved, and show how far it is; stopped or repeated, nobody is paid twice.

    The services go on with it when this command ends; given again, it shows the rest.
    """
    with terminal.client("payments") as http:
        found = terminal.checked(http.post(f"/cycles/{quote(cycle)}/issue")).json()
        before, to_issue = found["payments"], found["to_issue"]
        with terminal.progress("Issuing (payments)", to_issue) as advance:
            while not found["through"]:
                time.sleep(POLL_S)
                found = terminal.checked(http.get(f"/cycles/{quote(cycle)}/progress")).json()
                advance(found["payments"] - before)
    found["issued_now"] = found["payments"] - before
    terminal.emit(found, as_json)


def let_in(
    cycle: CycleId,
    reason: Annotated[str, typer.Option(help="Why late joiners need no list of their own.")],
    as_json: AsJson = False,
) -> None:
    """Propose that late joiners of a payroll cycle are paid as they arrive, within its caps and envelope.

    Another person approves it with `tonle cycles approve`; without it, freeze another list for them.
    """
    with terminal.client("payments") as http:
        found = terminal.checked(http.post(f"/cycles/{quote(cycle)}/let-in", json={"reason": reason})).json()
    terminal.emit(found, as_json)


def _decide(cycle: str, number: int, verdict: str, said: dict[str, str], as_json: bool) -> None:
    path = f"/cycles/{quote(cycle)}/payrolls/{number}/{verdict}"
    with terminal.client("payments") as http:
        found = terminal.checked(http.post(path, json=said)).json()
    terminal.emit(found, as_json)


def _save(http: httpx.Client, path: str, to: Path) -> None:
    with http.stream("GET", path) as answer:
        if answer.is_error:
            answer.read()
        terminal.checked(answer)
        # Whole or not at all: a list that was cut short looks like one with fewer households.
        unfinished = to.with_name(f".{to.name}.part")
        with unfinished.open("wb") as file:
            for part in answer.iter_bytes():
                file.write(part)
        unfinished.replace(to)
