"""What is done to the stack: one function per kind of disturbance. Each returns what it did, in words."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

import asyncpg

from contracts import topics
from postbox.outbox import backlog
from tests.faults import cutting
from tests.faults.cutting import Lost
from tests.faults.operating import Operator
from tests.faults.plan import LISTENING, Kind, Step
from tests.faults.world import World
from tonle.stack.topics import PARTNERS

LOOKED_FOR_S = 8.0
FED_EVERY_S = 0.5
CUT_MOST = 4
ON_DISK_AFTER_S = 30.0
RECOVERED_BEFORE_S = 60.0  # `tonle recover` asks for a little before the broker failed
BUSINESS = (
    *topics.TOPICS,
    *(
        topic(partner)
        for partner in PARTNERS
        for topic in (topics.partner_instruction, topics.partner_report)
    ),
)
_IN_TRANSACTION = """
select pid, xact_start from pg_stat_activity where datname = $1 and application_name = 'loop'
    and xact_start is not null and state = any($2) order by pid
"""
_COMMITTED = "select min(id) from outbox where published_at is null"
Do = Callable[["Disturber", Step], Awaitable[str]]


class Disturber:
    """Disturbs one world; `lost` is what was cut from the broker's log, cut by cut, `killed` counts."""

    def __init__(self, world: World, operator: Operator, feed: Callable[[], None]) -> None:
        """`feed` brings a little more work, for a moment that comes only while there is some."""
        self.world = world
        self.operator = operator
        self._feed = feed
        self.cuts: list[list[Lost]] = []
        self.killed = 0
        self.caught = 0
        self._random = Random(f"disturber/{world.plan.seed}")

    async def do(self, step: Step) -> str:
        """One step of the schedule; a service that was killed may still be coming back after it."""
        said = await _DO[step.kind](self, step)
        if step.kind != "kill":
            await self.world.until_running()
        return said

    def kill(self, part: str) -> bool:
        """SIGKILL a part of the stack, where it runs."""
        pid = self.world.pid(part)
        if pid is not None:
            self.world.signal(pid, signal.SIGKILL)
            self.killed += 1
        return pid is not None

    async def cut(self) -> str:
        """With the broker dead: cut some partitions of business topics short."""
        folder = self.world.plan.home / "kafka" / "log"
        since = time.time() - ON_DISK_AFTER_S
        places = cutting.partitions(folder, [topic.name for topic in BUSINESS], since)
        chosen = self._random.sample(places, min(len(places), self._random.randint(2, CUT_MOST)))
        lost = [cutting.cut(folder, *place, since, self._random) for place in chosen]
        self.cuts += [each for each in lost if each]
        said = [f"{each[0].topic}/{each[0].partition} lost {len(each)}" for each in lost if each]
        return ", ".join(said) or "nothing was young enough to be lost"

    async def frozen_when(self, service: str, holds: Callable[[], Awaitable[object]]) -> int | None:
        """Stop a service's supervised process at a moment when something holds, and goes on holding."""
        until, fed = time.monotonic() + LOOKED_FOR_S, 0.0
        while time.monotonic() < until:
            if time.monotonic() - fed > FED_EVERY_S:
                fed = time.monotonic()
                self._feed()
            pid = self.world.pid(service)
            if pid is None or not await holds():
                await asyncio.sleep(0.002)
                continue
            self.world.signal(pid, signal.SIGSTOP)
            before = await holds()
            await asyncio.sleep(0.2)
            if before and await holds() == before:
                self.caught += 1
                return pid
            self.world.signal(pid, signal.SIGCONT)
        return None


async def _kill(by: Disturber, step: Step) -> str:
    return "" if by.kill(step.service) else "it was not running"


async def _freeze(by: Disturber, step: Step) -> str:
    pid = by.world.pid(step.service)
    if pid is None:
        return "it was not running"
    by.world.signal(pid, signal.SIGSTOP)
    return await _frozen(by, pid, step)


