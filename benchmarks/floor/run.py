"""Runs the bare prototype on a fresh stack with the real gateway, and counts.

Time runs from the start of reading the file to the last SMS in the gateway's own record.
"""

import argparse
import asyncio
import csv
import json
import signal
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from benchmarks.floor.wire import REFERENCE_DATE
from benchmarks.pipeline import scratch
from benchmarks.watch import Look, Watch, used_cpu_s
from contracts import topics
from tonle import generate
from tonle.sample import Shares
from tonle.stack.errors import StackError
from tonle.stack.programs import Program, programs
from tonle.stack.supervisor import Stack, StackSettings

LOOK_S = 1.0
STILL_LOOKS_MAX = 30
HOUSEHOLDS = 20_000


def say(text: str) -> None:
    """A plain line of progress."""
    print(text, file=sys.stderr, flush=True)


def bare_programs(package: str) -> list[Program]:
    """The gateway, and `package`'s processes with the settings of the services whose names they have.

    Such a process is ready once it listens on the port it is given.
    """
    return [
        replace(each, command=(*each.command[:2], f"{package}.{each.name}"), ready_path=None)
        if each.kind == "service"
        else each
        for each in programs()
        if not each.name.startswith("partner-")
    ]


def expected(file: Path) -> dict[str, int]:
    """How many events of each topic a file must lead to; a partner's records hold many each."""
    households = paid = told = 0
    with file.open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            households += 1
            expired = "" < row["card_expires_on"] < REFERENCE_DATE
            if row["level"] in ("poor_1", "poor_2") and not expired:
                paid += 1
                told += bool(row["phone"]) and row["contact"] != "none"
    return {
        topics.HOUSEHOLD_REGISTERED.name: households,
        topics.ELIGIBILITY_SCORED.name: households,
        topics.PAYMENT_ISSUED.name: paid,
        topics.SMS_SENT.name: told,
    }


async def measure(
    home: Path, households: int, package: str, *, afterwards: Callable[[Stack], Awaitable[None]] | None = None
) -> dict[str, object]:
    """One run of `package`'s processes. Raises `StackError` when one household is lost or told twice.

    `afterwards` may look at the stack once all is told.
    """
    file = home / "households.csv"
    generate.write(file, households=households, seed=1, shares=Shares(bad=0, duplicate=0))
    wanted = expected(file)
    stack = Stack(StackSettings(data_dir=home), services=bare_programs(package))
    async with stack, Watch(stack.state) as watch:
        say(f"{package}: the processes run in {home}")
        looks = [await watch.look()]
        began = time.time()
        _, registration = await asyncio.open_connection(
            "127.0.0.1", stack.state.services["registration"].port
        )
        registration.write(f"{file}\n".encode())
        await follow(watch, wanted, looks)
        registration.close()
        if died := [name for name, part in stack.state.parts().items() if part.restarts]:
            raise StackError(f"{', '.join(died)} died during the run.", "Its figures say nothing.")
        sms, ended = inbox(home, wanted[topics.SMS_SENT.name])
        if afterwards is not None:
            await afterwards(stack)
    return {
        "households": households,
        "households_per_second": round(households / (ended - began), 1),
        "elapsed_s": round(ended - began, 2),
        "sms": sms,
        "cpu_s_by_process": {name: round(used, 2) for name, used in used_cpu_s(looks).items()},
    }


async def follow(watch: Watch, wanted: Mapping[str, int], looks: list[Look]) -> None:
    """Look every second until every topic holds what it must. Raises `StackError` when nothing moves."""
    still = 0
    while (found := {topic: looks[-1].messages[topic] for topic in wanted}) != wanted:
        if still > STILL_LOOKS_MAX:
            raise StackError(f"It stands still at {found}; {wanted} are wanted.", "A process may be stuck.")
        await asyncio.sleep(LOOK_S)
        looks.append(await watch.look())
        still = still + 1 if looks[-1].messages == looks[-2].messages else 0
        say(f"{looks[-1].seconds:6.1f} s  " + "  ".join(f"{n} {topic}" for topic, n in found.items()))


def inbox(home: Path, wanted: int) -> tuple[int, float]:
    """How many SMS the gateway recorded, and when the last came (seconds since 1970).

    Raises `StackError` where they are not as many as wanted, each once.
    """
    with closing(sqlite3.connect(home / "gateway.sqlite")) as db:
        count, copies, last = db.execute("select count(*), sum(copies), max(received_at) from sms").fetchone()
    if not count == copies == wanted:
        raise StackError(
            f"The gateway got {copies} copies of {count} SMS, {wanted} are due.", "See the logs."
        )
    return count, datetime.fromisoformat(last).timestamp()


def main(
    arguments: Sequence[str] | None,
    households: int,
    measured: Callable[[Path, int], Awaitable[dict[str, object]]],
) -> int:
    """The command line of floor and baseline alike: progress on standard error, JSON as the last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--households", type=int, default=households)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    asked = parser.parse_args(arguments)

    async def run(home: Path) -> dict[str, object]:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await measured(home, asked.households)

    try:
        with scratch() as home:
            found = asyncio.run(run(home))
    except StackError as error:
        say(str(error))
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("interrupted; what had started is stopped again")
        return 130
    print(json.dumps(found) if asked.json else "\n".join(f"{name}: {value}" for name, value in found.items()))
    return 0


async def _floor(home: Path, households: int) -> dict[str, object]:
    return await measure(home, households, "benchmarks.floor")


if __name__ == "__main__":
    sys.exit(main(None, HOUSEHOLDS, _floor))
