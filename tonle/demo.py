"""`tonle demo`: the whole pipeline on real input, live, and the proof that nothing was lost or doubled."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tonle import report, terminal
from tonle.demo_run import Done, Plan, perform
from tonle.demo_screen import WIDTH, Ending, Screen, save_picture
from tonle.stack import cli as stack_cli
from tonle.stack import folder, process, state
from tonle.stack.errors import StackError
from tonle.stack.supervisor import Stack, StackSettings

HOME = Path(".tonle/demo")
STOP_S_MAX = 60.0
ENVELOPE_PER_HOUSEHOLD = 1_000_000


def mount(app: typer.Typer) -> None:
    """Add `tonle demo`."""
    app.command("demo", rich_help_panel="Start here")(demo)


def demo(
    *,
    households: Annotated[int, typer.Option(min=1, help="Rows of the file, bad ones included.")] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same households.")] = 1,
    envelope: Annotated[
        int | None, typer.Option(min=100, help="Riel the cycle may spend; ample unless you set it.")
    ] = None,
    image: Annotated[Path | None, typer.Option(help="Save the last screen as an SVG picture.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack running at the end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")] = False,
) -> None:
    """Register, score, pay and tell households on a real Kafka and a real PostgreSQL, and prove it.

    Starts a fresh stack under .tonle/demo, lets one officer prepare and others approve a payment cycle of
    2023, imports a file of made-up households (about 1 row in 200 is bad), shows them live, compares every
    record, and stops what it started. Data and report.html stay in .tonle/demo.
    Ends with exit code 1 when anything was lost or doubled, or a sum does not close.
    """
    ample = households * ENVELOPE_PER_HOUSEHOLD
    plan = Plan(households, seed, envelope or ample, HOME.absolute(), HOME.absolute() / "households.csv")
    screen = Screen(_console(as_json), households)
    try:
        done = asyncio.run(_run(plan, screen))
    except StackError as error:
        terminal.fail(error.message, error.remedy)
    except KeyboardInterrupt:
        terminal.fail("Interrupted; what had started is stopped again.", "Run it again: it begins afresh.")
    ending = _ending(done)
    if image is not None:
        save_picture(image, ending, households)
    if as_json:
        terminal.emit(done.as_json(), True)
    else:
        screen.end(ending)
        for line in _next(done, running=keep):
            screen.console.print(line, soft_wrap=True)
    if keep:
        _up_again(plan.home)
    if not done.passed:
        raise typer.Exit(terminal.EXIT_FAILED)


def _console(as_json: bool) -> Console:
    """Standard error where standard output is for the JSON object; in a pipe as wide as the picture."""
    console = Console(stderr=as_json, highlight=False)
    return console if console.is_terminal else Console(stderr=as_json, highlight=False, width=WIDTH)


async def _run(plan: Plan, screen: Screen) -> Done:
    """A fresh stack, the demo on it, the report beside it; the stack is stopped whatever happens."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    screen.console.print(f"Setting up under {plan.home}")
    with screen.timed("fresh folder") as said:
        said.append(await _clear(plan.home))
    stack = Stack(StackSettings(data_dir=plan.home), report=screen.step)
    async with stack:
        done = await perform(stack.state, plan, screen)
        report.write(done, plan.home / "report.html")
        with screen.timed("stopped"):
            await stack.stop()
    return done


async def _clear(home: Path) -> str:
    """Stop the demo stack that runs there, if one does, and remove its data."""
    known = state.load(home)
    said = "nothing to remove" if known is None else "removed the last demo's data"
    if known is not None and known.runs():
        os.kill(known.supervisor.pid, signal.SIGTERM)
        if not await process.ended(known.supervisor, STOP_S_MAX):
            raise StackError(f"The demo stack on {home} does not stop.", "Stop it with `tonle down`.")
        said = "stopped the last demo's stack and removed its data"
    elif known is not None:
        await folder.end_leftovers(known)
    await asyncio.to_thread(_remove, home)
    return said


def _remove(home: Path) -> None:
    database = home / "postgres"
    if database.is_symlink():  # where PostgreSQL had to live elsewhere, its data goes with the folder
        shutil.rmtree(database.resolve().parent, ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)


def _ending(done: Done) -> Ending:
    return Ending(done.looks[-1], done.sums, done.provinces, done.shown.lines(), done.verdict(), done.passed)


def _next(done: Done, *, running: bool) -> list[str]:
    """Three commands to go on with, with ids of this run."""
    program = "tonle" if shutil.which("tonle") else os.path.relpath(sys.argv[0])
    tonle = f"{program} --data-dir {HOME}"
    household = done.shown.household_id
    first = f"{tonle} down" if running else f"{tonle} up"
    commands = {
        first: "stop this stack" if running else "bring this stack up again",
        f"{tonle} household show {household}": "that household's story, whole",
        f"{tonle} inbox --household {household}": "what its telephone received",
    }
    return [
        f"Report: {done.plan.home / 'report.html'}",
        "Try next:",
        *(f"  {command:<{max(map(len, commands))}}  {what}" for command, what in commands.items()),
    ]


def _up_again(home: Path) -> None:
    os.environ[terminal.HOME_VARIABLE] = str(home)
    with contextlib.redirect_stdout(sys.stderr):
        stack_cli.up(None)
