"""Keeps one process running: starts it, waits until it is ready, starts it again when it dies."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tonle.stack.errors import StackError
from tonle.stack.process import Child, tail
from tonle.stack.state import Part

log = logging.getLogger(__name__)

BACKOFF_S_MIN = 0.2
BACKOFF_S_MAX = 10.0
HEALTHY_S = 60.0  # after this long, a death counts as the first again


@dataclass(frozen=True)
class Recipe:
    """How one process is started, found ready, and how long it may take to stop."""

    spawn: Callable[[], Awaitable[Child]]
    ready: Callable[[Callable[[], bool]], Awaitable[None]]
    stop_s_max: float


class Keeper:
    """One supervised process; every change is written to its `Part` and then said by `changed`."""

    def __init__(self, name: str, part: Part, recipe: Recipe, changed: Callable[[], None]) -> None:
        self.name = name
        self.part = part
        self._recipe = recipe
        self._changed = changed
        self._child: Child | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start and wait until ready. Raises `StackError` with the end of the log when it fails."""
        try:
            await self._launch()
        except StackError as error:
            await self.stop()
            lines = tail(self.part.log)
            raise StackError(
                f"{self.name} did not start. {error.message}",
                f"Its log {self.part.log} ends with:\n{lines}" if lines else error.remedy,
            ) from error
        self._watcher = asyncio.create_task(self._watch(), name=f"keep {self.name}")

    async def stop(self) -> None:
        """Stop for good, whatever it is doing now."""
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
            self._watcher = None
        if self._child is not None:
            await self._child.stop(self._recipe.stop_s_max)
        self._set(state="stopped", pid=None, started=None)

    async def _launch(self) -> None:
        self._set(state="restarting" if self.part.restarts else "starting", pid=None)
        child = self._child = await self._recipe.spawn()
        identity = child.identity
        self._set(pid=identity.pid, started=identity.started, command=identity.command)
        await self._recipe.ready(child.exited)
        self._set(state="running")

    async def _watch(self) -> None:
        deaths = 0
        while True:
            began = time.monotonic()
            await self._wait_for_death()
            deaths = 1 if time.monotonic() - began > HEALTHY_S else deaths + 1
            words, restarts = self._last_words(), self.part.restarts + 1
            pause_s = min(BACKOFF_S_MAX, BACKOFF_S_MIN * 2 ** (deaths - 1))
            log.warning("%s %s; restart %d in %.1f s", self.name, words, restarts, pause_s)
            self._set(state="restarting", pid=None, restarts=restarts, last_error=words)
            await asyncio.sleep(pause_s)
            try:
                await self._launch()
            except StackError as error:
                self._set(last_error=error.message)
                if self._child is not None and not self._child.exited():
                    await self._child.stop(self._recipe.stop_s_max)

    async def _wait_for_death(self) -> None:
        if self._child is not None:
            await self._child.process.wait()

    def _last_words(self) -> str:
        code = self._child.process.returncode if self._child else None
        how = f"ended by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
        if "No space left on device" in tail(self.part.log):
            how += ": no space left on the disk"
        return how

    def _set(self, **changes: object) -> None:
        for field, value in changes.items():
            setattr(self.part, field, value)
        self._changed()
