"""How commands speak: to services over HTTP, to people in tables, to programs in JSON or plain lines."""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, Protocol

import httpx
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from tonle.stack import state
from tonle.stack.errors import StackError
from tonle.stack.state import StackState

HOME_VARIABLE = "TONLE_HOME"
TOKEN_VARIABLE = "TONLE_TOKEN"  # noqa: S105 - the name of a variable
DEFAULT_HOME = Path(".tonle/default")
PLAIN_LINE_S = 3.0

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NOT_RUNNING = 3


class Advance(Protocol):
    """How far the work is, and a note that is shown beside it."""

    def __call__(self, done: int, note: str = "") -> None: ...


def data_dir() -> Path:
    """The stack's data folder: `tonle --data-dir`, else TONLE_HOME, else `.tonle/default` here."""
    return Path(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME).absolute()


def running_stack() -> StackState:
    """The state of the running stack; ends the command with what to do when there is none."""
    try:
        found = state.load(data_dir())
    except StackError as error:
        fail(error.message, error.remedy)
    if found is None or not found.runs():
        fail(f"No stack runs on {data_dir()}.", "Start one with `tonle up`.", EXIT_NOT_RUNNING)
    return found


def client(service: str, *, timeout_s: float = 60.0) -> httpx.Client:
    """An HTTP client for a service or simulator of the running stack: its base URL and a token are set.

    The token is TONLE_TOKEN when set (a registrar's or an officer's own), else the stack's admin token.
    """
    stack = running_stack()
    part = {**stack.simulators, **stack.services}.get(service)
    if part is None:
        fail(f"The stack on {data_dir()} has no {service}.", "See its parts with `tonle status`.")
    token = os.environ.get(TOKEN_VARIABLE) or stack.tokens["admin"]
    headers = {"Authorization": f"Bearer {token}"}
    # Where no TLS is spoken no certificates need be read: they cost 40 ms a client.
    speaks_tls = part.url.startswith("https:")
    return httpx.Client(base_url=part.url, headers=headers, timeout=timeout_s, verify=speaks_tls)


def checked(response: httpx.Response) -> httpx.Response:
    """The response when it is a success; else the command ends with the service's own words (RFC 9457)."""
    if response.is_success:
        return response
    if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        fail(*_not_allowed(response))
    try:
        problem = response.json()
        fail(str(problem["title"]), str(problem.get("detail", "")))
    except (ValueError, KeyError, TypeError):
        path = response.request.url.path
        fail(f"{path} answered {response.status_code}.", f"Its log is in {data_dir() / 'logs'}.")


def _not_allowed(response: httpx.Response) -> tuple[str, str]:
    """What happened and what to do, for a token that is not known (401) or not enough (403)."""
    own = TOKEN_VARIABLE in os.environ
    tokens = (
        "`tonle registrars add NAME` gives one for households and files, "
        "`tonle officers add NAME` one for cycles."
    )
    if response.status_code == httpx.codes.FORBIDDEN:
        problem = response.json()
        acting = f"You act as the administrator. Put a token of your own in {TOKEN_VARIABLE}: {tokens}"
        return f"{problem['title']}.", str(problem["detail"]) if own else acting
    if own:
        return (
            f"The token in {TOKEN_VARIABLE} is not known to this service.",
            f"Unset {TOKEN_VARIABLE} to look as the administrator, or put another there: {tokens}",
        )
    return "The stack's own token is not known.", "Start the stack again: `tonle down`, then `tonle up`."


def fail(message: str, remedy: str, code: int = EXIT_FAILED) -> NoReturn:
    """Say on standard error what happened and what to do about it, and end with an exit code."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print("error: ", style="bold red", end="")
    console.print(message, markup=False)
    if remedy:
        console.print(remedy, markup=False)
    raise typer.Exit(code)


def emit(obj: object, as_json: bool) -> None:
    """Say a result on standard output: JSON for programs, a table for people, tab-separated in a pipe.

    Rows are a list of mappings with the same keys; one mapping is a list of name and value.
    """
    if as_json:
        print(json.dumps(obj, ensure_ascii=False, indent=2, default=str))  # noqa: T201
    elif isinstance(obj, Mapping):
        _emit_rows(["", ""], [[name, value] for name, value in obj.items()], header=False)
    elif isinstance(obj, list) and obj and isinstance(obj[0], Mapping):
        _emit_rows(list(obj[0]), [list(row.values()) for row in obj], header=True)
    elif isinstance(obj, list):
        print("\n".join(map(_text, obj)) or "nothing")  # noqa: T201
    else:
        print(_text(obj))  # noqa: T201


def _emit_rows(names: Sequence[str], rows: Sequence[Sequence[object]], *, header: bool) -> None:
    if not sys.stdout.isatty():
        for row in [names, *rows] if header else rows:
            print("\t".join(map(_text, row)))  # noqa: T201
        return
    table = Table(show_header=header, header_style="bold", box=None, pad_edge=False)
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        cells = map(_text, row)
        table.add_row(*(cell.replace("[", r"\[") for cell in cells))
    Console(highlight=False).print(table)


def _text(value: object) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if sys.stdout.isatty() else str(value)
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Advance]:
    """`with progress("Importing", 10_000) as advance: advance(done, "3 quarantined")`, on standard error.

    A bar on a terminal; in a pipe one plain line every few seconds and one at the end.
    """
    if sys.stderr.isatty():
        with _bar() as bar:
            task = bar.add_task(what, total=total, note="")

            def show(done: int, note: str = "") -> None:
                bar.update(task, completed=done, note=note)

            yield show
        return
    spoken = time.monotonic()
    last: tuple[int, str] | None = None

    def advance(done: int, note: str = "") -> None:
        nonlocal spoken, last
        last = (done, note)
        if time.monotonic() - spoken >= PLAIN_LINE_S:
            spoken, last = time.monotonic(), None
            _plain(what, done, total, note)

    yield advance
    if last is not None:
        _plain(what, last[0], total, last[1])


def _bar() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


def _plain(what: str, done: int, total: int | None, note: str) -> None:
    of = f" of {total}" if total is not None else ""
    print(f"{what}: {done}{of}{' - ' + note if note else ''}", file=sys.stderr, flush=True)  # noqa: T201


def group(app: typer.Typer, name: str, summary: str) -> typer.Typer:
    """The sub-commands called `name` of `app`, made when there are none: two modules may share a noun."""
    for known in app.registered_groups:
        if known.name == name and known.typer_instance is not None:
            return known.typer_instance
    made = typer.Typer(help=summary, no_args_is_help=True)
    app.add_typer(made, name=name)
    return made
