"""The operator: does what the runbooks say, by the command line, whenever a service asks for it."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from postbox.errors import DATABASE_AWAY
from tests.faults.plan import LISTENING
from tests.faults.world import READY_S_MAX, World

LOOKS_EVERY_S = 3.0
RECOVERED_S = 600.0
_STOPPED = "select exists (select from position where stopped is not null)"


class Operator:
    """Of one world: recovers when told to, and by itself where a partition is stopped."""

    def __init__(self, world: World, say: Callable[[str], None]) -> None:
        self._world = world
        self._say = say
        self._busy = asyncio.Lock()

    async def run(self) -> None:
        """Look every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(LOOKS_EVERY_S)
            if not self._busy.locked() and await self._any_stopped():
                self._say(f"a partition is stopped: {await self.recover(RECOVERED_S)}")

    async def recover(self, seconds: float) -> str:
        """`tonle recover`, typed again until every service has done it."""
        async with self._busy, asyncio.timeout(READY_S_MAX):
            while (answers := await self._typed(seconds)) is None:
                await asyncio.sleep(1)
        published = sum(each["published_again"] for each in answers)
        rewound = sum(each["rewound_partitions"] for each in answers)
        return f"tonle recover published {published} messages again, rewound {rewound} partitions"

    async def _typed(self, seconds: float) -> list[dict[str, int]] | None:
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("tonle"),
            "recover",
            "--json",
            f"--since-minutes={seconds / 60:.2f}",
            env={**os.environ, "TONLE_HOME": str(self._world.plan.home)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        if process.returncode:
            self._say(f"tonle recover failed: {' '.join(err.decode().split())}")
            return None
        return json.loads(out)  # type: ignore[no-any-return]

    async def _any_stopped(self) -> bool:
        with suppress(*DATABASE_AWAY):
            for service in LISTENING:
                db = await self._world.connect(service)
                try:
                    if await db.fetchval(_STOPPED):
                        return True
                finally:
                    await db.close()
        return False
