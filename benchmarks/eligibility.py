"""`make bench ONLY=eligibility`: what scoring, the lab and sample households cost, beside the stream."""

import asyncio
import csv
import os
import resource
import shutil
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks import history, results, scoring
from benchmarks.pipeline import FOLDER, Say
from tonle import generate
from tonle.simulation import Simulation
from tonle.stack.errors import StackError
from tonle.stack.postgres import SUPERUSER
from tonle.stack.supervisor import Stack, StackSettings

GENERATED = 100_000
SIMULATED = 700_000
PROPOSED = Path(__file__).parents[1] / "services/eligibility/programmes/covid-19-cash-transfer.yaml"
JUDGED_ON = "2023-06-01"


async def measure(home: Path, say: Say) -> results.Figures:
    """All of it, what takes longest last."""
    found = {**scoring.measure(say), **_generated(home, say)}
    return found | await simulate(home, say)


def _generated(home: Path, say: Say) -> dict[str, object]:
    """Sample households into a CSV file, one process; the floor writes the same cells, made beforehand."""
    file = home / "generated.csv"
    began, busy = time.perf_counter(), time.process_time()
    generate.write(file, households=GENERATED, seed=1)
    took, used = time.perf_counter() - began, time.process_time() - busy
    with file.open(encoding="utf-8", newline="") as made:
        rows = list(csv.reader(made))
    busy = time.process_time()
    with file.open("w", encoding="utf-8", newline="") as copy:
        csv.writer(copy, lineterminator="\n").writerows(rows)
    floor = GENERATED / (time.process_time() - busy)
    file.unlink()
    say(f"generating {GENERATED / used:,.0f} a second and core, {GENERATED / took:,.0f} by the clock")
    return {
        "generate_per_second": round(GENERATED / took),
        "generate_per_second_core": round(GENERATED / used),
        "generate_floor_per_second_core": round(floor),
        "generate_floor_ratio": results.ratio(GENERATED / used, floor),
    }


async def simulate(home: Path, say: Say) -> dict[str, object]:
    """The whole command `tonle simulate --from archive` over a history of `SIMULATED` households.

    `facts_s` of it go from the archive to facts in columns, `judging_s` from there to the report. The archive
    is kept below `.tonle` for the next time: to make it takes minutes.
    """
    past = await asyncio.to_thread(_history, say)
    proposed = home / "proposed.yaml"
    # Poor 1 in the country get more for each member, so that somebody gains.
    proposed.write_text(
        PROPOSED.read_text().replace("riel: 24_000, evidence: memory", "riel: 30_000, evidence: memory")
    )
    async with _keys(home, past, say):
        say(f"simulating {SIMULATED:,} households")
        began, busy = time.monotonic(), _children_cpu_s()
        report = await _command(
            home,
            "simulate",
            str(proposed),
            "--from",
            "archive",
            "--archive",
            str(past / "archive"),
            "--until",
            JUDGED_ON,
            "--json",
        )
        took, used = time.monotonic() - began, _children_cpu_s() - busy
    if report.days[0].households != SIMULATED:
        raise StackError("The lab judged another number of households.", "See `tonle simulate --json`.")
    return {
        "simulate_700k_s": round(took, 2),
        "simulate_700k_cpu_s": round(used, 2),
        "simulate_700k_facts_s": report.seconds["facts"],
        "simulate_700k_judging_s": report.seconds["judging"],
        "simulate_700k_rss_mb_max": report.memory_mb_max,
    }


def _children_cpu_s() -> float:
    """CPU seconds of all processes that this one and its children started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _history(say: Say) -> Path:
    folder = (FOLDER / f"history-{SIMULATED}").absolute()
    if not (folder / "finished").exists():
        say(f"making a history of {SIMULATED:,} households, which is kept in {folder}")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        master_key = folder / "master.key"
        master_key.touch(mode=0o600)
        master_key.write_text(os.urandom(32).hex())
        history.write(folder / "archive", folder, SIMULATED, os.cpu_count() or 1, master_key)
        (folder / "finished").touch()
    return folder


@asynccontextmanager
async def _keys(home: Path, past: Path, say: Say) -> AsyncIterator[None]:
    """Kafka and PostgreSQL, with the history's keys where eligibility keeps its own."""
    secrets = home / "secrets"
    secrets.mkdir(mode=0o700)
    shutil.copy(past / "master.key", secrets / "master.key")
    async with Stack(StackSettings(data_dir=home), services=()) as stack:
        database = stack.state.postgres.dsn[SUPERUSER].rpartition("/")[0] + "/eligibility"
        say("keeping the keys")
        await history.keep_keys(database, past)
        yield


async def _command(home: Path, *words: str) -> Simulation:
    command = (sys.executable, "-c", "from tonle.cli import main; main()", "--data-dir", str(home), *words)
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    answer, _ = await child.communicate()
    if child.returncode != 0:
        raise StackError(f"`tonle {words[0]}` ended with {child.returncode}.", "What it said stands above.")
    return Simulation.model_validate_json(answer)
