"""What was committed goes out beside the next transaction: in order, with a bound, to the end."""

import asyncio
from collections.abc import Sequence

from postbox.courier import BATCHES_MOST, Courier
from postbox.outbox import Written


class Sent:
    """What was published, each only when it is let through."""

    def __init__(self) -> None:
        self.lanes: list[list[str]] = []
        self.rows: list[int] = []
        self.begun = asyncio.Event()
        self.open = asyncio.Event()

    async def publish(self, lanes: Sequence[str], written: Written) -> None:
        self.begun.set()
        await self.open.wait()
        self.lanes.append(list(lanes))
        self.rows.extend(written)


async def test_what_is_committed_meanwhile_goes_out_next_in_one_go_and_in_order() -> None:
    sent = Sent()
    courier = Courier(sent.publish)
    await courier.hand_over({"t/0"}, {1: ()})
    await sent.begun.wait()
    await courier.hand_over({"t/1"}, {2: ()})
    await courier.hand_over({"t/0"}, {3: ()})
    sent.open.set()
    await courier.close()
    assert (sent.lanes, sent.rows) == ([["t/0"], ["t/0", "t/1"]], [1, 2, 3])


async def test_the_loop_waits_while_too_many_batches_are_not_published() -> None:
    sent = Sent()
    courier = Courier(sent.publish)
    for number in range(BATCHES_MOST):
        await courier.hand_over({"t/0"}, {number: ()})
    one_more = asyncio.create_task(courier.hand_over({"t/0"}, {BATCHES_MOST: ()}))
    done, _ = await asyncio.wait({one_more}, timeout=0.05)
    assert not done
    sent.open.set()
    await one_more
    await courier.close()
    assert sent.rows == list(range(BATCHES_MOST + 1))