async def _freeze_in_transaction(by: Disturber, step: Step) -> str:
    await _with_successor(by, step.service)
    db = await by.world.connect(step.service)

    async def inside() -> object:
        with suppress(asyncpg.PostgresError, OSError):
            return await db.fetch(_IN_TRANSACTION, step.service, ["active", "idle in transaction"])
        return None

    return await _frozen_at(by, step, db, inside)


async def _freeze_before_publishing(by: Disturber, step: Step) -> str:
    await _with_successor(by, step.service)
    db = await by.world.connect(step.service)

    async def committed() -> object:
        with suppress(asyncpg.PostgresError, OSError):
            return await db.fetchval(_COMMITTED)
        return None

    return await _frozen_at(by, step, db, committed)


async def _frozen_at(
    by: Disturber, step: Step, db: asyncpg.Connection, holds: Callable[[], Awaitable[object]]
) -> str:
    try:
        pid = await by.frozen_when(step.service, holds)
    finally:
        await db.close(timeout=5)
    return await _frozen(by, pid, step) if pid is not None else "the moment did not come"


async def _frozen(by: Disturber, pid: int, step: Step) -> str:
    try:
        await asyncio.sleep(step.seconds)
    finally:
        by.world.signal(pid, signal.SIGCONT)
    return "it goes on"


async def _with_successor(by: Disturber, service: str) -> None:
    # Somebody must be there to take the zombie's partitions over.
    if service in LISTENING and len(by.world.processes(service)) == 1:
        await by.world.scale_up(service)


async def _kill_broker(by: Disturber, _: Step) -> str:
    return await _kill_server(by, "kafka")


async def _restart_broker(by: Disturber, _: Step) -> str:
    await by.world.keeper("kafka").stop()
    await by.world.keeper("kafka").start()
    return ""


async def _freeze_broker(by: Disturber, step: Step) -> str:
    pid = by.world.pid("kafka")
    if pid is None:
        return "it was not running"
    by.world.signal(pid, signal.SIGSTOP)
    return await _frozen(by, pid, step)


async def _broker_away(by: Disturber, step: Step) -> str:
    await by.world.keeper("kafka").stop()
    await asyncio.sleep(step.seconds)
    db = await by.world.connect("registration")
    waiting = await backlog(db)
    await db.close()
    await by.world.keeper("kafka").start()
    return f"{waiting} messages waited in registration's outbox"


async def _cut_log(by: Disturber, _: Step) -> str:
    broker, failed_at = by.world.keeper("kafka"), time.monotonic()
    by.kill("kafka")
    await broker.stop()
    lost = await by.cut()
    await broker.start()
    await by.world.until_running()
    # The services notice by themselves; an operator who sees it, or knows of the power loss, repairs.
    await asyncio.sleep(2)
    since = time.monotonic() - failed_at + RECOVERED_BEFORE_S
    return f"{lost}; {await by.operator.recover(since)}"


async def _kill_postgres(by: Disturber, _: Step) -> str:
    return await _kill_server(by, "postgres")


async def _kill_server(by: Disturber, part: str) -> str:
    await by.world.until_running(part)
    restarts = by.world.state.parts()[part].restarts
    by.kill(part)
    while by.world.state.parts()[part].restarts == restarts:
        await asyncio.sleep(0.02)
    return ""


async def _restart_postgres(by: Disturber, _: Step) -> str:
    await by.world.keeper("postgres").stop()
    await by.world.keeper("postgres").start()
    return ""


async def _scale_up(by: Disturber, step: Step) -> str:
    await by.world.scale_up(step.service, 3 - len(by.world.processes(step.service)))
    return "three processes now"


async def _scale_down(by: Disturber, step: Step) -> str:
    await by.world.scale_down(step.service)
    return "one process now"


_DO: dict[Kind, Do] = {
    "kill": _kill,
    "freeze": _freeze,
    "freeze in transaction": _freeze_in_transaction,
    "freeze before publishing": _freeze_before_publishing,
    "kill broker": _kill_broker,
    "restart broker": _restart_broker,
    "freeze broker": _freeze_broker,
    "broker away": _broker_away,
    "cut log": _cut_log,
    "kill postgres": _kill_postgres,
    "restart postgres": _restart_postgres,
    "scale up": _scale_up,
    "scale down": _scale_down,
}
