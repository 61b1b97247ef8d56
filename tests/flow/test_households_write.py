"""Households write back over the whole system: complaints get numbers, STOP gets silence."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio

from contracts.topics import GRIEVANCE_OPENED
from tests.flow.conftest import Run
from tests.flow.test_revisions_and_exits import eventually, whole_again
from tests.integration.registration.conftest import form
from tonle import check
from tonle.monitor import Monitor

pytestmark = pytest.mark.stack
HOTLINE = "023 000 000"
ACTIONS = ["household.register", "household.read", "household.revise", "household.grievances"]


@dataclass(frozen=True)
class Town:
    """An office's HTTP client, and the gateway that all telephones are at."""

    office: httpx.AsyncClient
    gateway: httpx.AsyncClient

    async def register(self, number: int, **cells: str) -> str:
        """A household at the desk that nothing is paid to; its id."""
        sent = form(number, reference=f"W-{number}", level="none", **cells)
        answer = await self.office.post(
            "/households", json=sent.model_dump(), headers={"Idempotency-Key": f"w-{number}"}
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["household_id"])

    async def write(self, phone: str, text: str) -> None:
        """Somebody writes an SMS."""
        told = {"from": phone, "to": "1234", "text": text}
        assert (await self.gateway.get("/handset", params=told)).json() == {"told": True}

    async def texts(self, phone: str, count: int) -> list[str]:
        """What a telephone got, the oldest first, once it is so many."""

        async def there() -> bool:
            return len(await self._inbox(phone)) >= count

        assert await eventually(there), await self._inbox(phone)
        return list(reversed(await self._inbox(phone)))

    async def grievances(self, household: str, count: int) -> list[dict[str, object]]:
        """A household's open complaints, once they are so many."""
        found: list[dict[str, object]] = []

        async def there() -> bool:
            answer = await self.office.get("/grievances", params={"household_id": household})
            found[:] = answer.json()
            return len(found) >= count

        assert await eventually(there)
        return found

    async def _inbox(self, phone: str) -> list[str]:
        return [each["text"] for each in (await self.gateway.get("/inbox", params={"to": phone})).json()]


@pytest_asyncio.fixture(scope="module")
async def town(run: Run) -> AsyncIterator[Town]:
    state = run.stack.state
    url, admin = state.services["registration"].url, {"Authorization": f"Bearer {state.tokens['admin']}"}
    async with httpx.AsyncClient(verify=False, base_url=url, headers=admin) as http:
        answer = await http.post("/callers", json={"name": "writing", "actions": ACTIONS})
    office = {"Authorization": f"Bearer {answer.json()['token']}"}
    gateway = state.simulators["gateway"].url
    async with (
        httpx.AsyncClient(verify=False, base_url=url, headers=office, timeout=30) as desk,
        httpx.AsyncClient(verify=False, base_url=gateway, timeout=30) as phones,
    ):
        yield Town(desk, phones)


async def complaints_heard(run: Run) -> int:
    """How many complaints were opened, once notifications has heard of all of them."""
    found = [0]
    async with Monitor(run.stack.state) as monitor:

        async def there() -> bool:
            (line,) = [each for each in await monitor.topics() if each.topic.endswith(GRIEVANCE_OPENED.name)]
            found[0] = line.messages
            return line.lag["notifications"] == 0

        assert await eventually(there)
    return found[0]


async def test_a_complaint_by_sms_gets_its_number_and_its_outcome_by_sms(town: Town) -> None:
    phone = "+85512990901"
    household = await town.register(901, phone=phone, language="en")
    (registered,) = await town.texts(phone, 1)
    assert "registered" in registered
    await town.write(phone, "complaint: no money came")
    (grievance,) = await town.grievances(household, 1)
    number = str(grievance["number"])
    assert number in (await town.texts(phone, 2))[1]
    shown = (await town.office.get(f"/grievances/{number}")).json()
    assert (shown["text"], shown["channel"]) == ("complaint: no money came", "sms")
    for verb in ("acknowledge", "take", "resolve"):
        answer = await town.office.post(f"/grievances/{number}/{verb}", json={"note": "paid again"})
        assert answer.status_code == 200, answer.text
    told = await town.texts(phone, 4)
    assert [number in each for each in told] == [False, True, True, True]
    assert "settled" in told[3]


async def test_stop_and_help_are_answered_and_who_asked_for_silence_has_it_until_start(
    run: Run, town: Town
) -> None:
    phone = "+85512990902"
    household = await town.register(902, phone=phone, language="en")
    await town.texts(phone, 1)
    await town.write(phone, "help")
    assert HOTLINE in (await town.texts(phone, 2))[1]
    await town.write(phone, "ឈប់")
    assert len(await town.texts(phone, 3)) == 3
    before = await complaints_heard(run)
    for number, text in enumerate(("complaint: still nothing", "complaint: and nothing"), 1):
        await town.write(phone, text)
        await town.grievances(household, number)

    async def both_are_heard() -> bool:
        return await complaints_heard(run) == before + 2

    assert await eventually(both_are_heard)
    await town.write(phone, "START")
    told = await town.texts(phone, 4)
    assert len(told) == 4
    assert not any("G-" in each for each in told)


async def test_a_household_that_shares_its_phone_is_told_at_its_fallback_contact(town: Town) -> None:
    shared, fallback = "+85512990903", "+85512990904"
    await town.register(903, phone=shared, language="en")
    await town.texts(shared, 1)
    await town.register(904, phone=shared, fallback_phone=fallback, language="en")
    (told,) = await town.texts(fallback, 1)
    assert "registered" in told
    assert len(await town.texts(shared, 1)) == 1


async def test_all_that_was_written_and_answered_adds_up(run: Run, town: Town) -> None:
    audit = await whole_again(run)
    assert [line for line in check.lines(audit) if line.startswith("✗")] == []
    assert audit.passed
