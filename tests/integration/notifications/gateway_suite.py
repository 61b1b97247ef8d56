"""What every gateway must do, by `sendsms` or SMPP, simulated or real, whichever protocol it speaks."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from uuid import uuid4

import pytest

from services.notifications.gateways.inbound import Inbound
from services.notifications.gateways.kannel import Kannel
from services.notifications.gateways.outcome import Gateway, Outcome, Verdict
from services.notifications.gateways.smpp import Smpp
from services.notifications.gateways.smpp_link import Account, Line
from services.notifications.receipts import Receipt
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
    """A running gateway: a client of it by its password, and how to read what it passed on to a number."""

    make: Callable[[str], Gateway]
    received: Callable[[str], Awaitable[list[Got]]]

    @asynccontextmanager
    async def client(self, password: str = PASSWORD) -> AsyncIterator[Gateway]:
        made = self.make(password)
        yield made
        await made.close()

    async def wait_for(self, phone: str, count: int) -> list[Got]:
        async def arrived() -> bool:
            return len(await self.received(phone)) >= count

        await until(arrived)
        return await self.received(phone)


async def taken(client: Gateway, phone: str, text: str) -> bool:
    """Whether the gateway takes a new SMS."""
    outcome = await client.send(str(uuid4()), phone, text, measure(text).encoding)
    return outcome.verdict is Verdict.TAKEN


def by_kannel(url: str) -> Callable[[str], Gateway]:
    """Clients of a smsbox."""
    return lambda password: Kannel(url, USER, password, SENDER, timeout_s=10)


@dataclass
class Heard:
    """What a gateway told by itself."""

    receipts: list[Receipt] = field(default_factory=list)
    inbound: list[Inbound] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    async def keep(self, receipt: Receipt) -> None:
        self.receipts.append(receipt)

    async def receive(self, inbound: Inbound) -> None:
        self.inbound.append(inbound)


def by_smpp(port: int, heard: Heard, **line: object) -> Callable[[str], Smpp]:
    """Clients of an SMSC, with what it tells them."""

    def client(password: str) -> Smpp:
        account = Account(f"smpp://127.0.0.1:{port}", USER, password, SENDER)
        how = replace(Line(timeout_s=10), **line)  # type: ignore[arg-type]
        return Smpp(account, how, heard.keep, heard.receive, heard.refused.append)

    return client


class GatewaySuite:
    """Subclass it and give its module a fixture `under_test`."""

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
    async def test_a_text_arrives_word_for_word(self, under_test: UnderTest, text: str) -> None:
        phone = next(_phones)
        async with under_test.client() as client:
            assert await taken(client, phone, text)
        assert await under_test.wait_for(phone, 1) == [Got(phone, SENDER, text)]

    async def test_many_in_flight_on_kept_connections_each_arrive_once(self, under_test: UnderTest) -> None:
        phone, numbers = next(_phones), iter(range(500))
        async with under_test.client() as client:

            async def work() -> None:
                for number in numbers:
                    assert await taken(client, phone, f"number {number}")

            await asyncio.gather(*(work() for _ in range(64)))
        arrived = Counter(got.text for got in await under_test.wait_for(phone, 500))
        assert arrived == Counter(f"number {number}" for number in range(500))

    async def test_a_wrong_password_takes_nothing_and_blames_no_message(self, under_test: UnderTest) -> None:
        async with under_test.client("wrong") as client:
            outcome = await client.send(str(uuid4()), next(_phones), "text", "gsm-7")
        assert outcome == Outcome(Verdict.NOT_TAKEN, "gateway-login")

    async def test_a_message_without_receiver_is_refused_for_good(self, under_test: UnderTest) -> None:
        async with under_test.client() as client:
            outcome = await client.send(str(uuid4()), "", "text", "gsm-7")
        assert outcome.verdict is Verdict.REFUSED
