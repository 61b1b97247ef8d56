"""What was committed goes out beside the next transaction: in order, with a bound, to the end."""

import asyncio
from typing import cast

from postbox.courier import MESSAGES_MOST, Courier
from postbox.outbox import Publisher, Written
from postbox.packing import Parcel
from postbox.telemetry import Metrics

MANY = [Parcel("t", b"", [None])] * MESSAGES_MOST


class Broker:
    """What was published, each only when it is let through."""

    def __init__(self) -> None:
        self.lanes: list[list[str]] = []
        self.rows: list[int] = []
        self.begun = asyncio.Event()
        self.open = asyncio.Event()
        self.courier = Courier(cast(Publisher, self), Metrics())

    async def publish(self, *lanes: str, written: Written) -> int:
        self.begun.set()
        await self.open.wait()
        self.lanes.append(list(lanes))
        self.rows.extend(written)
        if "broken" in lanes:
            raise OSError
        return len(written)


async def test_what_is_committed_meanwhile_goes_out_next_in_one_go_and_in_order() -> None:
    broker = Broker()
    broker.courier.take({"t/0"}, {1: ()})
    await broker.begun.wait()
    broker.courier.take({"t/1"}, {2: ()})
    broker.courier.take({"t/0"}, {3: ()})
    broker.open.set()
    await broker.courier.close()
    assert (broker.lanes, broker.rows) == ([["t/0"], ["t/0", "t/1"]], [1, 2, 3])


async def test_there_is_no_room_while_too_many_messages_are_not_published() -> None:
    broker = Broker()
    broker.courier.take({"t/0"}, {1: MANY})
    await broker.courier.until_room()
    broker.courier.take({"t/0"}, {2: MANY[:1]})
    room = asyncio.create_task(broker.courier.until_room())
    done, _ = await asyncio.wait({room}, timeout=0.05)
    assert not done
    broker.open.set()
    await room


async def test_a_publication_that_fails_makes_room_for_the_next() -> None:
    broker = Broker()
    broker.courier.take({"broken"}, {1: MANY})
    await broker.begun.wait()
    broker.courier.take({"t/0"}, {2: MANY})
    broker.open.set()
    await broker.courier.until_room()
    await broker.courier.close()
    assert broker.lanes == [["broken"], ["t/0"]]
