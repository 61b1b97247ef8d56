"""Long SMS that come in part by part: kept encrypted until all is there, or was waited for long enough."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts import wire
from postbox.message import Connection
from services.notifications import joining, store_long
from services.notifications.gateways.inbound import Inbound
from services.notifications.joining import TOLD_FOR, Gathered, Joined
from services.notifications.store_long import Long
from vault.master import MasterKey

AT_ONCE = 100


@dataclass(frozen=True)
class LongMessages:
    """Parts wait for `wait`; then what came of them goes on."""

    master: MasterKey
    wait: timedelta

    async def whole(self, db: Connection, inbound: Inbound) -> tuple[Inbound, ...]:
        """The messages that go on with this one: itself, where it is no part. Raises `SealBroken`."""
        if inbound.part is None:
            return (inbound,)
        # The number is in it: only its keyed hash is written down.
        long_id = self.master.keyed_hash(joining.known_as(inbound, inbound.part)).hex()
        sealed = await store_long.lock(db, long_id, inbound.received_at + self.wait)
        known = self._open(Long(long_id, sealed)) if sealed else None
        joined = joining.take(known, inbound, inbound.part)
        await self._keep(db, long_id, joined, inbound.received_at)
        return joined.out

    async def overdue(self, db: Connection, now: datetime) -> tuple[Inbound, ...]:
        """What came of those that waited long enough; forgets those that can be forgotten."""
        out: list[Inbound] = []
        for each in await store_long.overdue(db, now, AT_ONCE):
            ended = joining.end(self._open(each), now)
            await self._keep(db, each.long_id, ended, now)
            out += ended.out
        await store_long.forget(db, now)
        return tuple(out)

    async def _keep(self, db: Connection, long_id: str, joined: Joined, now: datetime) -> None:
        kept, waits = joined.kept, bool(joined.kept.waiting)
        sealed = self.master.wrap(wire.dump(kept), bound_to=f"long/{long_id}")
        due_at = kept.begun_at + self.wait if waits else now + TOLD_FOR
        await store_long.keep(db, Long(long_id, sealed), waits=waits, due_at=due_at)

    def _open(self, long: Long) -> Gathered:
        return wire.load(Gathered, self.master.unwrap(long.kept, bound_to=f"long/{long.long_id}"))
