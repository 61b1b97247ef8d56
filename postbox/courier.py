"""What batches committed is published beside the next batch's transaction, in the order of their commits."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

from postbox.message import Outgoing
from postbox.outbox import Written

log = logging.getLogger(__name__)

BATCHES_MOST = 3
DRAIN_S_MOST = 10.0


class Courier:
    """Publishes for one loop: what is handed over while it is on its way goes out next, all in one go.

    One publication at a time: nothing overtakes what was committed before it. A crash, a stop or a rebalance
    while something is on its way is the old gap between commit and publication: its rows are in the outbox,
    unmarked, and who works on their lanes next waits for our locks, then sends what we did not mark.
    """

    def __init__(self, publish: Callable[[Sequence[str], Written], Awaitable[None]]) -> None:
        """`publish` sends lanes in their order; it leaves what fails to the relay, and does not raise."""
        self._publish = publish
        self._room = asyncio.Semaphore(BATCHES_MOST)
        self._lanes: set[str] = set()
        self._written: dict[int, Sequence[Outgoing]] = {}
        self._batches = 0
        self._task: asyncio.Task[None] | None = None

    async def hand_over(self, lanes: Iterable[str], written: Written) -> None:
        """Let a committed batch be published; waits while `BATCHES_MOST` before it are not."""
        await self._room.acquire()
        self._lanes.update(lanes)
        self._written.update(written)
        self._batches += 1
        if self._task is None:
            self._task = asyncio.create_task(self._carry(), name="courier")

    async def close(self) -> None:
        """Publish what was handed over; what the broker does not take in time is left to the relay."""
        if self._task is None:
            return
        _, late = await asyncio.wait({self._task}, timeout=DRAIN_S_MOST)
        for task in late:
            task.cancel()
            log.warning("what was committed last is not published; the relay will publish it")

    async def _carry(self) -> None:
        while self._batches:
            lanes, written, batches = sorted(self._lanes), self._written, self._batches
            self._lanes, self._written, self._batches = set(), {}, 0
            await self._publish(lanes, written)
            for _ in range(batches):
                self._room.release()
        self._task = None
