"""`tonle up`, `tonle down`, `tonle status`."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Annotated

import httpx
import typer

from tonle import terminal
from tonle.stack import folder, state
from tonle.stack.errors import StackError
from tonle.stack.state import StackState
from tonle.terminal import EXIT_NOT_RUNNING, fail

DOWN_S_MAX = 120
READY_S_MAX = 5
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")]


def mount(app: typer.Typer) -> None:
    """Add the three commands."""
    app.command(rich_help_panel="The stack")(up)
    app.command(rich_help_panel="The stack")(down)
    app.command(rich_help_panel="The stack")(status)


def up(
    port: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=PORT", help="Fix a port, such as kafka=9092. May be repeated."),
    ] = None,
    partitions: Annotated[
        int, typer.Option(min=1, max=64, help="Partitions of each new household topic.")
    ] = 4,
    topic_prefix: Annotated[str, typer.Option(help="Put before every topic's name.")] = "",
    servers_only: Annotated[
        bool, typer.Option("--servers-only", help="Kafka and PostgreSQL alone, to run services by hand.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Start Kafka, PostgreSQL, the simulators and the services, and leave them running.

    All listen on loopback only, keep their data in one folder (TONLE_HOME, else .tonle/default), and are
    started again when they die. The first start downloads Apache Kafka once (45 MB). What an earlier crash
    left is cleaned up. Stop them with `tonle down`; the data stays.
    """
    home = terminal.data_dir()
    settings = {
        "data_dir": str(home),
        "partitions": partitions,
        "topic_prefix": topic_prefix,
        "servers_only": servers_only,
        "ports": _ports(port or []),
    }
    try:
        known = state.load(home)
        if known is None or not known.runs():
            _launch(home, json.dumps(settings))
            known = state.load(home)
    except StackError as error:
        fail(error.message, error.remedy)
    if known is None:
        fail("The stack is gone again.", f"See {_log(home)}.")
    _say(known, as_json)


def down(as_json: Json = False) -> None:
    """Stop the running stack in order; its data stays for the next `tonle up`.

    Services stop first, then Kafka and PostgreSQL, each cleanly. What a crashed stack left is ended too.
    """
    home = terminal.data_dir()
    try:
        known = state.load(home)
        stopped = known is not None and known.state not in ("stopped", "failed")
        if known is not None and known.runs():
            _stop_supervisor(known)
            known = state.load(home)
        if known is not None and known.state not in ("stopped", "failed"):
            asyncio.run(folder.end_leftovers(known))
            known.state = "stopped"
            state.save(known)
    except StackError as error:
        fail(error.message, error.remedy)
    text = f"Stopped the stack on {home}." if stopped else f"No stack runs on {home}."
    terminal.emit({"stopped": stopped, "data_dir": str(home)} if as_json else text, as_json)


def status(as_json: Json = False) -> None:
    """Show what runs: state, address, process, restarts, and the last error of each part.

    A part that died is being started again; `restarts` counts how often. A service that runs but can't work
    is `not-ready`, with its reasons; `ended` is what died and is not known to run again. Exits with 3 when
    no stack runs.
    """
    home = terminal.data_dir()
    try:
        known = state.load(home)
    except StackError as error:
        fail(error.message, error.remedy)
    if known is None or not known.runs():
        crashed = known is not None and known.state not in ("stopped", "failed")
        if as_json:
            condition = "crashed" if crashed else known.state if known else "stopped"
            terminal.emit({"state": condition, "data_dir": str(home)}, as_json)
            raise typer.Exit(EXIT_NOT_RUNNING)
        if known is not None and known.state == "failed":
            fail(f"The stack on {home} failed: {known.message}", known.remedy or "", EXIT_NOT_RUNNING)
        how = "The supervisor of the stack on {} has crashed." if crashed else "No stack runs on {}."
        fail(how.format(home), "Start it with `tonle up`: the data is kept.", EXIT_NOT_RUNNING)
    _say(known, as_json)


