"""Two processes keep to an operator's rate together, and others' SMS do not wait for it."""

import sys
from datetime import datetime

import pytest

from services.notifications.operators import operator_of
from tests.integration.notifications.conftest import Gateway, Scene
from tests.waiting import until

pytestmark = pytest.mark.stack

SMART, METFONE = "+8551000{:04}", "+8558800{:04}"
RATE = 40.0
MESSAGES = 60


async def test_two_processes_keep_to_a_rate_and_other_operators_do_not_wait(
    scene: Scene, gateway: Gateway
) -> None:
    await gateway.start()
    for number in range(MESSAGES):
        await scene.household(f"h-{number}")
        await scene.issue(f"h-{number}", phone=SMART.format(number))
    for number in range(MESSAGES, MESSAGES + 10):
        await scene.household(f"h-{number}")
        await scene.issue(f"h-{number}", phone=METFONE.format(number))
    rates = {"sms_rates": {operator_of(SMART.format(1)): RATE}}
    async with scene.process(**rates), scene.process(**rates):
        await until(lambda: scene.ended(MESSAGES + 10), 90)
    came = {sms["to"]: datetime.fromisoformat(sms["received_at"]) for sms in await gateway.inbox()}
    limited = sorted(at for to, at in came.items() if to.startswith(SMART[:7]))
    others = [at for to, at in came.items() if not to.startswith(SMART[:7])]
    segments = await scene.db.fetchval(
        "select sum(segments) from sms where operator = $1", *rates["sms_rates"]
    )
    last = await scene.db.fetchval("select max(segments) from sms")
    took_s = (limited[-1] - limited[0]).total_seconds()
    sys.stdout.write(f"{(segments - last) / took_s:.2f} segments/s of {RATE}\n")
    assert (len(limited), len(others)) == (MESSAGES, 10)
    assert (segments - last) / took_s <= RATE * 1.02
    assert sorted(others)[-1] < limited[-1]
