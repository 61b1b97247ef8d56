"""The simulated gateway passes the suite of gateways, and misbehaves when it is told to."""

import signal
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio

from services.notifications.gateways.kannel import Kannel
from services.notifications.gateways.outcome import Outcome, Verdict
from tests.integration.notifications.conftest import PASSWORD, PHONE, SENDER, USER, Gateway
from tests.integration.notifications.gateway_suite import (
    TAKEN,
    GatewaySuite,
    Got,
    Heard,
    UnderTest,
    by_kannel,
    by_smpp,
)
from tonle.stack.process import free_port


@pytest_asyncio.fixture(scope="module", params=["sendsms", "smpp", "separate"])
async def under_test(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[UnderTest]:
    gateway, port = Gateway(tmp_path_factory.mktemp("gateway")), free_port()
    await gateway.start(smpp_port=port)

    async def received(phone: str) -> list[Got]:
        return [Got(sms["to"], sms["from"], sms["text"]) for sms in await gateway.inbox(to=phone)]

    is_separate = request.param == "separate"
    by_line = by_smpp(port, Heard(), separate=is_separate)
    made = by_kannel(gateway.url) if request.param == "sendsms" else by_line
    yield UnderTest(made, received)
    await gateway.end()


class TestSimulatedGateway(GatewaySuite):
    """The suite, on the simulator, by either protocol."""


def client(gateway: Gateway, timeout_s: float = 5) -> Kannel:
    return Kannel(gateway.url, USER, PASSWORD, SENDER, timeout_s=timeout_s)


async def test_the_same_business_key_is_kept_once_and_counted(gateway: Gateway) -> None:
    await gateway.start()
    sms_id, ours = str(uuid4()), client(gateway)
    assert await ours.send(sms_id, PHONE, "first", "gsm-7") == TAKEN
    assert await ours.send(sms_id, PHONE, "second", "gsm-7") == TAKEN
    assert [sms["text"] for sms in await gateway.inbox()] == ["first"]
    summary = await gateway.summary()
    assert (summary["accepted"], summary["duplicates_absorbed"]) == (1, 1)


async def test_what_was_accepted_is_there_after_a_kill(gateway: Gateway) -> None:
    await gateway.start()
    assert await client(gateway).send("s-1", PHONE, "kept", "gsm-7") == TAKEN
    await gateway.end(signal.SIGKILL)
    await gateway.start()
    assert [sms["text"] for sms in await gateway.inbox(sms_id="s-1")] == ["kept"]


@pytest.mark.parametrize(
    ("misbehaviour", "outcome", "kept"),
    [
        ({"refused": 1.0}, Outcome(Verdict.REFUSED, "gateway-403"), 0),
        ({"silent": 1.0}, Outcome(Verdict.UNKNOWN, "timeout"), 1),
        ({"slow": 1.0, "slow_s": 0.1}, TAKEN, 1),
    ],
)
async def test_it_misbehaves_as_told(
    gateway: Gateway, misbehaviour: dict[str, float], outcome: Outcome, kept: int
) -> None:
    await gateway.start(**misbehaviour)
    assert await client(gateway, timeout_s=0.5).send("s-1", PHONE, "text", "gsm-7") == outcome
    assert len(await gateway.inbox()) == kept


async def test_a_share_misbehaves_and_the_same_messages_every_time(gateway: Gateway) -> None:
    await gateway.start(refused=0.3, seed=7)
    ours = client(gateway)
    first = [await ours.send(f"s-{n}", PHONE, "text", "gsm-7") for n in range(200)]
    again = [await ours.send(f"s-{n}", PHONE, "text", "gsm-7") for n in range(200)]
    assert first == again
    assert 40 <= sum(outcome.verdict is Verdict.REFUSED for outcome in first) <= 80


async def test_the_inbox_is_read_newest_first_and_by_number(gateway: Gateway) -> None:
    await gateway.start()
    ours = client(gateway)
    for number, phone in enumerate([PHONE, "+85599999999", PHONE]):
        await ours.send(f"s-{number}", phone, f"text {number}", "gsm-7")
    assert [sms["text"] for sms in await gateway.inbox(to=PHONE)] == ["text 2", "text 0"]
    assert [sms["text"] for sms in await gateway.inbox(last="1")] == ["text 2"]
