"""Payments is told that a cycle is answered: a partition at a time, once, and never before it is true."""

from collections import Counter

import pytest

from contracts import topics, wire
from contracts.cycle import CycleState
from contracts.eligibility import EligibilityCompleted
from contracts.wire import Received
from services.eligibility import app
from services.eligibility.completing import tell_completed
from tests.broker import everything
from tests.integration.eligibility.conftest import Scene
from tests.unit.eligibility.samples import CYCLE, cycle_changed, exited
from tests.waiting import until

pytestmark = pytest.mark.stack
TOLD = "select count(*) from answer where told_at is not null"


async def completed(scene: Scene) -> list[Received[EligibilityCompleted]]:
    name = topics.ELIGIBILITY_COMPLETED.name
    records = await everything(scene.settings, scene.db, name)
    found = [wire.decode(EligibilityCompleted, name, r.key, r.value, r.headers) for r in records]
    return sorted(found, key=lambda each: each.data.partition)


async def answered_below(scene: Scene) -> dict[int, int]:
    """The end of the last answer that names the cycle, by partition."""
    name = topics.ELIGIBILITY_SCORED.name
    return Counter(
        {
            record.partition: record.offset + 1
            for record in await everything(scene.settings, scene.db, name)
            if CYCLE.encode() in record.value
        }
    )


async def test_each_partition_is_told_once_with_every_answer_below_the_offset_it_names(scene: Scene) -> None:
    names = [f"h-{number}" for number in range(40)]
    async with scene.running():
        await scene.register(*names)
        await until(lambda: scene.counts(refused=40))
        await scene.tell(exited("h-7"), cycle_changed())
        await until(lambda: scene.db.fetchval(f"{TOLD} having count(*) = 2"))
        await until(lambda: scene.counts(eligible=39, caseloads_running=0))
        assert await tell_completed(scene.service) is False
        told = await completed(scene)
    assert [(each.key, each.sequence, each.data.partitions) for each in told] == [
        (f"{CYCLE}/{partition}", 1, 2) for partition in range(2)
    ]
    below = await answered_below(scene)
    assert all(each.data.answered_below >= below[each.data.partition] for each in told)
    assert {each.data.unanswered for each in told} == {0}


async def test_who_registered_before_the_opening_and_is_not_read_yet_holds_the_answer_back(
    scene: Scene,
) -> None:
    async with scene.running():
        await scene.register("h-1")
        await until(lambda: scene.counts(refused=1))
    # What is registered while the process rests is read after the cycle is: its topic comes later.
    await scene.register(*(f"h-{number}" for number in range(2, 60)))
    await scene.tell(cycle_changed())
    async with scene.running(batch_records=5):
        await until(lambda: scene.db.fetchval(f"{TOLD} having count(*) = 2"))
        below = {each.data.partition: each.data.answered_below for each in await completed(scene)}
        await until(lambda: scene.counts(eligible=59))
    assert len(await scene.scored()) >= 59
    ends = await answered_below(scene)
    assert ends
    assert [partition for partition, end in ends.items() if end > below[partition]] == []


async def test_two_processes_tell_it_once(scene: Scene) -> None:
    async with scene.running(), app.service(scene.settings).running():
        await scene.register(*(f"h-{number}" for number in range(30)))
        await scene.tell(cycle_changed())
        await until(lambda: scene.db.fetchval(f"{TOLD} having count(*) = 2"))
        await until(lambda: scene.counts(eligible=30))
        assert len(await completed(scene)) == 2


async def test_a_cycle_that_was_refused_and_opened_again_is_told_again(scene: Scene) -> None:
    async with scene.running():
        await scene.register("h-1")
        await scene.tell(cycle_changed())
        await until(lambda: scene.db.fetchval(f"{TOLD} having count(*) = 2"))
        await scene.tell(cycle_changed(CycleState.REFUSED, 2, minute=1), cycle_changed(version=3, minute=2))
        await until(lambda: scene.db.fetchval(f"{TOLD} having count(*) = 4"))
        told = await completed(scene)
    assert sorted(each.sequence for each in told) == [1, 1, 3, 3]
