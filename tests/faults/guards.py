"""Takes guards away, in the processes under test alone, so that the next guard is seen to work.

Production code has no switch for this: a service is started by `launch.py`, which changes it before it runs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from uuid import uuid4

from contracts.wire import Received
from postbox import outbox, positions
from postbox.message import Connection, Outgoing
from postbox.outbox import Lane, Publisher, strands
from postbox.packing import parcels
from services.notifications.gateways import http
from services.notifications.gateways.kannel import Kannel
from services.notifications.gateways.outcome import Outcome, Verdict
from services.notifications.segments import Encoding
from services.payments import entitlements
from services.payments.entitlements import Desk, Household
from services.payments.heard import DecisionHeard, ScoredHeard
from tests.faults.world import World

SENT_MOST = 3


async def loosen(world: World, without: frozenset[str]) -> None:
    """What must be taken from the databases, once the services have made them."""
    if "unique key" in without:
        db = await world.connect("payments")
        await db.execute("drop index payment_one_live_attempt")
        await db.close()


def without_position() -> None:
    """A redelivered record is handled again."""

    vars(positions)["undone"] = lambda records, _: (records, False)
    positions.is_another_log = lambda *_: False


def without_sequence() -> None:
    """Payments forgets which decisions it has seen, and what it issued for them."""
    score = entitlements.score

    def forgetful(
        desk: Desk,
        household: Household | None,
        scored: Received[ScoredHeard],
        together: Iterable[DecisionHeard] = (),
    ) -> Household | None:
        known = household._replace(scored=0, payments={}) if household else None
        return score(desk, known, scored, together)

    entitlements.score = forgetful


def without_unique_key() -> None:
    """A payment is no longer named by what it is for: each has an id of its own."""
    vars(entitlements)["event_id"] = lambda *_: str(uuid4())


def without_outbox() -> None:
    """What is to be told waits in memory, and is sent after the commit."""
    waiting: dict[str, list[Outgoing]] = {}

    async def remember(_: Connection, lanes: Sequence[Lane]) -> outbox.Written:
        for lane in lanes:
            waiting.setdefault(lane.name, []).extend(lane.records)
        return {number: parcels(lane.records) for number, lane in enumerate(lanes) if lane.records}

    async def send(self: Publisher, *lanes: str, written: outbox.Written | None = None) -> int:
        rows = chain.from_iterable(strands(waiting.pop(lane, [])).items() for lane in lanes)
        return await self._send_rows((strand, parcels(said)) for strand, said in rows)

    vars(outbox)["write_lanes"] = remember
    Publisher.publish = send  # type: ignore[method-assign]


def without_never_again() -> None:
    """An SMS whose outcome is not known is sent again at once."""
    once = Kannel.send

    async def again(self: Kannel, sms_id: str, phone: str, text: str, encoding: Encoding) -> Outcome:
        outcome = await once(self, sms_id, phone, text, encoding)
        for _ in range(SENT_MOST - 1):
            if outcome.verdict is not Verdict.UNKNOWN:
                break
            outcome = await once(self, sms_id, phone, text, encoding)
        return outcome

    Kannel.send = again  # type: ignore[method-assign]


def without_gateway_key() -> None:
    """The gateway can't tell a repetition from a new message."""
    get = http.Connections.get

    async def anonymous(self: http.Connections, target: str) -> http.Answer:
        return await get(self, target.partition("&meta-data=")[0])

    http.Connections.get = anonymous  # type: ignore[method-assign]


REMOVALS: Mapping[str, Callable[[], None]] = {
    "position": without_position,
    "sequence": without_sequence,
    "unique key": without_unique_key,
    "outbox": without_outbox,
    "never again": without_never_again,
    "gateway key": without_gateway_key,
}
