"""The whole pipeline on a fresh stack: a file is uploaded, and everyone it names is scored, paid and told."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import counting
from benchmarks.watch import Look, Watch, progress, rss_mb_growth, rss_mb_most, used_cpu_s, whole
from tonle import generate
from tonle.demo_acts import Acts, Terms
from tonle.hops import at_rest
from tonle.monitor import Monitor
from tonle.stack.errors import StackError
from tonle.stack.programs import Program, programs
from tonle.stack.state import StackState
from tonle.stack.supervisor import Stack, StackSettings
from tonle.stack.topics import SERVICES

FOLDER = Path(".tonle")
SEED = 1
PLAIN = {
    "notifications": {"TONLE_SMS_STEPS": "payment-ready"},
    "partner-": {"TONLE_PARTNER_BEHAVIOUR": '{"fail": 0}'},
}
"""What programs whose names begin so are told."""
LOOK_S = 1.0
SAY_EVERY_S = 3.0
STILL_S = 2.0
STILL_S_MAX = 120.0
RIEL_PER_HOUSEHOLD = 1_000_000
SPARE_HOUSEHOLDS = 10_000
"""The envelope has room for so many more than the file has, so that nobody waits for money."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Ground:
    """A running stack with an approved cycle, and those who act and look."""

    running: Stack
    acts: Acts
    monitor: Monitor
    watch: Watch
    say: Say

    @property
    def stack(self) -> StackState:
        """What runs where."""
        return self.running.state


@dataclass(frozen=True)
class Run:
    """One upload: `households` rows, `seconds` from its start to the last SMS; what was seen meanwhile."""

    households: int
    seconds: float
    sms: int
    looks: Sequence[Look]

    @property
    def households_per_second(self) -> float:
        return self.households / self.seconds

    @property
    def cpu_s(self) -> Mapping[str, float]:
        """CPU seconds by process until all was at rest, reports of the partner included."""
        return used_cpu_s(self.looks)

    @property
    def cpu_us_per_household(self) -> float:
        """Microseconds of CPU for one household, everything on this machine but the benchmark itself."""
        return whole(self.cpu_s) / self.households * 1e6

    def figures(self) -> dict[str, object]:
        """What is kept of it."""
        services = [name for name in self.cpu_s if name.partition("-")[0] in SERVICES]
        growth = {name: rss_mb_growth(self.looks, name) for name in services}
        most = {name: rss_mb_most(self.looks, name) for name in services}
        return {
            "households": self.households,
            "households_per_second": round(self.households_per_second, 1),
            "elapsed_s": round(self.seconds, 2),
            "sms": self.sms,
            "cpu_us_per_household": round(self.cpu_us_per_household, 1),
            "cpu_s_by_process": {name: round(used, 2) for name, used in self.cpu_s.items()},
            "rss_mb_max": round(max(most.values()), 1),
            "rss_mb": {name: round(each, 1) for name, each in most.items()},
            "rss_mb_growth": round(max(growth.values()), 1),
            "rss_mb_grown": {name: round(each, 1) for name, each in growth.items()},
        }


@contextmanager
def scratch(keep: Path | None = None) -> Iterator[Path]:
    """A data folder on the disk of this checkout, where `tonle up` has its own; removed afterwards.

    It stays where a run fails, for its logs; a folder that is given stays in any case, and must be empty.
    """
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise StackError(f"{keep} is not empty.", "Name a folder that is, or none.")
    FOLDER.mkdir(exist_ok=True)
    home = keep or Path(tempfile.mkdtemp(prefix="bench-", dir=FOLDER.absolute()))
    stays = keep is not None
    try:
        yield home.absolute()
    except Exception as error:
        stays = True
        if isinstance(error, StackError):
            raise StackError(error.message, f"{error.remedy} Logs are in {home / 'logs'}.".strip()) from error
        raise
    finally:
        if not stays:
            _remove(home)


def _remove(home: Path) -> None:
    database = home / "postgres"
    if database.is_symlink():  # where PostgreSQL had to live elsewhere, its data goes with the folder
        shutil.rmtree(database.resolve().parent, ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)


