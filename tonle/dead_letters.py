"""`tonle dead-letters`: what services could not handle, why, and trying again."""

from collections.abc import Callable, Iterator
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
    commands.command()(dismiss)


def list_(
    service: Annotated[str | None, typer.Option(help="Only this service's.")] = None,
    dismissed: Annotated[
        bool, typer.Option("--dismissed", help="Those that will never be handled: who said so, and why.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List parked messages: where each came from, why it was parked, how often it was tried."""
    if dismissed:
        given_up = [{"service": name, **each} for name in _services(service) for each in _dismissed(name)]
        terminal.emit(given_up if as_json or given_up else "Nothing was dismissed.", as_json)
        return
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


def dismiss(
    service: Service,
    number: Number,
    why: Annotated[str, typer.Option(help="Why it will never be handled; kept for ever. Names no person.")],
    as_json: Json = False,
) -> None:
    """Give up a parked message for good, which no replay can help; what waits behind it goes on.

    A partner's report about a payment that nobody made, say. The message is kept byte for byte, with who
    dismissed it and why: `tonle dead-letters list --dismissed`. There is no way back.
    """
    with terminal.client(service) as client:
        answer = client.post(f"/parked/{number}/dismiss", json={"why": why})
        terminal.emit(terminal.checked(answer).json(), as_json)


def _services(chosen: str | None) -> list[str]:
    return [chosen] if chosen else list(terminal.running_stack().services)


def _parked(service: str) -> Iterator[dict[str, object]]:
    with terminal.client(service) as client:
        yield from _pages(lambda at: terminal.checked(client.get("/parked", params=at)).json()["parked"])


def _dismissed(service: str) -> Iterator[dict[str, object]]:
    with terminal.client(service) as client:
        yield from _pages(lambda at: terminal.checked(client.get("/dismissed", params=at)).json())


def _pages(page_at: Callable[[dict[str, int]], list[dict[str, object]]]) -> Iterator[dict[str, object]]:
    after = 0
    while True:
        page = page_at({"after": after, "most": PAGE})
        yield from page
        if len(page) < PAGE:
            return
        after = int(str(page[-1]["id"]))
