"""What the SMPP client makes of an SMSC's answers, failures and words of its own."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from services.notifications.gateways import smpp_wire as wire
from services.notifications.gateways.outcome import GatewayAway, Outcome, Verdict
from services.notifications.gateways.smpp import Smpp
from services.notifications.receipts import Status
from tests.integration.notifications.conftest import PASSWORD, PHONE, Gateway
from tests.integration.notifications.gateway_suite import Heard, by_smpp
from tests.waiting import until
from tonle.stack.process import free_port


@asynccontextmanager
async def bound(
    gateway: Gateway,
    heard: Heard,
    *,
    separate: bool = False,
    timeout_s: float = 1.0,
    **misbehaviour: object,
) -> AsyncIterator[Smpp]:
    """A client that listens, at the simulator."""
    port = free_port()
    await gateway.start(smpp_port=port, **misbehaviour)
    client = by_smpp(port, heard, timeout_s=timeout_s, separate=separate)(PASSWORD)
    listening = asyncio.ensure_future(client.listen())
    yield client
    listening.cancel()
    await asyncio.wait([listening])


async def many(client: Smpp, count: int, text: str = "text", encoding: str = "gsm-7") -> list[Outcome]:
    phones = [f"+8551200{number:04}" for number in range(count)]
    return await asyncio.gather(*(client.send(p, p, text, encoding) for p in phones))  # type: ignore[arg-type]


@pytest.mark.parametrize("separate", [False, True])
async def test_each_part_has_its_receipt_even_twice_and_can_be_asked_for(
    gateway: Gateway, separate: bool
) -> None:
    heard = Heard()
    async with bound(gateway, heard, separate=separate, undelivered=0.5, repeated=0.5) as client:
        outcomes = await many(client, 20, "ក" * 71, "ucs-2")
        ids = {each for outcome in outcomes for each in outcome.gateway_message_ids}
        assert {len(outcome.gateway_message_ids) for outcome in outcomes} == {2}

        async def all_told() -> bool:
            return (await gateway.summary())["owed"] == 0

        await until(all_told)
        told = {(receipt.gateway_message_id, receipt.status) for receipt in heard.receipts}
        assert {theirs for theirs, _ in told} == ids
        assert len(heard.receipts) > len(told) == len(ids)
        assert {status for _, status in told} == {Status.DELIVERED, Status.FAILED}
        for receipt in heard.receipts:
            asked = await client.ask(receipt.gateway_message_id or "")
            assert asked is not None
            assert asked.status is receipt.status
        assert await client.ask("nobody's") is None


@pytest.mark.parametrize("separate", [False, True])
async def test_what_people_write_is_heard(gateway: Gateway, separate: bool) -> None:
    heard = Heard()
    async with bound(gateway, heard, separate=separate):
        await until(lambda: gateway.handset(PHONE, "1234", "ឈប់ STOP"))
        await until(lambda: _any(heard.inbound))
        (inbound,) = heard.inbound
        assert (inbound.sender, inbound.recipient, inbound.encoding) == (PHONE, "1234", "utf-16-be")
        assert inbound.text.decode(inbound.encoding) == "ឈប់ STOP"


@pytest.mark.parametrize("text", ["text", "x" * 161])
async def test_throttling_makes_it_slower_and_loses_nothing(gateway: Gateway, text: str) -> None:
    async with bound(gateway, Heard(), timeout_s=10.0, per_second=100) as client:
        waiting = [f"+8551200{number:04}" for number in range(150)]
        while waiting:
            outcomes = await asyncio.gather(*(client.send(phone, phone, text, "gsm-7") for phone in waiting))
            assert {each.verdict for each in outcomes} <= {Verdict.TAKEN, Verdict.NOT_TAKEN}
            waiting = [
                phone
                for phone, each in zip(waiting, outcomes, strict=True)
                if each.verdict is Verdict.NOT_TAKEN
            ]
        summary = await gateway.summary()
        assert (summary["accepted"], summary["throttled"] > 0) == (150, True)


async def test_a_line_lost_mid_window_leaves_those_in_it_unknown_and_the_next_go_by_a_new_one(
    gateway: Gateway,
) -> None:
    async with bound(gateway, Heard(), closing=0.05, slow=1.0, slow_s=0.05) as client:
        outcomes = []
        for _ in range(20):
            outcomes += await many(client, 10)
        verdicts = Counter(each.verdict for each in outcomes)
        assert verdicts[Verdict.TAKEN] > 0
        assert verdicts[Verdict.UNKNOWN] > 0
        accepted = (await gateway.summary())["accepted"]
        assert verdicts[Verdict.TAKEN] <= accepted <= verdicts[Verdict.TAKEN] + verdicts[Verdict.UNKNOWN]


async def test_who_is_silent_leaves_it_unknown(gateway: Gateway) -> None:
    async with bound(gateway, Heard(), silent=1.0) as client:
        assert await client.send("s-1", PHONE, "text", "gsm-7") == Outcome(Verdict.UNKNOWN, "timeout")


async def test_an_smsc_that_is_not_there_or_lets_nobody_in_took_nothing(gateway: Gateway) -> None:
    port = free_port()
    nobody = by_smpp(port, Heard(), timeout_s=1.0)(PASSWORD)
    outcome = await nobody.send("s-1", PHONE, "text", "gsm-7")
    assert outcome == Outcome(Verdict.NOT_TAKEN, "gateway-unreachable")
    with pytest.raises(GatewayAway):
        await nobody.listen()
    await gateway.start(smpp_port=port)
    stranger = by_smpp(port, Heard())("wrong")
    assert await stranger.send("s-1", PHONE, "text", "gsm-7") == Outcome(Verdict.NOT_TAKEN, "gateway-login")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (wire.pdu(wire.GENERIC_NACK, 2, status=3), Outcome(Verdict.REFUSED, "smpp-0x3")),
        (wire.pdu(0x80000004, 2, status=8), Outcome(Verdict.UNKNOWN, "smpp-0x8")),
        (wire.pdu(0x80000004, 2, status=0x0B), Outcome(Verdict.REFUSED, "smpp-0xb")),
        (wire.pdu(0x80000004, 2, status=0x58), Outcome(Verdict.NOT_TAKEN, "gateway-busy")),
        (wire.pdu(0x80000004, 2, b"no end"), Outcome(Verdict.TAKEN)),
        (b"HTTP/1.1 400 no SMPP\r\n\r\n", Outcome(Verdict.UNKNOWN, "no-smpp")),
        (b"\0\0\0\x05" + bytes(12), Outcome(Verdict.UNKNOWN, "no-smpp")),
    ],
)
async def test_each_answer_has_one_meaning_and_an_unreadable_receipt_is_refused(
    answer: bytes, outcome: Outcome
) -> None:
    heard, said = Heard(), list[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(wire.pdu(0x80000009, 1, b"x\0") + wire.pdu(wire.DELIVER_SM, 7, b"\0broken"))
        while said_now := await reader.read(1000):
            said.append(said_now)
            if wire.HEADER.pack(0, 4, 0, 2)[4:] in said_now:
                writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        client = by_smpp(listening.sockets[0].getsockname()[1], heard, timeout_s=1.0)(PASSWORD)
        assert await client.send("s-1", PHONE, "text", "gsm-7") == outcome
        await until(lambda: _any(heard.refused))
        assert wire.pdu(0x80000005, 7, b"\0", wire.NEVER_AGAIN) in b"".join(said)
        await client.close()


async def _any(of: Sequence[object]) -> bool:
    return bool(of)
