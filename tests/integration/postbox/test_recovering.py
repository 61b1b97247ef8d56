"""What a broker lost is noticed, and what is asked to be put right is, whoever noticed it first."""

import asyncio
from collections.abc import Iterable, Sequence

import pytest
from aiokafka import AIOKafkaConsumer

from postbox.packing import Parcel
from postbox.service import Service
from tests.faults import counting
from tests.integration.postbox.conftest import Scene
from tests.waiting import until

_WAITS = "select exists (select from pg_locks where not granted)"


async def test_a_log_that_ends_too_early_is_noticed_while_the_record_before_is_looked_for(
    scene: Scene,
) -> None:
    scene.settings.witness_every_s = 0
    await scene.add(1)
    async with scene.running() as service:
        await until(scene.all_done)
        await scene.db.execute("update position set next_offset = 50 where next_offset = 1")
        await until(lambda: _is_stopped(service))


async def test_who_recovers_before_the_watch_has_looked_need_not_recover_again(scene: Scene) -> None:
    scene.settings.watch_every_s = 3600
    await scene.add(1)
    async with scene.running() as service:
        await until(scene.all_done)
        # As after a power loss: what was done at offset 0 is gone, and another record stands there now.
        await scene.db.execute("update position set last_record = 7 where next_offset = 1")
        assert await _recover(scene, 3600) == 1
        await scene.add(2)
        await until(scene.all_done)
        assert not await _is_stopped(service)


async def test_a_partition_that_stood_longer_than_asked_for_skips_nothing(scene: Scene) -> None:
    await scene.add(1)
    async with scene.running():
        await until(scene.all_done)
        await scene.db.execute("update position set stopped = 'its log was cut' where next_offset = 1")
        await scene.add(2)
        assert await _recover(scene, 0.001) == 1
        await until(scene.all_done)
    assert await scene.effects() == [1, 2]


async def test_what_is_being_published_while_somebody_recovers_goes_out_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene.running() as service:
        sending, goes_on, send = asyncio.Event(), asyncio.Event(), service.publisher._send_rows

        async def sent_but_not_marked(rows: Iterable[tuple[int, Sequence[Parcel]]]) -> int:
            sent = await send(rows)
            sending.set()
            await goes_on.wait()
            return sent

        monkeypatch.setattr(service.publisher, "_send_rows", sent_but_not_marked)
        await scene.add(1)
        await sending.wait()
        recovering = asyncio.create_task(service.publisher.publish_again(3600))
        await until(lambda: scene.db.fetchval(_WAITS))
        goes_on.set()
        assert await recovering == 1
        await until(scene.all_done)
    assert len(await scene.on(counting.COUNTED)) == 2


async def test_the_watch_goes_on_when_a_cancellation_comes_out_of_a_client(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.settings.witness_every_s = 0
    stop, witnesses = AIOKafkaConsumer.stop, []

    async def stop_cancelled(consumer: AIOKafkaConsumer) -> None:
        await stop(consumer)
        if consumer._group_id is None:
            witnesses.append(consumer)
            raise asyncio.CancelledError

    monkeypatch.setattr(AIOKafkaConsumer, "stop", stop_cancelled)
    await scene.add(1)
    async with scene.running():
        await until(lambda: _reaches(witnesses, 2))


async def test_a_service_that_reads_nothing_publishes_again_all_the_same(scene: Scene) -> None:
    async with Service(
        "counting", scene.settings, migrations=[counting.MIGRATIONS]
    ).running() as scene.service:
        assert await _recover(scene, 3600) == 0


async def _reaches(some: Sequence[object], count: int) -> bool:
    return len(some) >= count


async def _recover(scene: Scene, since_s: float) -> int:
    answer = await scene.call("POST", f"/recover?since_s={since_s}")
    return len(answer.json()["rewound"])


async def _is_stopped(service: Service) -> bool:
    return any("is stopped" in reason for reason in await service.unready())
