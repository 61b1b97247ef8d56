"""Processes of the counting service are killed and stopped at random; nothing is lost, nothing done twice."""

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from aiokafka import ConsumerRecord

from tests.faults import counting
from tests.integration.postbox.conftest import Scene, scene
from tests.waiting import until

__all__ = ["scene"]  # the fixture of the counting service

MESSAGES_LEAST = 2_000
MESSAGES_MOST = 60_000
KILLS = 8
KEYS = 60
PROCESSES = 3
SEED = 20260601


class Processes:
    """Processes of the service; one that was killed is started again."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        self._environment = os.environ | {
            "TONLE_KAFKA": scene.settings.kafka,
            "TONLE_KAFKA_USER": scene.settings.kafka_user or "",
            "TONLE_KAFKA_PASSWORD_FILE": str(scene.settings.kafka_password_file),
            "TONLE_DATABASE": scene.settings.database,
            "TONLE_DATA_DIR": str(folder),
            "TONLE_TOPIC_PREFIX": scene.settings.topic_prefix,
            "TONLE_SESSION_TIMEOUT_MS": "6000",
            "TONLE_RELAY_OLDER_THAN_S": "0.5",
            "TONLE_BATCH_RECORDS": "200",
        }
        self._log = folder / "counting.log"
        self._running: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        with self._log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", counting.__name__, env=self._environment, stderr=log, stdout=log
            )
        self._running.append(process)

    async def kill(self, which: random.Random) -> None:
        process = self._running.pop(which.randrange(len(self._running)))
        process.kill()
        await process.wait()
        await self.start()

    async def freeze(self, which: random.Random, seconds: float) -> None:
        """SIGSTOP past the session time-out, then on: a zombie that believes it owns its partitions."""
        process = which.choice(self._running)
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)

    async def end(self) -> None:
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            await process.wait()


@asynccontextmanager
async def processes(scene: Scene, folder: Path) -> AsyncIterator[Processes]:
    """`PROCESSES` of the service, ended whatever happens."""
    some = Processes(scene, folder)
    try:
        for _ in range(PROCESSES):
            await some.start()
        yield some
    finally:
        await some.end()


async def disturb(some: Processes, which: random.Random) -> None:
    """A zombie first, while others take its work over; then kills in quick succession."""
    await some.freeze(which, which.uniform(7.0, 9.0))
    for _ in range(KILLS):
        await asyncio.sleep(which.uniform(0.2, 1.2))
        await some.kill(which)


async def feed_while(scene: Scene, trouble: "asyncio.Task[None]") -> int:
    """Numbers, as long as there is trouble; returns how many."""
    for number in range(MESSAGES_MOST):
        await scene.add(number, key=f"k{number % KEYS}")
        if trouble.done() and number > MESSAGES_LEAST:
            return number + 1
    return MESSAGES_MOST


async def test_killed_and_frozen_processes_lose_nothing_and_do_nothing_twice(
    scene: Scene, tmp_path: Path
) -> None:
    async with processes(scene, tmp_path) as some:
        trouble = asyncio.create_task(disturb(some, random.Random(SEED)))
        sent = await feed_while(scene, trouble)
        await trouble
        await until(scene.all_done)
    effects = Counter(await scene.effects())
    assert [number for number in range(sent) if effects[number] != 1] == []
    records = await scene.on(counting.COUNTED)
    assert {int(record.value) for record in records} == set(range(sent))
    assert out_of_order(records) == []


def out_of_order(records: Sequence[ConsumerRecord]) -> list[str]:
    """Keys whose first copies don't carry rising sequences (a zombie's later copies are known by id)."""
    seen: set[bytes] = set()
    last: dict[bytes, int] = {}
    wrong = []
    for record in records:
        if record.value in seen:
            continue
        seen.add(record.value)
        sequence = int(dict(record.headers)["sequence"])
        if sequence <= last.get(record.key, 0):
            wrong.append(f"{record.key} {sequence}")
        last[record.key] = sequence
    return wrong
