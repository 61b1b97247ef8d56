"""A real Kannel and our simulator speak SMPP: each proves that the other does, receipts included."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
import pytest_asyncio

from services.notifications.gateways.kannel import Kannel
from services.notifications.gateways.outcome import Verdict
from services.notifications.segments import measure
from tests.integration.notifications.conftest import PASSWORD, SENDER, USER, Gateway
from tests.integration.notifications.gateway_suite import TEXTS, GatewaySuite, Got, UnderTest, by_kannel
from tests.integration.notifications.test_real_kannel import BY_SMPP, kannel, kannel_installed
from tests.waiting import until
from tonle.stack.process import free_port

pytestmark = pytest.mark.more

__all__ = ["kannel_installed"]
FATES = {"1": "delivered", "2": "failed"}


@pytest_asyncio.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    made = Gateway(tmp_path_factory.mktemp("operator"))
    yield made
    await made.end()


@pytest_asyncio.fixture(scope="module")
async def url(
    kannel_installed: None, gateway: Gateway, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    port = free_port()
    await gateway.start(smpp_port=port, undelivered=0.5)
    folder = tmp_path_factory.mktemp("kannel")
    async with kannel(folder, BY_SMPP, port) as url:
        yield url


@pytest_asyncio.fixture(scope="module")
async def under_test(url: str, gateway: Gateway) -> UnderTest:
    async def received(phone: str) -> list[Got]:
        return [Got(sms["to"], sms["from"], sms["text"]) for sms in await gateway.inbox(to=phone)]

    return UnderTest(by_kannel(url), received)


class TestRealKannelBySmpp(GatewaySuite):
    """The suite, through Kannel to the simulator; and its receipts all the way back."""

    async def test_each_receipt_comes_back_with_its_sms_and_its_fate(
        self, url: str, gateway: Gateway
    ) -> None:
        told: dict[str, set[str]] = {}

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            target = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
            query = parse_qs(urlsplit(target).query)
            told.setdefault(query["sms_id"][0], set()).add(query["status"][0])
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
            us = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/receipt?sms_id={{sms_id}}&status=%d"
            client = Kannel(url, USER, PASSWORD, SENDER, timeout_s=10, report_url=us)
            phones = {str(uuid4()): f"+8559700{number:04}" for number in range(40)}
            for sms_id, phone in phones.items():
                text = TEXTS["two of ucs-2" if phone.endswith("0") else "khmer"]
                outcome = await client.send(sms_id, phone, text, measure(text).encoding)
                assert outcome.verdict is Verdict.TAKEN
            await client.close()

            async def all_told() -> bool:
                return len(told) == len(phones)

            await until(all_told)
        inbox = {sms["to"]: sms["became"] for sms in await gateway.inbox()}
        said = {
            sms_id: {FATES[each] for each in statuses if each in FATES} for sms_id, statuses in told.items()
        }
        assert said == {sms_id: {inbox[phone]} for sms_id, phone in phones.items()}
