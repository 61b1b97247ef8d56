"""SMS by SMPP while senders are killed and the gateway ails: none goes out twice, none is forgotten.

The seed is printed; TONLE_FAULT_SEED and TONLE_FAULT_HOUSEHOLDS set it and how many households are told.
"""

import asyncio
import os
import random
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import pytest

from contracts import topics
from contracts.sms import SmsSent, SmsUpdated
from tests.integration.notifications.conftest import Gateway, Scene, gateway, phone_of, scene
from tests.waiting import until
from tonle.stack.process import free_port

__all__ = ["gateway", "scene"]  # the fixtures of notifications
pytestmark = pytest.mark.stack

SEED = int(os.environ.get("TONLE_FAULT_SEED", "20261127"))
MESSAGES = int(os.environ.get("TONLE_FAULT_HOUSEHOLDS", "20000"))
AT_ONCE = 500
PATIENCE_S = 900
AILING = {
    "slow": 0.2, "slow_s": 0.1, "silent": 0.002, "closing": 0.001,
    "undelivered": 0.1, "repeated": 0.2, "contradicted": 0.05, "receipt_s": 0.2,
}  # fmt: skip


class Plan(NamedTuple):
    """How many SMS there are, how often senders are killed and the gateway is away, and how it ails."""

    messages: int
    kills: int
    outages: int
    ailing: Mapping[str, float]
    settings: Mapping[str, int]


LONG = Plan(MESSAGES, 8, 3, AILING, {})
# So few would all be on their way before anything is killed, were they not slow and few at once.
FEW_AT_ONCE = {"smpp_window": 4, "sms_in_flight": 8, "sms_chunk": 32}
SHORT = Plan(500, 2, 1, {**AILING, "slow": 0.99, "slow_s": 0.1}, FEW_AT_ONCE)


async def queue(scene: Scene, households: Sequence[str]) -> None:
    """Every household's SMS is queued, and no sender runs yet."""
    for start in range(0, len(households), AT_ONCE):
        some = households[start : start + AT_ONCE]
        await asyncio.gather(*map(scene.household, some))
        await asyncio.gather(*map(scene.issue, some))

    async def queued() -> bool:
        return (await scene.states()).get("queued") == len(households)

    async with scene.running(sms_senders=0):
        await until(queued, PATIENCE_S)


async def disturb(scene: Scene, gateway: Gateway, chance: random.Random, port: int, plan: Plan) -> None:
    """Kill senders and stop the gateway, each when so many more SMS have ended, until all have."""
    shares = sorted(chance.uniform(0.02, 0.9) for _ in range(plan.kills + plan.outages))
    outages = set(chance.sample(range(len(shares)), plan.outages))
    for place, share in enumerate(shares):
        async with scene.process(), scene.process() as victim:
            await until(partial(ended, scene, plan.messages * (1 - share)), PATIENCE_S)
            if place in outages:
                await gateway.end()
                await until(lambda: tried_in_vain(scene), PATIENCE_S)
                await gateway.start(smpp_port=port, seed=chance.randrange(1000), **plan.ailing)
            else:
                victim.kill()
    async with scene.process(), scene.process():
        await until(lambda: scene.ended(plan.messages), PATIENCE_S)
        await until(lambda: no_receipt_awaited(scene), PATIENCE_S)
        # What receipts said is published, too.
        await until(lambda: scene.ended(plan.messages), PATIENCE_S)


async def ended(scene: Scene, but: float) -> bool:
    left = "select count(*) from sms where state in ('queued', 'sending')"
    return bool(await scene.db.fetchval(left) <= but)


async def tried_in_vain(scene: Scene) -> bool:
    query = "select exists (select from sms where state = 'queued' and reason like 'gateway-%')"
    return bool(await scene.db.fetchval(query))


async def no_receipt_awaited(scene: Scene) -> bool:
    return not await scene.db.fetchval("select exists (select from sms where receipt = 'awaited')")


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(LONG, marks=[pytest.mark.long, pytest.mark.timeout(3600)], id="long"),
        pytest.param(SHORT, id="short"),
    ],
)
async def test_no_sms_goes_out_twice_and_none_is_forgotten(
    scene: Scene, gateway: Gateway, plan: Plan
) -> None:
    sys.stdout.write(f"seed {SEED}, {plan.messages} SMS\n")
    port, chance = free_port(), random.Random(SEED)
    scene.settings = scene.settings.model_copy(
        update={
            "gateway_kind": "smpp",
            "gateway_url": f"smpp://127.0.0.1:{port}",
            "sms_timeout_s": 2.0,
            "receipt_window_s": 5.0,
            "receipts_every_s": 0.2,
            **plan.settings,
        }
    )
    households = [f"h-{number}" for number in range(plan.messages)]
    await queue(scene, households)
    await gateway.start(smpp_port=port, seed=SEED % 1000, **plan.ailing)
    await disturb(scene, gateway, chance, port, plan)
    await check(scene, gateway, plan)


async def check(scene: Scene, gateway: Gateway, plan: Plan) -> None:
    """The gateway's own record, the database and the topics say the same of every SMS."""
    inbox = await gateway.inbox()
    received = Counter(sms["to"] for sms in inbox)
    became = {sms["to"]: sms["became"] for sms in inbox}
    rows = await scene.db.fetch("select sms_id, household_id, state, receipt from sms")
    states = Counter((row["state"], row["receipt"]) for row in rows)
    sys.stdout.write(f"{dict(states)}; {len(inbox)} at the gateway\n")
    assert set(received.values()) == {1}
    assert len(rows) == plan.messages
    assert {row["state"] for row in rows} <= {"sent", "unknown"}
    taken = {phone_of(row["household_id"]) for row in rows if row["state"] == "sent"}
    assert taken <= set(received)
    delivered = {phone_of(row["household_id"]) for row in rows if row["receipt"] == "delivered"}
    assert {became[phone] for phone in delivered} == {"delivered"}
    sent = {each.data.sms_id for each in await scene.on(topics.SMS_SENT, SmsSent)}
    assert sent == {row["sms_id"] for row in rows if row["state"] == "sent"}
    said: dict[str, tuple[int, str]] = {}
    for each in await scene.on(topics.SMS_UPDATED, SmsUpdated):
        said[each.data.sms_id] = max(said.get(each.data.sms_id, (0, "")), (each.sequence, each.data.status))
    expected = {row["sms_id"]: row["receipt"] or "unknown" for row in rows}
    assert {sms_id: word for sms_id, (_, word) in said.items()} == expected
