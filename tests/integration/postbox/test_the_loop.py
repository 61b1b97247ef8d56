"""The loop on a real broker and a real database: every message is handled once, or parked with its reason."""

import asyncio
from collections.abc import Sequence

import cramjam
import msgpack
import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from postbox import outbox, reading
from postbox.batch import Loop
from postbox.listening import MANY_RECORDS
from postbox.message import Batch, Connection, Outgoing, Subscription
from postbox.service import Job, Service
from tests.broker import as_admin
from tests.faults import counting
from tests.integration.postbox.conftest import Scene
from tests.waiting import until


async def test_every_message_has_one_effect_and_one_outgoing_record(scene: Scene) -> None:
    for number in range(30):
        await scene.add(number, key=f"k{number % 5}")
    async with scene.running():
        await until(scene.all_done)
    assert await scene.effects() == list(range(30))
    assert sorted(int(record.value) for record in await scene.on(counting.COUNTED)) == list(range(30))


async def test_a_job_that_a_handler_wakes_runs_once_its_batch_is_committed(scene: Scene) -> None:
    seen: list[int] = []

    async def look(service: Service) -> bool:
        seen.append(await service.db.fetchval("select count(*) from effect"))
        return False

    async def count_and_wake(batch: Batch[counting.Number], db: Connection) -> Sequence[Outgoing]:
        batch.wakes.add("look")
        return await counting.count(batch, db)

    service = Service(
        "counting",
        scene.settings,
        subscriptions=[Subscription(counting.ADDED, counting.decode, count_and_wake, counting.Number)],
        jobs=[Job("look", look, every_s=3600)],
        migrations=[counting.MIGRATIONS],
    )

    async def has_seen(count: int) -> bool:
        return count in seen

    async with service.running():
        await until(lambda: has_seen(0))
        await scene.add(1)
        await until(lambda: has_seen(1))


async def test_bad_records_park_with_their_reason_and_their_neighbours_go_on(scene: Scene) -> None:
    await scene.add(1, key="a")
    await scene.send(b'{"id": 1, "am', b"b")
    await scene.send(b'{"id": "x"}', b"c", [("traceparent", None)])
    await scene.send(b"\xff\xfe", b"d", [("any", b"\xff")])
    await scene.send(None, b"e")
    await scene.send(b'{"id": 2, "amount": 1}', b"\xff")
    await scene.send(b'{"id": 2, "am', b"a\x00b")
    await scene.add(3, key="f", **{"break": True})
    await scene.add(4, key="g")
    async with scene.running():
        await until(scene.all_done)
    assert await scene.effects() == [1, 4]
    reasons = [reason for _, reason in await scene.parked()]
    assert reasons.count("value: not a number") == 6
    assert reasons.count("error: CheckViolationError (effect_id_check)") == 1


async def test_what_a_service_does_not_want_is_passed_over_undecoded(scene: Scene) -> None:
    service = Service(
        "counting",
        scene.settings,
        subscriptions=[
            Subscription(
                counting.ADDED,
                counting.decode,
                counting.count,
                counting.Number,
                wants=lambda value: b"amount" in value,
            )
        ],
        migrations=[counting.MIGRATIONS],
    )
    await scene.send(b"no number")
    await scene.add(1)
    async with service.running():
        await until(scene.all_done)
    assert await scene.effects() == [1]
    assert await scene.parked() == []


async def test_only_the_guilty_message_of_a_thousand_parks_when_the_database_refuses_it(scene: Scene) -> None:
    for number in range(1000):
        await scene.add(number, key=f"k{number % 7}", **({"break": True} if number == 500 else {}))
    async with scene.running(holds=False):
        await until(scene.all_done)
    assert await scene.effects() == [number for number in range(1000) if number != 500]
    assert await scene.parked() == [("park", "error: CheckViolationError (effect_id_check)")]


async def test_a_dead_letter_carries_the_original_bytes_and_headers(scene: Scene) -> None:
    await scene.send(b"\x00\xff not json", b"a", [("mine", b"\xfe")])
    async with scene.running():
        await until(scene.all_done)
    (letter,) = await scene.on("counting.dead-letter.v1")
    headers = dict(letter.headers)
    assert (letter.key, letter.value, headers["mine"]) == (b"a", b"\x00\xff not json", b"\xfe")
    assert headers["dead_letter_reason"] == b"value: not a number"
    assert headers["dead_letter_topic"].endswith(counting.ADDED.encode())


async def test_a_message_of_a_megabyte_that_cannot_be_handled_still_fits_the_dead_letter_topic(
    scene: Scene,
) -> None:
    await scene.send(b"x" * 1_000_000, b"a")
    async with scene.running():
        await until(scene.all_done)
    (letter,) = await scene.on("counting.dead-letter.v1")
    assert len(letter.value) == 1_000_000


