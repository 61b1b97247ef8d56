"""Payments that is killed while freezing and issuing goes on, and pays every household exactly once."""

import json
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from contracts import topics
from tests.integration.payments.conftest import CYCLE, Scene, family
from tests.integration.payments.payroll_scenes import decided, payroll_cycle
from tests.processes import answering_process
from tests.waiting import until

pytestmark = pytest.mark.stack
HOUSEHOLDS = 2500


@asynccontextmanager
async def process(scene: Scene) -> AsyncIterator[Process]:
    """Payments as a process of its own, which `scene` then talks to."""
    async with answering_process("services.payments.app", scene.settings) as (started, url):
        scene.service = SimpleNamespace(url=url)  # type: ignore[assignment]
        yield started


async def killed_once(scene: Scene, started: Process, condition: str) -> None:
    await until(lambda: scene.db.fetchval(condition))
    started.kill()
    await started.wait()


async def test_killed_while_freezing_and_twice_while_issuing_everybody_is_paid_once(scene: Scene) -> None:
    families = [family(f"h-{number:05}") for number in range(HOUSEHOLDS)]
    async with process(scene) as first:
        await payroll_cycle(scene, families, envelope=10**9, cap_payments=HOUSEHOLDS)
        (await scene.call("POST", f"/cycles/{CYCLE}/payrolls", by="Sokha")).raise_for_status()
        await killed_once(scene, first, "select freeze_after > '' from payroll")
    async with process(scene) as second:
        await until(lambda: scene.db.fetchval("select state = 'frozen' from payroll"))
        payroll = (await scene.call("GET", f"/cycles/{CYCLE}/payrolls/1")).json()
        await decided(scene, payroll, "Dara")
        (await scene.call("POST", f"/cycles/{CYCLE}/issue", by="Sokha")).raise_for_status()
        await killed_once(scene, second, "select payments >= 500 from spent")
    stopped_at = [await scene.db.fetchval("select payments from spent")]
    async with process(scene) as third:
        await killed_once(scene, third, f"select payments > {stopped_at[0]} from spent")
    stopped_at.append(await scene.db.fetchval("select payments from spent"))
    assert 500 <= stopped_at[0] < stopped_at[1] < HOUSEHOLDS
    async with process(scene):
        await until(lambda: scene.db.fetchval("select issue_after is null from cycle"))
        await scene.settled_down(parked=[])
        told = {record.key: json.loads(record.value) for record in await scene.on(topics.PAYMENT_ISSUED.name)}
        instructed = await scene.instructions()
    assert (payroll["households"], payroll["digest_of_lines"]) == (HOUSEHOLDS, payroll["digest"])
    assert await scene.db.fetchval("select count(*) from payment") == len(told) == HOUSEHOLDS
    # An instruction may be sent twice after a crash; its id is the same then, and it is paid once.
    ids = Counter(household for household, _ in {(each, said.instruction_id) for each, said in instructed})
    assert (len(ids), set(ids.values())) == (HOUSEHOLDS, {1})
    assert (await scene.balances())["in-transit"] == payroll["riel"] == HOUSEHOLDS * 100_000