def _launch(home: Path, settings: str) -> None:
    """Start the supervisor in a session of its own and follow it until it says that all is running."""
    folder.claim(home).close()
    with _log(home).open("ab") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "tonle.stack.supervisor", settings],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    assert supervisor.stdout is not None
    try:
        with terminal.progress("Starting") as advance:
            for done, note in _steps(supervisor.stdout):
                advance(done, note)
    except KeyboardInterrupt:
        supervisor.send_signal(signal.SIGTERM)
        supervisor.wait()
        fail("Interrupted; what had started is stopped again.", "")


def _steps(events: IO[bytes]) -> Iterator[tuple[int, str]]:
    """How many steps are done and what goes on now. Raises `StackError` when the supervisor says so."""
    done = 0
    for line in events:
        event = json.loads(line)
        if "running" in event:
            return
        if "message" in event:
            raise StackError(event["message"], event["remedy"])
        step = event["step"]
        done += step["seconds"] is not None
        seconds = f"ready in {step['seconds']:.1f} s" if step["seconds"] is not None else step["detail"]
        yield done, f"{step['name']}: {seconds}"
    raise StackError("The supervisor ended without a word.", f"See {_log(terminal.data_dir())}.")


def _stop_supervisor(known: StackState) -> None:
    os.kill(known.supervisor.pid, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_S_MAX
    with terminal.progress("Stopping", len(known.parts())) as advance:
        while known.supervisor.alive():
            if time.monotonic() > deadline:
                raise StackError("The stack does not stop.", f"See {_log(known.data_dir)}.")
            time.sleep(0.1)
            now = state.load(known.data_dir) or known
            advance(sum(part.state == "stopped" for part in now.parts().values()), "")


def _ports(fixed: list[str]) -> dict[str, int]:
    try:
        return {name: int(number) for name, _, number in (each.partition("=") for each in fixed)}
    except ValueError:
        raise typer.BadParameter("write it as NAME=PORT, such as kafka=9092") from None


def _say(known: StackState, as_json: bool) -> None:
    known.note_ended()
    reasons = _not_ready(known)
    shown = {**_shown(known), "not_ready": reasons}
    terminal.emit(shown if as_json else [_with_reasons(row, reasons) for row in _rows(known)], as_json)


def _shown(known: StackState) -> dict[str, object]:
    """All but passwords and tokens."""
    return known.model_dump(mode="json", exclude={"tokens": True, "postgres": {"dsn"}})


def _rows(known: StackState) -> list[dict[str, object]]:
    return [
        {
            "part": name,
            "state": part.state,
            "address": f"127.0.0.1:{part.port}",
            "pid": str(part.pid or "-"),
            "restarts": part.restarts,
            "last_error": part.last_error,
        }
        for name, part in known.parts().items()
    ]


def _not_ready(known: StackState) -> dict[str, list[str]]:
    """Why services that run can't work now, as they say it themselves; those that can are left out."""
    with ThreadPoolExecutor() as pool:
        asked = {name: pool.submit(_reasons, part.url) for name, part in known.services.items()}
    return {name: reasons for name, each in asked.items() if (reasons := each.result())}


def _reasons(url: str) -> list[str]:
    try:
        return list(map(str, httpx.get(f"{url}/health/ready", timeout=READY_S_MAX).json()["reasons"]))
    except httpx.HTTPError:
        return ["does not answer"]


def _with_reasons(row: dict[str, object], reasons: Mapping[str, list[str]]) -> dict[str, object]:
    found = reasons.get(str(row["part"]))
    if row["state"] != "running" or not found:
        return row
    return {**row, "state": "not-ready", "last_error": "; ".join(found)}


def _log(home: Path) -> Path:
    (home / "logs").mkdir(parents=True, exist_ok=True)
    return home / "logs" / "supervisor.log"