async def test_what_waits_goes_on_in_order_when_its_answer_comes(scene: Scene) -> None:
    await scene.add(1, amount=0, key="a")
    await scene.add(2, amount=5, key="a")
    await scene.add(3, amount=5, key="b")
    async with scene.running():
        await until(scene.all_done)
        assert await scene.effects() == [3]
        assert [handling for handling, _ in await scene.parked()] == ["wait", "behind"]
        await scene.send(b'{"id": 0, "amount": 0}', b"a", topic=counting.ANSWERED)
        await until(lambda: scene.db.fetchval("select count(*) = 3 from effect"))
        await until(scene.all_done)
    of_a = [int(record.value) for record in await scene.on(counting.COUNTED) if record.key == b"a"]
    assert of_a == [1, 2]
    assert await scene.parked() == []
    assert await scene.db.fetchval("select count(*) from hold") == 0


async def test_what_comes_later_waits_behind_a_message_that_was_parked_before(scene: Scene) -> None:
    await scene.add(1, amount=-1, key="a")
    async with scene.running():
        await until(scene.all_done)
        await scene.add(2, key="a")
        await scene.add(3, key="b")
        await until(scene.all_done)
    assert await scene.effects() == [3]
    assert [handling for handling, _ in await scene.parked()] == ["park", "behind"]


async def test_what_waited_too_long_becomes_a_dead_letter(scene: Scene) -> None:
    scene.settings.park_deadline_s = 0.1
    await scene.add(1, amount=0, key="a")
    async with scene.running():
        await until(lambda: scene.db.fetchval("select count(*) = 1 from parked where handling = 'park'"))
        await until(scene.all_done)
    assert len(await scene.on("counting.dead-letter.v1")) == 1


async def test_a_parked_message_is_replayed_after_a_fix_with_all_that_waited_behind_it(scene: Scene) -> None:
    await scene.add(7, key="a", **{"break": True})
    await scene.add(8, key="a")
    async with scene.running():
        await until(scene.all_done)
        assert await scene.effects() == []
        listed = (await scene.call("GET", "/parked")).json()
        assert listed["counts"] == {"wait": 0, "behind": 1, "park": 1, "held": 1}
        first = listed["parked"][0]["id"]
        assert (await scene.call("POST", f"/parked/{first}/replay")).json()["handled"] is False
        await scene.db.execute("alter table effect drop constraint effect_id_check")
        assert (await scene.call("POST", f"/parked/{first}/replay")).json()["handled"] is True
    assert await scene.effects() == [-1, 8]
    assert await scene.db.fetchval("select count(*) from hold") == 0


async def test_records_delivered_again_from_the_start_change_nothing(scene: Scene) -> None:
    for number in range(20):
        await scene.add(number)
    async with scene.running():
        await until(scene.all_done)
    await _forget_the_groups_offsets(scene)
    await scene.add(20)
    async with scene.running() as service:
        await until(scene.all_done)
        absorbed = service.metrics.absorbed.labels("position")._value.get()
    assert await scene.effects() == list(range(21))
    assert absorbed >= 20


async def test_a_stale_prefetch_that_takes_several_transactions_jumps_over_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle, seen = Loop.handle, list[ConsumerRecord]()

    async def miss_the_first(
        loop: Loop, polled: Sequence[ConsumerRecord], consumer: AIOKafkaConsumer
    ) -> None:
        found = polled if seen else polled[1:]
        seen.extend(polled)
        await handle(loop, found, consumer)

    monkeypatch.setattr(Loop, "handle", miss_the_first)
    monkeypatch.setattr(reading, "SHARE_BYTES", 1)
    for number in range(6):
        await scene.add(number)
    async with scene.running():
        await until(scene.all_done)
    assert await scene.effects() == list(range(6))


async def test_a_service_that_gathers_goes_on_once_nothing_comes(scene: Scene) -> None:
    scene.settings = scene.settings.model_copy(update={"gather_ms": 600_000})
    for number in range(MANY_RECORDS):
        await scene.add(number)
    async with scene.running():
        await until(scene.all_done)
    assert len(await scene.effects()) == MANY_RECORDS


async def test_what_a_crash_left_in_a_lane_goes_out_before_what_follows(scene: Scene) -> None:
    await scene.add(1, key="a")
    async with scene.running():
        await until(scene.all_done)
    lane = await scene.db.fetchval("select lane from outbox")
    await outbox.write(scene.db, lane, [counting.Counted(counting.COUNTED, b"a", b"99", (("a", b"b"),))])
    await scene.add(2, key="a")
    async with scene.running():
        await until(scene.all_done)
    assert [int(record.value) for record in await scene.on(counting.COUNTED)] == [1, 99, 2]


async def test_what_the_version_before_left_in_the_outbox_goes_out(scene: Scene) -> None:
    """It packed records one by one, where batches are kept now (ADR 0052)."""
    record = (counting.COUNTED, b"a", b"7", (("a", b"b"),), None)
    packed = bytes(cramjam.zstd.compress(msgpack.packb([record, record]), 1))
    await scene.db.execute(
        "with row as (insert into outbox (lane, strand, message_count) values ('api', $1, 2) returning id) "
        "insert into outbox_page select id, 0, $2 from row",
        outbox.partition_of(b"a", outbox.STRANDS),
        packed,
    )
    async with scene.running():
        await until(scene.all_done)
    found = [(each.key, each.value, each.headers) for each in await scene.on(counting.COUNTED)]
    assert found == [(b"a", b"7", (("a", b"b"),))] * 2


