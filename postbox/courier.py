"""What was committed is published beside the next transaction, in the order of the commits."""

import asyncio
import logging
from collections.abc import Iterable, Sequence

from postbox.outbox import Publisher, Written, message_count
from postbox.packing import Parcel
from postbox.telemetry import Metrics

log = logging.getLogger(__name__)

MESSAGES_MOST = 10_000
DRAIN_S_MOST = 10.0


class Courier:
    """Publishes for one process: what is brought while it is on its way goes out next, all in one go.

    One publication at a time: nothing overtakes what was committed before it. A crash, a stop or a rebalance
    while something is on its way is the old gap between commit and publication: its rows are in the outbox,
    unmarked, and who works on their lanes next waits for our locks, then sends what we did not mark.
    """

    def __init__(self, publisher: Publisher, metrics: Metrics) -> None:
        self._publisher = publisher
        self._metrics = metrics
        self._lanes: set[str] = set()
        self._written: dict[int, Sequence[Parcel]] = {}
        self._messages = 0
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def take(self, lanes: Iterable[str], written: Written | None = None) -> None:
        """Publish lanes soon; `written` is what of it the caller wrote and committed itself."""
        self._lanes.update(lanes)
        self._written.update(written or {})
        self._messages += message_count(written or {})
        if self._task is None:
            self._task = asyncio.create_task(self._carry(), name="courier")

    async def bring(self, lane: str, written: Written) -> None:
        """Take what the caller committed to a lane, and wait until there is room for more."""
        self.take([lane], written)
        await self.until_room()

    async def until_room(self) -> None:
        """Wait while more than `MESSAGES_MOST` messages that were taken are not on the broker."""
        while self._messages > MESSAGES_MOST:
            self._room.clear()
            await self._room.wait()

    async def close(self) -> None:
        """Publish what was taken; what the broker does not accept in time is left to the relay."""
        if self._task is None:
            return
        _, late = await asyncio.wait({self._task}, timeout=DRAIN_S_MOST)
        for task in late:
            task.cancel()
            log.warning("what was committed last is not published; the relay will publish it")

    async def _carry(self) -> None:
        while self._lanes:
            lanes, written = sorted(self._lanes), self._written
            self._lanes, self._written = set(), {}
            try:
                self._metrics.published.inc(await self._publisher.publish(*lanes, written=written))
            except Exception as error:
                log.warning("publishing failed; the relay will publish it", exc_info=error)
            self._messages -= message_count(written)
            self._room.set()
        self._task = None