@asynccontextmanager
async def opened(
    home: Path, households: int, say: Say, processes: Mapping[str, int] | None = None
) -> AsyncIterator[Ground]:
    """A fresh stack with default settings, its people let in, a cycle approved that can pay `households`.

    `processes` says how many of a service there shall be; one where it says nothing.
    """
    stack = Stack(StackSettings(data_dir=home), services=manned(processes or {}))
    async with stack, Acts(stack.state) as acts, Monitor(stack.state) as monitor, Watch(stack.state) as watch:
        await acts.let_in()
        terms = Terms((households + SPARE_HOUSEHOLDS) * RIEL_PER_HOUSEHOLD)
        await acts.prepare(await acts.programme(), terms)
        await acts.approve()
        await monitor.until_cycles_are_known()
        say(f"stack with an approved cycle in {home}")
        yield Ground(stack, acts, monitor, watch, say)
        _check_restarts(stack.state)


def manned(processes: Mapping[str, int]) -> tuple[Program, ...]:
    """The stack's programs, services as often as asked: the second of `payments` is `payments-2`.

    One SMS a payment is told, that it is ready, as floor and baseline do; so partners fail none.
    """
    return tuple(
        replace(_plain(program), name=program.name if number == 1 else f"{program.name}-{number}")
        for program in programs()
        for number in range(1, processes.get(program.name, 1) + 1)
    )


def _plain(program: Program) -> Program:
    own = next((each for kind, each in PLAIN.items() if program.name.startswith(kind)), None)
    if own is None:
        return program
    return replace(program, environment=lambda place: {**program.environment(place), **own})


async def flow(ground: Ground, households: int, seed: int = SEED) -> Run:
    """Upload a file and follow it until all is at rest. Raises `StackError` when something does not move."""
    sent_before = (await ground.monitor.counted()).notifications["sent"]
    file = await written(ground, households, seed)
    looks = [await ground.watch.look()]
    began = time.time()
    await ground.acts.upload(file)
    await follow(ground, looks)
    sent = (await ground.monitor.counted()).notifications["sent"] - sent_before
    if not sent:
        raise StackError("No SMS was sent.", "Ask for more households: some have no telephone.")
    return Run(households, await counting.last_sms_at(ground.stack) - began, sent, looks)


async def written(ground: Ground, households: int, seed: int = SEED) -> Path:
    """A CSV file of sample households; about 1 row in 150 is bad, as in the demo."""
    file = ground.stack.data_dir / f"households-{seed}.csv"
    await asyncio.to_thread(generate.write, file, households=households, seed=seed)
    return file


async def verify(ground: Ground) -> None:
    """Everybody was paid and told, once. Raises `StackError` with what is not so."""
    counted = await counting.count(ground.stack)
    if found := counting.flaws(counted):
        raise StackError(
            f"The run does not count: {'; '.join(found)}.", "Nothing is measured before it does."
        )
    ground.say(
        f"counted: {counted.rows:,} rows, {len(counted.eligible):,} eligible, {len(counted.payments):,} "
        f"payments, {counted.told:,} SMS at the gateway; none lost, none doubled"
    )


async def follow(ground: Ground, looks: list[Look]) -> None:
    """Look every second, after those there are, until nothing is on its way any more.

    The last look is the last at which something moved. Raises `StackError` when something does not move.
    """
    spoken = moved = looks[-1]
    while True:
        await asyncio.sleep(LOOK_S)
        _check_restarts(ground.stack)
        looks.append(await ground.watch.look())
        now = looks[-1]
        if now.seconds - spoken.seconds >= SAY_EVERY_S:
            ground.say(f"{now.seconds - looks[0].seconds:6.0f} s  {progress(looks, spoken)}")
            spoken = now
        if now.messages != looks[-2].messages:
            moved = now
            continue
        # Asking the services makes them count their tables, so they are asked only once all is still.
        if now.seconds - moved.seconds >= STILL_S and at_rest(await ground.monitor.counted()):
            del looks[looks.index(moved) + 1 :]
            return
        if now.seconds - moved.seconds > STILL_S_MAX:
            raise StackError(f"Nothing has moved for {STILL_S_MAX:.0f} s.", "A service may be stuck.")


def _check_restarts(stack: StackState) -> None:
    died = [name for name, part in stack.parts().items() if part.restarts]
    if died:
        raise StackError(f"{', '.join(died)} died during the run, so its figures say nothing.", "")


def busy() -> float:
    """How many processes were running or waiting for a core over the last minute."""
    return os.getloadavg()[0]