async def test_what_one_lane_says_of_a_key_never_overtakes_what_another_said_before(scene: Scene) -> None:
    async with scene.running() as service:
        async with service.db.acquire() as db, db.transaction():
            for number, lane in enumerate(("import", "api")):
                record = counting.Counted(counting.COUNTED, b"a", str(number).encode(), ())
                await outbox.write(db, lane, [record])
        await service.publisher.publish("api")
        await until(scene.all_done)
    assert [int(record.value) for record in await scene.on(counting.COUNTED)] == [0, 1]


async def test_what_was_just_written_is_published_without_being_read_back(scene: Scene) -> None:
    async with scene.running() as service:
        async with service.db.acquire() as db, db.transaction():
            written = await outbox.write(db, "api", [counting.Counted(counting.COUNTED, b"a", b"1", ())])
            await db.execute("update outbox_page set part = 'unreadable'")
        assert await service.publisher.publish("api", written=written) == 1
        await until(scene.all_done)
    assert [int(record.value) for record in await scene.on(counting.COUNTED)] == [1]


async def test_a_batch_is_decided_while_the_last_is_on_its_way_and_goes_out_after_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = asyncio.Event()
    async with scene.running() as service:
        publish = service.publisher.publish

        async def publish_later(*lanes: str, written: outbox.Written | None = None) -> int:
            await on.wait()
            return await publish(*lanes, written=written)

        monkeypatch.setattr(service.publisher, "publish", publish_later)
        await scene.add(1, key="a")
        await until(lambda: _has_effects(scene, [1]))
        await scene.add(2, key="a")
        await until(lambda: _has_effects(scene, [1, 2]))
        assert await scene.on(counting.COUNTED) == []
        on.set()
        await until(scene.all_done)
    assert [int(record.value) for record in await scene.on(counting.COUNTED)] == [1, 2]


async def test_a_position_past_the_end_of_its_log_stops_the_partition_and_says_so(scene: Scene) -> None:
    await scene.add(1, key="a")
    async with scene.running():
        await until(scene.all_done)
    await scene.db.execute("update position set next_offset = 50 where next_offset = 1")
    async with scene.running():
        await until(lambda: _stopped(scene, "its log ends at 1"))


async def test_what_a_restored_database_has_not_done_is_read_again_by_itself(
    scene: Scene,
) -> None:
    await scene.add(1, key="a")
    async with scene.running():
        await until(scene.all_done)
        await scene.db.execute("delete from effect")
        await scene.db.execute("update position set next_offset = 0, last_record = null")
        await until(lambda: scene.db.fetchval("select count(*) = 1 from effect"))


async def test_messages_that_nobody_publishes_make_a_service_unready(scene: Scene) -> None:
    async with scene.running() as service:
        await scene.db.execute(
            "insert into outbox (lane, strand, message_count, created_at) "
            "values ('', 0, 1, now() - interval '1 minute')"
        )
        reasons = await service.unready()
    assert any("wait to be published" in reason for reason in reasons)


async def test_a_log_that_was_cut_and_written_on_stops_and_is_recovered_without_loss(scene: Scene) -> None:
    await scene.add(1, key="a")
    async with scene.running():
        await until(scene.all_done)
    # As after a power loss: what was done at offset 0 is gone, and others stand there now.
    await scene.db.execute("update position set last_record = 7 where next_offset = 1")
    await scene.add(2, key="a")
    async with scene.running():
        await until(lambda: _stopped(scene, "written on"))
        answer = (await scene.call("POST", "/recover?since_s=3600")).json()
        assert answer["published_again"] >= 1
        assert len(answer["rewound"]) == 1
        await until(scene.all_done)
        await until(lambda: scene.db.fetchval("select count(distinct id) = 2 from effect"))
    assert len(await scene.on(counting.COUNTED)) >= 3


async def _has_effects(scene: Scene, wanted: list[int]) -> bool:
    return await scene.effects() == wanted


async def _forget_the_groups_offsets(scene: Scene) -> None:
    consumer = AIOKafkaConsumer(**as_admin(scene.settings), group_id=f"{scene.settings.topic_prefix}counting")
    await consumer.start()
    name = scene.settings.topic_prefix + counting.ADDED
    places = [TopicPartition(name, 0), TopicPartition(name, 1)]
    consumer.assign(places)
    await consumer.commit(dict.fromkeys(places, 0))
    await consumer.stop()


async def _stopped(scene: Scene, why: str) -> bool:
    answer = await scene.call("GET", "/health/ready")
    return answer.status_code == 503 and why in answer.text
