"""What every gateway that speaks Kannel's `sendsms` must do, the simulated one and the real one alike."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple
from uuid import uuid4

import pytest

from services.notifications.gateways.kannel import Kannel
from services.notifications.gateways.outcome import Outcome, Verdict
from services.notifications.segments import measure
from tests.integration.notifications.conftest import PASSWORD, SENDER, USER
from tests.waiting import until

TAKEN = Outcome(Verdict.TAKEN)
TEXTS = {
    "reserved signs": "A social transfer of 176,000 riel is waiting for you & yours: 100%, no fee?",
    "extension table": "Ends with {braces}, a [bracket], a ~tilde and a price in €",
    "two of gsm-7": "x" * 161,
    "khmer": "សូមជម្រាបថា លោកអ្នកទទួលបាន ១៧៦,០០០ រៀល។",
    "two of ucs-2": "ក" * 71,
    "surrogate pairs": "សូមអរគុណ 🙏" * 12,
}
_phones = map("+8551{:07}".format, itertools.count(1))


class Got(NamedTuple):
    """A message as the operator's side received it."""

    to: str
    sender: str
    text: str


@dataclass(frozen=True)
class UnderTest:
    """A running gateway: its URL, and how to read what it passed on to a number."""

    url: str
    received: Callable[[str], Awaitable[list[Got]]]

    def client(self, password: str = PASSWORD) -> Kannel:
        return Kannel(self.url, USER, password, SENDER, timeout_s=10)

    async def wait_for(self, phone: str, count: int) -> list[Got]:
        async def arrived() -> bool:
            return len(await self.received(phone)) >= count

        await until(arrived)
        return await self.received(phone)


class GatewaySuite:
    """Subclass it and give its module a fixture `under_test`."""

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
    async def test_a_text_arrives_word_for_word(self, under_test: UnderTest, text: str) -> None:
        client, phone = under_test.client(), next(_phones)
        assert await client.send(str(uuid4()), phone, text, measure(text).encoding) == TAKEN
        client.close()
        assert await under_test.wait_for(phone, 1) == [Got(phone, SENDER, text)]

    async def test_many_in_flight_on_kept_connections_each_arrive_once(self, under_test: UnderTest) -> None:
        client, phone, numbers = under_test.client(), next(_phones), iter(range(500))

        async def work() -> None:
            for number in numbers:
                assert await client.send(str(uuid4()), phone, f"number {number}", "gsm-7") == TAKEN

        await asyncio.gather(*(work() for _ in range(64)))
        client.close()
        arrived = Counter(got.text for got in await under_test.wait_for(phone, 500))
        assert arrived == Counter(f"number {number}" for number in range(500))

    async def test_a_wrong_password_takes_nothing_and_blames_no_message(self, under_test: UnderTest) -> None:
        outcome = await under_test.client("wrong").send(str(uuid4()), next(_phones), "text", "gsm-7")
        assert outcome == Outcome(Verdict.NOT_TAKEN, "gateway-login")

    async def test_a_message_without_receiver_is_refused_for_good(self, under_test: UnderTest) -> None:
        outcome = await under_test.client().send(str(uuid4()), "", "text", "gsm-7")
        assert outcome == Outcome(Verdict.REFUSED, "gateway-400")
