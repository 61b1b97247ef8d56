"""After the run: a household is revised, another leaves, and every record still says the same."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
import pytest_asyncio

from tests.flow.conftest import Run
from tonle import check, story
from tonle.check import Audit
from tonle.story import Step

pytestmark = pytest.mark.stack
PATIENCE_S = 60


@pytest_asyncio.fixture(scope="module")
async def registrar(run: Run) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who may revise households and let them exit."""
    url, token = run.stack.state.services["registration"].url, run.stack.state.tokens["admin"]
    actions = ["household.read", "household.revise", "household.exit"]
    async with httpx.AsyncClient(
        verify=False, base_url=url, headers={"Authorization": f"Bearer {token}"}
    ) as admin:
        answer = await admin.post("/callers", json={"name": "revising", "actions": actions})
    headers = {"Authorization": f"Bearer {answer.json()['token']}"}
    async with httpx.AsyncClient(verify=False, base_url=url, headers=headers, timeout=30) as http:
        yield http


async def eventually(holds: Callable[[], Awaitable[bool]]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not await holds():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.2)
    return True


async def paid_households(run: Run) -> list[str]:
    """Those whose payment was settled, but for the one whose story the run shows."""
    url, token = run.stack.state.services["payments"].url, run.stack.state.tokens["admin"]
    async with httpx.AsyncClient(verify=False, headers={"Authorization": f"Bearer {token}"}) as http:
        found = (await http.get(f"{url}/payments?state=settled&most=50")).json()
    return [each["household_id"] for each in found if each["household_id"] != run.done.shown.household_id]


async def told(run: Run, household: str) -> list[Step]:
    def client(service: str) -> httpx.Client:
        state = run.stack.state
        headers = {"Authorization": f"Bearer {state.tokens['admin']}"}
        return httpx.Client(verify=False, base_url=state.services[service].url, headers=headers)

    return await asyncio.to_thread(story.read, client, household)


async def whole_again(run: Run) -> Audit:
    """The audit, once nothing is on its way any more."""
    audit = await check.audit(run.stack.state)
    deadline = time.monotonic() + PATIENCE_S
    while not audit.passed and time.monotonic() < deadline:
        audit = await check.audit(run.stack.state)
    return audit


async def test_a_revision_after_payment_becomes_a_correction(run: Run, registrar: httpx.AsyncClient) -> None:
    household = (await paid_households(run))[0]
    current = (await registrar.get(f"/households/{household}")).json()
    form = current["household"]
    form["members"].append({**form["members"][-1], "relation": "other", "national_id": None})
    answer = await registrar.put(
        f"/households/{household}", json={"replaces": current["revision"], "household": form}
    )
    assert answer.status_code == 200, answer.text

    async def corrected() -> bool:
        return "correction recorded" in [step.what for step in await told(run, household)]

    assert await eventually(corrected)
    audit = await whole_again(run)
    assert [line for line in check.lines(audit) if line.startswith("✗")] == []
    found = next(each for each in audit.findings if each.comparison.name == "each correction was told")
    assert (found.left, found.right) == (1, 1)


async def test_a_household_that_leaves_is_void_and_nothing_is_lost(
    run: Run, registrar: httpx.AsyncClient
) -> None:
    household = (await paid_households(run))[1]
    answer = await registrar.post(f"/households/{household}/exit", json={"reason": "moved"})
    assert answer.status_code == 200, answer.text
    audit = await whole_again(run)
    assert [line for line in check.lines(audit) if line.startswith("✗")] == []
    found = next(each for each in audit.findings if each.comparison.name == "each exit was told")
    assert (found.left, found.right) == (1, 1)
    assert "exited" in [step.what for step in await told(run, household)]
