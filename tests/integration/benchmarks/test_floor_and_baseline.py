"""The programs that the pipeline is compared with do the whole work, each on a stack of its own."""

import json
from pathlib import Path

import pytest
from joserfc import jwe, jws
from joserfc.jwk import OKPKey

from benchmarks.floor import run
from benchmarks.floor.wire import PARTNER
from contracts import bundle, wire
from contracts.payment import PaymentInstruction, PaymentIssued
from contracts.topics import TOPICS, partner_instruction
from tests.broker import whole
from tonle.stack.access import ADMIN
from tonle.stack.secrets import Secrets
from tonle.stack.supervisor import Stack

pytestmark = [pytest.mark.stack, pytest.mark.more]

HOUSEHOLDS = 60
CONTRACTS = {topic.name: topic.contract for topic in TOPICS}
INSTRUCTION = partner_instruction(PARTNER).name


def opened(secrets: Secrets, token: bytes) -> list[PaymentInstruction]:
    """A bundle as the partner reads it, with a library."""
    theirs, ours = (
        OKPKey.import_key(json.loads(path.read_text()))
        for path in (secrets.jwk(f"{PARTNER}-encrypt"), secrets.jwk("payments"))
    )
    inner = jwe.decrypt_compact(token, theirs, algorithms=["ECDH-ES+A256KW", "A256GCM"]).plaintext or b""
    said = jws.deserialize_compact(inner, ours, algorithms=["Ed25519"]).payload
    return [wire.decode(PaymentInstruction, INSTRUCTION, *item).data for item in bundle.items(said)]


async def agrees(stack: Stack) -> None:
    """Every event is one of its contract, and the partner is told what notifications is told."""
    admin = stack.state.kafka.broker(ADMIN)
    found = [record for topic in (*CONTRACTS, INSTRUCTION) for record in await whole(admin, topic)]
    events = [
        wire.decode(CONTRACTS[each.topic], each.topic, each.key, each.value, each.headers)
        for each in found
        if each.topic in CONTRACTS
    ]
    assert len({event.id for event in events}) == len(events)
    issued = {
        each.data.payment_id: each.data.amount for each in events if isinstance(each.data, PaymentIssued)
    }
    told = [one for each in found if each.topic == INSTRUCTION for one in opened(stack.secrets, each.value)]
    assert {each.payment_id: each.amount for each in told} == issued


async def test_the_floor_says_what_the_pipeline_says(tmp_path: Path) -> None:
    measured = await run.measure(tmp_path, HOUSEHOLDS, "benchmarks.floor", afterwards=agrees)
    assert measured["households"] == HOUSEHOLDS


async def test_the_baseline_tells_everyone_once(tmp_path: Path) -> None:
    measured = await run.measure(tmp_path, HOUSEHOLDS, "benchmarks.baseline")
    assert measured["households"] == HOUSEHOLDS
