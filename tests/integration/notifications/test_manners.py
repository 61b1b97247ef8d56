"""What is read when an SMS is sent, and not before."""

from datetime import UTC, datetime, timedelta

import pytest

from contracts.household import Channel
from contracts.payment import PaymentState
from services.notifications import store_opt_outs
from services.notifications.numbers import number_hash
from tests.integration.notifications.conftest import Gateway, Scene, phone_of
from tests.waiting import until

pytestmark = pytest.mark.stack
NEW_PHONE = "+85598765432"


async def test_phones_wishes_and_what_came_to_pass_are_those_of_the_moment_it_is_sent(
    scene: Scene, gateway: Gateway
) -> None:
    for number in range(1, 7):
        await scene.household(f"h-{number}")
        phone = phone_of("h-3" if number == 4 else f"h-{number}")
        await scene.issue(f"h-{number}", language="en", phone=phone)
    async with scene.running(sms_prices_riel={"default": 100}):
        await until(lambda: _heard_of(scene, 6))
        await scene.register("h-1", 2, language="en", phone=NEW_PHONE)
        await store_opt_outs.opt_out(scene.db, number_hash(scene.master, phone_of("h-2")))
        await scene.report("h-5", state=PaymentState.EXPIRED)
        await scene.report("h-6", state=PaymentState.SETTLED)
        await until(lambda: _heard_of(scene, 8))
        await gateway.start()
        await until(lambda: scene.ended(8))
        told = sorted((sms["to"], sms["text"][:20]) for sms in await gateway.inbox())
        stats = (await scene.get("/stats")).json()
    assert told == sorted(
        [
            (NEW_PHONE, "A social transfer of"),
            (phone_of("h-3"), "There is news about "),
            (phone_of("h-3"), "There is news about "),
            (phone_of("h-5"), "The time to collect "),
            (phone_of("h-6"), "176,000 riel of your"),
        ]
    )
    counted = {(row["operator"], row["province"]): row for row in stats["sms"]}
    assert stats["numbers_opted_out"] == 1
    assert counted[None, "01"]["opted_out"] == 1
    assert counted[None, "01"]["not_sent"] == 2
    assert sum(row["sent"] for row in stats["sms"]) == 5
    assert sum(row["cost_riel"] for row in stats["sms"]) == 500


async def test_money_that_waits_is_reminded_of_once_and_at_night_nobody_is_disturbed(
    scene: Scene, gateway: Gateway
) -> None:
    await gateway.start()
    await scene.household("h-1")
    await scene.issue("h-1", language="en")
    await scene.register("h-2", channel=Channel.DESK)
    await scene.household("h-2")
    now = datetime.now(UTC) + timedelta(hours=7)
    quiet = f"{now - timedelta(hours=2):%H:%M}-{now + timedelta(hours=2):%H:%M}"
    async with scene.running(sms_quiet_hours=quiet):
        await until(lambda: _states(scene, waiting=2))
    reasons = await scene.db.fetch("select distinct reason from sms where state = 'waiting'")
    assert [row["reason"] for row in reasons] == ["quiet-hours"]
    await scene.db.execute("update sms_due set not_before = now()")
    async with scene.running(sms_reminder_days=31):
        await until(lambda: _states(scene, sent=3))
    templates = [row[0] for row in await scene.db.fetch("select template from sms order by 1")]
    assert templates == ["payment-ready", "payment-reminder", "registered"]
    async with scene.running(sms_reminder_days=31):
        await until(lambda: _states(scene, sent=3))


async def _heard_of(scene: Scene, steps: int) -> bool:
    return int(await scene.db.fetchval("select count(*) from sms")) == steps


async def _states(scene: Scene, **states: int) -> bool:
    return await scene.states() == states
