"""Senders are killed, frozen and stopped while they send: no SMS goes out twice, and none is forgotten."""

import asyncio
import signal
from collections import Counter

import pytest

from contracts import topics
from contracts.sms import SmsSent, SmsUpdated
from services.notifications import store_views
from services.notifications.store import TOGETHER_MOST
from tests.integration.notifications.conftest import Gateway, Scene
from tests.waiting import until

pytestmark = pytest.mark.stack

MESSAGES = 160
# A chunk takes about a second: time enough to be stopped in the middle of it.
SLOW = {"slow": 1.0, "slow_s": 0.2}
CHUNK = {"sms_senders": 1, "sms_chunk": 40, "sms_in_flight": 8, "sms_timeout_s": 1.5}
PATIENCE_S = 90


async def queue(scene: Scene) -> None:
    """Every household's SMS is queued, and no sender runs yet."""
    households = [f"h-{number}" for number in range(MESSAGES)]
    await asyncio.gather(*map(scene.household, households))
    await asyncio.gather(*map(scene.issue, households))

    async def queued() -> bool:
        return (await scene.states()).get("queued") == MESSAGES

    async with scene.running(sms_senders=0):
        await until(queued, PATIENCE_S)


async def arrived(gateway: Gateway, count: int) -> bool:
    return (await gateway.summary())["accepted"] >= count


async def check(scene: Scene, gateway: Gateway) -> Counter[str]:
    """Every SMS is sent or unknown and announced so; none arrived twice. Gives how many of each."""
    received = Counter(sms["sms_id"] for sms in await gateway.inbox())
    assert (await gateway.summary())["duplicates_absorbed"] == 0
    assert set(received.values()) == {1}
    states = {row[0]: row[1] for row in await scene.db.fetch("select sms_id, state from sms")}
    assert {sms_id for sms_id, state in states.items() if state == "sent"} <= set(received)
    sent = {each.data.sms_id for each in await scene.on(topics.SMS_SENT, SmsSent)}
    unknown = {each.data.sms_id for each in await scene.on(topics.SMS_UPDATED, SmsUpdated)}
    counted = Counter(states.values())
    assert counted["sent"] + counted["unknown"] == MESSAGES
    assert {sms_id for sms_id, state in states.items() if state == "sent"} == sent
    assert {sms_id for sms_id, state in states.items() if state == "unknown"} == unknown - sent
    return counted


async def test_killed_senders_leave_sms_unknown_and_counted_and_send_none_twice(
    scene: Scene, gateway: Gateway
) -> None:
    await queue(scene)
    await gateway.start(**SLOW)
    for kill in (1, 2):
        async with scene.process(**CHUNK) as process:
            await until(lambda least=50 * kill: arrived(gateway, least), PATIENCE_S)  # type: ignore[misc]
            process.kill()
    async with scene.process(**CHUNK):
        await until(lambda: scene.ended(MESSAGES), PATIENCE_S)
    await check(scene, gateway)
    lost = await scene.db.fetchval("select count(*) from sms where reason = 'sender-stopped'")
    assert 0 < lost <= 2 * 40


async def test_a_sender_that_wakes_up_after_its_lease_sends_nothing_that_was_given_up(
    scene: Scene, gateway: Gateway
) -> None:
    await queue(scene)
    await gateway.start(**SLOW)
    async with scene.process(**CHUNK) as frozen:
        await until(lambda: arrived(gateway, 10), PATIENCE_S)
        frozen.send_signal(signal.SIGSTOP)
        async with scene.process(**CHUNK):
            await until(lambda: scene.ended(MESSAGES), PATIENCE_S)
            frozen.send_signal(signal.SIGCONT)
            before = await gateway.summary()
            frozen.terminate()
            await frozen.wait()
        assert await gateway.summary() == before
    await check(scene, gateway)


async def test_an_sms_is_shown_as_being_sent_while_it_is_and_claims_keep_to_their_size(
    scene: Scene, gateway: Gateway
) -> None:
    await queue(scene)
    assert await scene.db.fetchval("select max(cardinality(sms_ids)) from sms_due") <= TOGETHER_MOST
    await gateway.start(slow=1.0, slow_s=2.0)
    most = 2 * TOGETHER_MOST
    async with scene.process(sms_senders=2, sms_chunk=most, sms_timeout_s=30.0) as process:
        held = "select coalesce(max(cardinality(sms_ids)), 0) from sms_claim"
        while not (size := await scene.db.fetchval(held)):
            await asyncio.sleep(0.05)
        assert most - TOGETHER_MOST < size <= most
        states = [row["state"] for row in await store_views.of_household(scene.db, await _held(scene))]
        assert states == ["sending"]
        process.kill()


async def _held(scene: Scene) -> str:
    one = "select household_id from sms where sms_id in (select sms_ids[1] from sms_claim) limit 1"
    return str(await scene.db.fetchval(one))


async def test_a_sender_that_is_told_to_stop_finishes_what_it_began(scene: Scene, gateway: Gateway) -> None:
    await queue(scene)
    await gateway.start(**SLOW)
    patient = CHUNK | {"sms_timeout_s": 30.0}
    async with scene.process(**patient) as process:
        await until(lambda: arrived(gateway, 20), PATIENCE_S)
        process.terminate()
        assert await process.wait() == 0
    assert set(await scene.states()) == {"queued", "sent"}
    async with scene.process(**patient):
        await until(lambda: scene.ended(MESSAGES), PATIENCE_S)
    assert await check(scene, gateway) == Counter(sent=MESSAGES)
