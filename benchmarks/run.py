"""`make bench`: how fast, how lean and how quick the pipeline is, beside its own floor and a plain baseline.

Each part starts what it needs afresh, with default settings, on this machine, and stops it. A figure is
printed only once everyone was counted: paid and told, once. `make bench ONLY=pipeline` runs one part.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmarks import (
    eligibility,
    growth,
    issuing,
    latency,
    notifications,
    payments,
    picture,
    pipeline,
    rates,
    results,
    shocks,
)
from benchmarks.watch import whole
from tonle.stack.errors import StackError

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "bench.svg"
USUAL = ("baseline", "floor", "pipeline")
BASELINE_HOUSEHOLDS = 5_000
SPEED, CPU = "households_per_second", "cpu_us_per_household"
WIDTH = 110
QUIET = 0.5
"""More waiting processes than this before a run, and its wall-clock figures are pessimistic."""


@dataclass(frozen=True)
class Asked:
    """What shall be measured, and how large."""

    households: int
    sizes: tuple[int, ...]
    backlog: int
    home: Path | None
    say: Callable[[str], None]


async def measure_pipeline(asked: Asked) -> results.Figures:
    """Import to SMS over a file, then the latency of single registrations on the idle system."""
    with pipeline.scratch(asked.home) as home:
        async with pipeline.opened(home, asked.households, asked.say) as ground:
            run = await pipeline.flow(ground, asked.households)
            await pipeline.verify(ground)
            asked.say("idle now: single registrations, one after another")
            waits = await latency.measure(ground)
    return {"cores": os.cpu_count(), **run.figures(), **latency.figures(waits)}


async def measure_latency(asked: Asked) -> results.Figures:
    """The latency alone, on a stack that few households have warmed up."""
    with pipeline.scratch(asked.home) as home:
        async with pipeline.opened(home, latency.WARM_UP, asked.say) as ground:
            await pipeline.flow(ground, latency.WARM_UP)
            return latency.figures(await latency.measure(ground))


async def measure_floor(asked: Asked) -> results.Figures:
    """The bare prototype: same wire formats, same gateway, nothing that keeps a promise."""
    return await _child("floor", asked.households, asked.say)


async def measure_baseline(asked: Asked) -> results.Figures:
    """A plain pipeline from the manual, message by message; fewer households, for it is slow."""
    return await _child("baseline", min(asked.households, BASELINE_HOUSEHOLDS), asked.say)


async def measure_growth(asked: Asked) -> results.Figures:
    """Cost by size; one service as several processes; a backlog."""
    return await growth.measure(asked.sizes, asked.backlog, asked.home, asked.say)


async def measure_eligibility(asked: Asked) -> results.Figures:
    """Scoring alone, by number of programmes; sample households; the lab over a national history."""
    with pipeline.scratch(asked.home) as home:
        return await eligibility.measure(home, asked.say)


async def measure_notifications(asked: Asked) -> results.Figures:
    """SMS rendered and handed over, beside a bare loop over the same wire; then the rates of operators."""
    with pipeline.scratch(asked.home) as home:
        speeds = await notifications.measure(home / "speed", asked.say)
        return {**speeds, **await rates.measure(home / "rates", asked.say)}


async def measure_shocks(asked: Asked) -> results.Figures:
    """A flood over 50,000 households while others are registered, counted until each was decided once."""
    with pipeline.scratch(asked.home) as home:
        async with pipeline.opened(home, shocks.STRUCK * 2, asked.say) as ground:
            return await shocks.measure(ground)


async def measure_payments(asked: Asked) -> results.Figures:
    """A cycle of `households` issued, then a bank's files of as many rows, each beside a bare loop."""
    with pipeline.scratch(asked.home) as home:
        issued = await issuing.measure(home / "issuing", asked.households, asked.say)
        return {**issued, **await payments.measure(home / "files", asked.households, asked.say)}


PARTS: Mapping[str, Callable[[Asked], Awaitable[results.Figures]]] = {
    "baseline": measure_baseline,
    "floor": measure_floor,
    "pipeline": measure_pipeline,
    "latency": measure_latency,
    "growth": measure_growth,
    "eligibility": measure_eligibility,
    "notifications": measure_notifications,
    "shocks": measure_shocks,
    "payments": measure_payments,
}


async def _child(name: str, households: int, say: Callable[[str], None]) -> results.Figures:
    """Run a part that is a program of its own; its last line is one JSON object."""
    command = (sys.executable, "-m", f"benchmarks.{name}.run", "--households", str(households), "--json")
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    last = ""
    try:
        async for line in child.stdout:
            last = line.decode().strip() or last
        code = await child.wait()
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGINT)
            await child.wait()
    try:
        found = answer(last, code)
    except (ValueError, KeyError, TypeError) as error:
        remedy = f"See why with: {' '.join(('python', *command[1:-1]))}"
        raise StackError(f"The {name} gave no figures (exit code {code}).", remedy) from error
    say(f"{found['households']:,} households, {found[SPEED]:,.0f}/s")
    return {f"{name}_{key}": value for key, value in found.items()}


