"""`tonle scorecards`: how likely a household is poor, from a few answers."""

from typing import Annotated

import typer

from tonle import terminal

Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
Id = Annotated[str, typer.Argument(metavar="SCORECARD", help="Its id, from `tonle scorecards list`.")]


def mount(app: typer.Typer) -> None:
    """Add the group."""
    commands = terminal.group(app, "scorecards", "How likely a household is poor, from a few answers.")
    commands.command("list")(list_)
    commands.command()(show)
    commands.command()(score)


def list_(as_json: Json = False) -> None:
    """List scorecards: id, name, the survey they were made from, and how many poverty lines they know."""
    with terminal.client("eligibility") as client:
        found = terminal.checked(client.get("/scorecards")).json()
    rows = [
        {name: each[name] for name in ("id", "name", "survey")} | {"lines": len(each["lines"])}
        for each in found
    ]
    terminal.emit(found if as_json else rows, as_json)


def show(
    scorecard: Id,
    line: Annotated[
        str, typer.Option(help="The poverty line whose points are shown; the first if not given.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Show questions, responses and points as published, and what registration answers by itself."""
    with terminal.client("eligibility") as client:
        found = terminal.checked(client.get(f"/scorecards/{scorecard}")).json()
    if as_json:
        terminal.emit(found, as_json)
        return
    line = line or next(iter(found["lines"]))
    if line not in found["lines"]:
        terminal.fail(f"{scorecard} has no line {line}.", f"It has: {', '.join(found['lines'])}.")
    terminal.emit({name: found[name] for name in ("id", "name", "survey", "source", "licence")}, as_json)
    terminal.emit({"points for": line, "which is the": found["lines"][line]}, as_json)
    terminal.emit(
        [
            {
                "question": f"{question['number']}. {question['question']}",
                "answer": f"{question['number']}={response['number']}",
                "response": response["text"],
                "points": points[line] if isinstance(points := response["points"], dict) else points,
                "registered": _registered(question["answered_by"], response["number"]),
            }
            for question in found["questions"]
            for response in question["responses"]
        ],
        as_json,
    )


def score(
    scorecard: Id,
    answers: Annotated[
        list[str] | None,
        typer.Argument(metavar="[QUESTION=RESPONSE]...", help="By number, from `tonle scorecards show`: 4=2"),
    ] = None,
    household: Annotated[
        str | None, typer.Option(help="A registered household, whose registration answers what it can.")
    ] = None,
    on: Annotated[
        str | None, typer.Option(metavar="DATE", help="Count ages on this day; today if not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a household: the likelihood, in per cent, that it lives below each poverty line.

    A question that is not answered widens the range and is named, so that somebody can ask it. A low score is
    poor. Households without a card are referred by it to On-Demand IDPoor; nobody is paid by it.
    """
    body = {"household_id": household, "answers": dict(map(_answer, answers or [])), "on": on}
    with terminal.client("eligibility") as client:
        found = terminal.checked(client.post(f"/scorecards/{scorecard}/score", json=body)).json()
    if as_json:
        terminal.emit(found, as_json)
        return
    terminal.emit(
        [
            {
                "line": each["name"],
                "score": _range(each["score_lowest"], each["score_highest"]),
                "likely_percent": _range(each["likelihood_lowest"], each["likelihood_highest"]),
            }
            for each in found["lines"]
        ],
        as_json,
    )
    if still_open := found["open_questions"]:
        terminal.emit(
            [{"still_open": f"{each['number']}. {each['question']}"} for each in still_open], as_json
        )


def _answer(text: str) -> tuple[str, int]:
    question, _, response = text.partition("=")
    if not question.isdecimal() or not response.isdecimal():
        terminal.fail(
            f"{text} is no answer.",
            "Write question=response, both as numbers, for instance 4=2.",
            terminal.EXIT_USAGE,
        )
    return question, int(response)


def _range(lowest: float, highest: float) -> str:
    return f"{lowest:g}" if lowest == highest else f"{lowest:g} to {highest:g}"


def _registered(answered_by: dict[str, object] | None, response: int) -> str:
    """What registration says where this response is possible; empty where it never tells."""
    if answered_by is None:
        return ""
    words = answered_by["words"] or answered_by["up_to"]
    assert isinstance(words, dict)
    found = ", ".join(word for word, possible in words.items() if response in possible)
    up_to = "up to " if answered_by["up_to"] else ""
    return f"{answered_by['fact']}: {up_to}{found}" if found else ""
