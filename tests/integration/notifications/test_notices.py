"""Whom a commune's notice board tells, and what it does not say."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.payment import PaymentState
from tests.integration.notifications.conftest import Gateway, Scene
from tests.waiting import until

pytestmark = pytest.mark.stack


async def test_households_without_a_phone_are_listed_unless_they_wish_no_contact(
    scene: Scene, gateway: Gateway
) -> None:
    await gateway.start()
    payees: list[dict[str, Any]] = [
        {"phone": None},
        {"phone": None, "contact": "none"},
        {},
        {"phone": None},
        {"phone": None},
    ]
    for number, payee in enumerate(payees, 1):
        await scene.household(f"h-{number}")
        await scene.issue(f"h-{number}", **payee)
    await scene.report("h-4", state=PaymentState.SETTLED)
    await scene.report("h-5", state=PaymentState.EXPIRED)
    async with scene.running():
        await until(lambda: scene.ended(7))
        found = (await scene.get("/notices/010203")).json()
        assert (await scene.get("/notices/010204")).json()["notices"] == []
        assert (await scene.get("/notices/0102")).status_code == 422
    last_day = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    listed = {each["household_id"]: each for each in found["notices"]}
    assert {household: each["what"] for household, each in listed.items()} == {"h-1": "collect", "h-5": "ask"}
    assert (listed["h-1"]["until"], listed["h-1"]["where_said"]["en"]) == (last_day, "any Wing agent")
    assert "176" not in str(found)