def answer(line: str, code: int) -> dict[str, object]:
    """A program's figures, with the CPU time of one household where it says that of its processes.

    Raises `ValueError`, `KeyError` or `TypeError` where it ended otherwise than well, or said something else.
    """
    if code != 0:
        raise ValueError(code)
    found: dict[str, object] = json.loads(line)
    households = int(str(found["households"]))
    used = found.get("cpu_s_by_process")
    spent = {CPU: round(whole(used) / households * 1e6, 1)} if isinstance(used, dict) else {}
    return {**found, SPEED: float(str(found[SPEED])), **spent}


def ratios(parts: dict[str, results.Figures]) -> None:
    """Set the pipeline against what was measured beside it in the same call, in speed and in CPU time."""
    if "pipeline" not in parts:
        return
    ours = parts["pipeline"]
    for name in {"floor", "baseline"} & parts.keys():
        theirs = parts[name]
        found = {f"{name}_ratio": results.ratio(ours[SPEED], theirs[f"{name}_{SPEED}"])}
        if f"{name}_{CPU}" in theirs:
            found[f"{name}_cpu_ratio"] = results.ratio(theirs[f"{name}_{CPU}"], ours[CPU])
        parts[name] = {**theirs, **found}


async def measure(names: Sequence[str], asked: Asked) -> tuple[dict[str, results.Figures], list[str]]:
    """The figures of each part, and what kept others from having some."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    parts: dict[str, results.Figures] = {}
    troubles = []
    for name in names:
        asked.say(f"== {name}")
        try:
            parts[name] = await PARTS[name](asked)
        except StackError as error:
            troubles.append(f"{name}: {error.message} {error.remedy}")
            asked.say(troubles[-1])
    ratios(parts)
    return parts, troubles


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code is 1 where a part could not be measured; a target that is not met is no error."""
    options = _options(arguments)
    began = time.monotonic()
    console = Console(stderr=options.json, highlight=False)
    if not console.is_terminal:
        console.width = WIDTH

    def say(text: str) -> None:
        console.print(f"{time.monotonic() - began:7.1f} s  {text}", markup=False, soft_wrap=True)

    load = pipeline.busy()
    if load > QUIET:
        say(f"other work is going on here (load {load:.1f}): read CPU figures, not speeds")
    asked = Asked(options.households, options.sizes, options.backlog, options.home, say)
    try:
        parts, troubles = asyncio.run(measure(options.only, asked))
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("Interrupted; what had started is stopped again, and no figure is kept.")
        return 130
    parts = {name: {**each, f"{name}_load": round(load, 2)} for name, each in parts.items()}
    if parts:
        _keep(options.results, options.picture, parts)
        results.show(console, parts)
    for trouble in troubles:
        console.print(f"not measured - {trouble}", markup=False, soft_wrap=True)
    if options.json:
        figures = {name: value for each in parts.values() for name, value in each.items()}
        print(json.dumps({**results.flat(figures), "not_measured": troubles}))
    return 1 if troubles else 0


def _keep(latest: Path, image: Path, parts: Mapping[str, results.Figures]) -> None:
    date = datetime.now(UTC).isoformat(timespec="seconds")
    merged = results.merge(results.read(latest), parts, results.commit(), date)
    results.write(latest, merged)
    image.write_text(picture.draw(merged))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only",
        type=_parts,
        default=USUAL,
        metavar="PART,…",
        help=f"some of {', '.join(PARTS)}; without it {', '.join(USUAL)}",
    )
    parser.add_argument(
        "--households", type=_count, default=100_000, help="rows of the file (default: %(default)s)"
    )
    parser.add_argument(
        "--sizes", type=_sizes, default=growth.SIZES, metavar="N,…", help="households of each run of `growth`"
    )
    parser.add_argument(
        "--backlog",
        type=_count,
        default=growth.BACKLOG,
        help="messages that pile up in `growth` (default: %(default)s)",
    )
    parser.add_argument(
        "--home",
        type=Path,
        help="an empty folder for the stack's data, kept afterwards; a temporary one under .tonle without it",
    )
    parser.add_argument(
        "--results", type=Path, default=results.LATEST, help="the file that figures are merged into"
    )
    parser.add_argument("--picture", type=Path, default=PICTURE, help="the SVG that is drawn of them")
    parser.add_argument(
        "--json",
        action="store_true",
        help="the figures as one JSON object on standard output, all else on standard error",
    )
    return parser.parse_args(arguments)


def _parts(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if unknown := set(names) - set(PARTS):
        raise argparse.ArgumentTypeError(
            f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}"
        )
    return names or USUAL


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(map(_count, text.replace(" ", ",").split(",")))


def _count(text: str) -> int:
    number = text.strip().replace("_", "")
    if not number.isdecimal() or int(number) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of households or messages, such as 100_000")
    return int(number)


if __name__ == "__main__":
    sys.exit(main())
