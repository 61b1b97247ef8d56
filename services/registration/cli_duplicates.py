"""`tonle duplicates`: households that look like one, found by the machine and decided by people."""

import time
from typing import Annotated, Any, Literal

import httpx
import typer

from tonle import terminal

POLL_S = 0.5
AsJson = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
PairId = Annotated[int, typer.Argument(metavar="PAIR", min=1, help="The pair's number.")]
Verdict = Literal["same", "moved", "different"]


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    duplicates = terminal.group(app, "duplicates", "Households that look like one: find them, decide, undo.")
    duplicates.command("find")(find)
    duplicates.command("list")(list_pairs)
    duplicates.command("show")(show)
    duplicates.command("decide")(decide)
    duplicates.command("undo")(undo)


def find(
    least_bits: Annotated[
        float, typer.Option(min=15, help="How alike two households must be; fewer bits, more pairs.")
    ] = 30.0,
    *,
    wait: Annotated[bool, typer.Option(help="Wait until the search has ended.")] = True,
    as_json: AsJson = False,
) -> None:
    """Look for households of your area that are registered twice, though no number gives them away.

    Names, birth dates, sexes, places, phones and cards of all members are compared. Nothing is merged: the
    pairs wait for people, see `tonle duplicates list`. A search that is open already is followed.
    """
    with terminal.client("registration") as http:
        run = terminal.checked(http.post("/duplicates/searches", json={"least_bits": least_bits})).json()
        path = f"/duplicates/searches/{run['search_id']}"
        with terminal.progress("Searching (steps)") as advance:
            while wait and run["state"] not in ("finished", "failed"):
                time.sleep(POLL_S)
                run = terminal.checked(http.get(path)).json()
                advance(run["step"], f"of {run['steps_total'] or '?'}, {run['pairs_new']} new pairs")
    if run["state"] == "failed":
        terminal.fail(f"The search failed: {run['error']}.", run["remedy"])
    names = ("search_id", "state", "least_bits", "persons", "pairs_new")
    terminal.emit({name: run[name] for name in names}, as_json)


def list_pairs(
    *,
    decided: Annotated[bool, typer.Option(help="Those decided, instead of those that wait.")] = False,
    most: Annotated[int, typer.Option(min=1, max=500, help="How many pairs.")] = 20,
    after: Annotated[int | None, typer.Option(help="Go on after this pair.")] = None,
    as_json: AsJson = False,
) -> None:
    """List pairs of households that look like one, the likest first."""
    query: dict[str, str | int | bool] = {"decided": decided, "most": most}
    query |= {"after": after} if after is not None else {}
    with terminal.client("registration") as http:
        found = terminal.checked(http.get("/duplicates", params=query)).json()
    names = ("pair", "bits", "members_alike", "members_missing", "shared", "communes", "decision")
    terminal.emit(found if as_json else [{name: each[name] for name in names} for each in found], as_json)


def show(pair_id: PairId, as_json: AsJson = False) -> None:
    """Show a pair: who is alike, why, and what was decided; who may read households sees names."""
    with terminal.client("registration") as http:
        found = _pair(http, pair_id)
    if as_json:
        terminal.emit(found, as_json)
        return
    terminal.emit(
        {name: value for name, value in found.items() if name not in ("members", "decisions", "revisions")},
        as_json,
    )
    if found["members"]:
        typer.echo()
        terminal.emit([_line(each) for each in found["members"]], as_json)
    for each in found["decisions"]:
        typer.echo(f"{each['at']}  {each['decided_by']}: {each['decision']}")


def decide(
    pair_id: PairId,
    verdict: Annotated[
        Verdict,
        typer.Argument(
            help="same: one household, the later registration exits. moved: it moved, the first exits. "
            "different: two households, both stay."
        ),
    ],
    first_revision: Annotated[
        int | None, typer.Option(help="The first household's revision you looked at; by default the present.")
    ] = None,
    later_revision: Annotated[
        int | None, typer.Option(help="The later household's revision you looked at; by default the present.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Decide about a pair, after `tonle duplicates show`. It can be undone; who decided and when is kept."""
    with terminal.client("registration") as http:
        now = _pair(http, pair_id)["revisions"]
        body = {"decision": verdict, "revisions": [first_revision or now[0], later_revision or now[1]]}
        answer = terminal.checked(http.post(f"/duplicates/{pair_id}/decision", json=body)).json()
    terminal.emit(answer, as_json)


def undo(pair_id: PairId, as_json: AsJson = False) -> None:
    """Take a decision back: the pair waits again, and a household that exited for it is registered again."""
    with terminal.client("registration") as http:
        answer = terminal.checked(http.post(f"/duplicates/{pair_id}/undo")).json()
    terminal.emit(answer, as_json)


def _pair(http: httpx.Client, pair_id: int) -> dict[str, Any]:
    found: dict[str, Any] = terminal.checked(http.get(f"/duplicates/{pair_id}")).json()
    return found


def _line(alike: dict[str, Any]) -> dict[str, object]:
    return {
        "first": _person(alike.get("first"), alike["first_member"]),
        "later": _person(alike.get("later"), alike["later_member"]),
        "bits": alike["bits"],
        "why": alike["reasons"],
    }


def _person(person: dict[str, str] | None, number: int) -> str:
    if person is None:
        return f"member {number}"
    return f"{person['name_km']} ({person['name_latin']}), {person['sex']}, {person['birth_date']}"
