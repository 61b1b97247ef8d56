"""`tonle dead-letters`: what services could not handle, why, and trying again."""

from collections.abc import Iterator
from typing import Annotated

import typer

from tonle import terminal

PAGE = 500
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
Service = Annotated[str, typer.Argument(help="The service that parked it.")]
Number = Annotated[int, typer.Argument(help="Its number, from `tonle dead-letters list`.")]


def mount(app: typer.Typer) -> None:
    """Add the group."""
    commands = terminal.group(app, "dead-letters", "Messages that were parked with a reason; none is lost.")
    commands.command("list")(list_)
    commands.command()(show)
    commands.command()(replay)


def list_(
    service: Annotated[str | None, typer.Option(help="Only this service's.")] = None,
    as_json: Json = False,
) -> None:
    """List parked messages: where each came from, why it was parked, how often it was tried."""
    rows = [{"service": name, **each} for name in _services(service) for each in _parked(name)]
    shown = rows if as_json else [{name: row[name] for name in _COLUMNS} for row in rows]
    terminal.emit(shown if as_json or shown else "Nothing is parked.", as_json)


_COLUMNS = ("service", "id", "topic", "partition", "offset", "handling", "reason", "attempts", "parked_at")


def show(service: Service, number: Number, as_json: Json = False) -> None:
    """Show one parked message: its headers, its reason, and its bytes as they came (persons are sealed)."""
    with terminal.client(service) as client:
        terminal.emit(terminal.checked(client.get(f"/parked/{number}")).json(), as_json)


def replay(
    service: Service,
    number: Annotated[int | None, typer.Argument(help="Its number; leave it out with --all.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every parked message of the service.")] = False,
    as_json: Json = False,
) -> None:
    """Handle parked messages again, for instance after a fix; those that fail again stay parked.

    Exits with 1 when one stays parked.
    """
    if (number is None) != all_:
        raise typer.BadParameter("give either the number of one message or --all")
    numbers = [number] if number is not None else [int(str(each["id"])) for each in _parked(service)]
    outcomes = []
    with terminal.client(service) as client, terminal.progress("Replaying", len(numbers)) as advance:
        for done, each in enumerate(numbers, 1):
            answer = client.post(f"/parked/{each}/replay")
            if all_ and answer.status_code == 404:  # an earlier one of its household took it along
                outcomes.append({"id": each, "handled": True, "reason": None})
            else:
                outcomes.append(terminal.checked(answer).json())
            advance(done, "")
    terminal.emit(outcomes if as_json or outcomes else "Nothing is parked.", as_json)
    if not all(outcome["handled"] for outcome in outcomes):
        raise typer.Exit(terminal.EXIT_FAILED)


def _services(chosen: str | None) -> list[str]:
    return [chosen] if chosen else list(terminal.running_stack().services)


def _parked(service: str) -> Iterator[dict[str, object]]:
    after = 0
    with terminal.client(service) as client:
        while True:
            answer = client.get("/parked", params={"after": after, "most": PAGE})
            page = terminal.checked(answer).json()["parked"]
            yield from page
            if len(page) < PAGE:
                return
            after = page[-1]["id"]
