"""Running parked messages again: by themselves when what they wait for may have come, or when asked."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg

from postbox import outbox, parking
from postbox.batch import GUARDS, Tools
from postbox.errors import BEHIND, Handling, handling_of, is_transient, reason_of
from postbox.message import Batch, Connection, Event, Outgoing, Subscription
from postbox.parking import Change, Parked
from postbox.reading import read, set_aside

log = logging.getLogger(__name__)

LANE = "replay"
KEYS_MOST = 500
UNUSABLE = "key: missing or malformed"


class StillParked(Exception):
    """What a handler set aside again."""

    def __init__(self, handling: Handling, reason: str) -> None:
        super().__init__(reason)
        self.handling = handling


class NotGivenUp(Exception):
    """A message that waits, for something or behind another, is not dismissed: its turn may still come."""


class Replayer:
    """Runs parked messages through the handlers they came from, in order, one transaction a call."""

    def __init__(self, tools: Tools, pool: asyncpg.Pool) -> None:
        """`pool` is asked what is due; what is found runs on a connection with the loop's own guards."""
        self._tools = tools
        self._pool = pool

    async def run_due(self) -> bool:
        """Try again what waits and is due; True when there may be more."""
        async with self._pool.acquire() as asked:
            keys = await parking.due(asked, KEYS_MOST)
        if not keys:
            return False
        async with self._transaction() as db:
            written = await self._run_keys(db, keys, asked=False)
        self._tools.courier.take([LANE], written)
        return len(keys) == KEYS_MOST

    async def replay(self, parked_id: int) -> bool:
        """Run a parked message again with all that is parked under its key; False if it is not there."""
        async with self._transaction() as db:
            found = await parking.one(db, parked_id)
            if found is None:
                return False
            keys = await self._opened(db, [found]) or ([found.key_text] if found.key_text else [])
            if keys:
                written = await self._run_keys(db, keys, asked=True)
            else:
                _, written = await self._run(db, [found], asked=True)
        self._tools.courier.take([LANE], written)
        return True

    async def dismiss(self, parked_id: int, by: str, why: str) -> bool:
        """Give up a parked message for good, and go on with what waits behind it; False if it is not there.

        Raises `NotGivenUp` for one that may still be handled by itself.
        """
        async with self._transaction() as db:
            found = await parking.one(db, parked_id)
            if found is None:
                return False
            if found.handling != "park":
                raise NotGivenUp
            await parking.dismiss(db, parked_id, by, why)
            keys = [found.key_text] if found.key_text else []
            written = await self._run_keys(db, keys, asked=False)
        self._tools.courier.take([LANE], written)
        return True

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        db = await asyncpg.connect(self._tools.dsn, server_settings=GUARDS, command_timeout=60)
        try:
            async with db.transaction():
                yield db
        finally:
            await db.close(timeout=5)

    async def _run_keys(self, db: Connection, keys: Sequence[str], *, asked: bool) -> outbox.Written:
        # With the holds locked, a live batch of these keys waits, and then sees what became of them.
        await parking.lock_holds(db, keys)
        found = await parking.of_keys(db, keys)
        if opened := await self._opened(db, found):
            return await self._run_keys(db, sorted({*keys, *opened}), asked=asked)
        stuck, written = await self._run(db, found, asked=asked)
        await parking.release(db, set(keys) - stuck)
        return written

    async def _run(
        self, db: Connection, found: Sequence[Parked], *, asked: bool
    ) -> tuple[set[str], outbox.Written]:
        """The keys that are held on, and what goes out."""
        done: list[int] = []
        changes: list[Change] = []
        outgoing: list[Outgoing] = []
        stuck: set[str] = set()
        for parked in found:
            to = self._tools.subscriptions[parked.topic]
            if parked.key_text in stuck or (parked.handling == "park" and not (asked or to.holds)):
                continue
            error = await self._run_one(db, parked, outgoing)
            if error is None:
                done.append(parked.id)
                continue
            change = Change(parked.id, _handling_after(parked, error), reason_of(error))
            changes.append(change)
            if parked.key_text is not None and to.key_is_held(change.handling):
                stuck.add(parked.key_text)
        await parking.remove(db, done)
        await parking.again(db, changes, retry_s=self._tools.limits.retry_s)
        return stuck, await outbox.write(db, LANE, [*outgoing, *self._newly_dead(found, changes)])

    async def _opened(self, db: Connection, found: Sequence[Parked]) -> list[str]:
        """Park message by message what was parked as a whole and can be read now; the keys of those.

        They stand before what came after them, each behind what is parked of its key already.
        """
        keys: set[str] = set()
        for whole in found:
            messages = read(self._tools.subscriptions[whole.topic], whole) if not whole.item else []
            if messages and messages[0].item:
                sets = [
                    set_aside(each, "behind", BEHIND) if each.key else set_aside(each, "park", UNUSABLE)
                    for each in messages
                ]
                named = sorted({each.key for each in sets if each.key})
                await parking.hold(db, dict.fromkeys(named, BEHIND))
                await parking.park(db, sets, retry_s=0, deadline_s=0)
                await parking.move_behind(db, named, whole)
                await parking.remove(db, [whole.id])
                keys.update(named)
        return sorted(keys)

    async def _run_one(self, db: Connection, parked: Parked, outgoing: list[Outgoing]) -> Exception | None:
        to = self._tools.subscriptions[parked.topic]
        try:
            event = _event(to, parked)
            batch = Batch([event], datetime.now(UTC), holds=to.holds)
            with self._tools.tracing.batch(to.topic, [event]):
                async with db.transaction():
                    records = await to.handler(batch, db)
                    for again in batch.parked:
                        raise StillParked(again.handling, again.reason)
        except Exception as error:
            if is_transient(error):
                raise
            return error
        outgoing.extend(records)
        return None

    def _newly_dead(self, found: Sequence[Parked], changes: Sequence[Change]) -> list[Outgoing]:
        was = {parked.id: parked for parked in found}
        return self._tools.dead_letters(
            [
                (was[change.id], was[change.id].item, change.reason)
                for change in changes
                if change.handling == "park" and was[change.id].handling != "park"
            ]
        )


def _event(to: Subscription, parked: Parked) -> Event:
    """What was parked, read anew; raises why it can't be."""
    messages = read(to, parked)
    message = messages[parked.item - 1 if messages[0].item else 0]
    if isinstance(message.event, Exception):
        raise message.event
    return message.event


def _handling_after(parked: Parked, error: Exception) -> Handling:
    expired = parked.deadline is not None and parked.deadline <= datetime.now(UTC)
    return "park" if expired else handling_of(error)
