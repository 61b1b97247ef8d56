"""The programs that the pipeline is compared with do the whole work, each on a stack of its own."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from joserfc import jwe, jws
from joserfc.jwk import OKPKey

from benchmarks.floor import run
from benchmarks.floor.wire import PARTNER
from contracts import wire
from contracts.payment import PaymentInstruction, PaymentIssued
from contracts.topics import TOPICS, partner_instruction
from tonle.stack.access import ADMIN
from tonle.stack.secrets import Secrets
from tonle.stack.state import StackState
from tonle.stack.supervisor import Stack

pytestmark = pytest.mark.stack

HOUSEHOLDS = 60
CONTRACTS = {topic.name: topic.contract for topic in TOPICS}
INSTRUCTION = partner_instruction(PARTNER).name


async def everything(stack: StackState, topics: Sequence[str]) -> list[ConsumerRecord]:
    consumer = AIOKafkaConsumer(*topics, **stack.kafka.broker(ADMIN).options, auto_offset_reset="earliest")
    await consumer.start()
    try:
        left = sum((await consumer.end_offsets(consumer.assignment())).values())
        found: list[ConsumerRecord] = []
        while len(found) < left:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found.extend(records)
        return found
    finally:
        await consumer.stop()


def opened(secrets: Secrets, token: bytes) -> PaymentInstruction:
    """As the partner reads it, with a library."""
    theirs, ours = (
        OKPKey.import_key(json.loads(path.read_text()))
        for path in (secrets.jwk(f"{PARTNER}-encrypt"), secrets.jwk("payments"))
    )
    inner = jwe.decrypt_compact(token, theirs, algorithms=["ECDH-ES+A256KW", "A256GCM"]).plaintext or b""
    return wire.load(PaymentInstruction, jws.deserialize_compact(inner, ours, algorithms=["Ed25519"]).payload)


async def agrees(stack: Stack) -> None:
    """Every event is one of its contract, and the partner is told what notifications is told."""
    found = await everything(stack.state, [*CONTRACTS, INSTRUCTION])
    events = [
        wire.decode(CONTRACTS[each.topic], each.topic, each.key, each.value, each.headers)
        for each in found
        if each.topic in CONTRACTS
    ]
    assert len({event.id for event in events}) == len(events)
    issued = {
        each.data.payment_id: each.data.amount for each in events if isinstance(each.data, PaymentIssued)
    }
    told = [opened(stack.secrets, each.value) for each in found if each.topic == INSTRUCTION]
    assert {each.payment_id: each.amount for each in told} == issued


async def test_the_floor_says_what_the_pipeline_says(tmp_path: Path) -> None:
    measured = await run.measure(tmp_path, HOUSEHOLDS, "benchmarks.floor", afterwards=agrees)
    assert measured["households"] == HOUSEHOLDS


async def test_the_baseline_tells_everyone_once(tmp_path: Path) -> None:
    measured = await run.measure(tmp_path, HOUSEHOLDS, "benchmarks.baseline")
    assert measured["households"] == HOUSEHOLDS
