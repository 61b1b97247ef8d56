"""Records that hold many messages, on the real stack: each message is handled, parked and held alone."""

import json
from typing import NoReturn

import pytest

from postbox.errors import BEHIND
from tests.faults import counting
from tests.integration.postbox.conftest import Scene
from tests.waiting import until

pytestmark = pytest.mark.stack


def bundle(*numbers: tuple[str, int, int | None]) -> bytes:
    """Numbers as one record: key, id and amount of each."""
    return json.dumps([{"key": key, "id": id_, "amount": amount} for key, id_, amount in numbers]).encode()


async def test_of_a_record_that_holds_many_messages_the_bad_ones_park_alone_and_hold_their_own_key(
    scene: Scene,
) -> None:
    whole = bundle(("a", 1, 1), ("b", 2, None), ("b", 3, 1), ("c", 4, -1), ("c", 5, 1), ("a", 6, 1))
    await scene.send(whole, b"a")
    async with scene.running():
        await until(scene.all_done)
        assert await scene.effects() == [1, 6]
        await scene.add(7, key="b")
        await scene.add(8, key="a")
        await until(scene.all_done)
        assert await scene.effects() == [1, 6, 8]
        listed = (await scene.call("GET", "/parked")).json()["parked"]
        bad = next(each["id"] for each in listed if each["item"] == 2)
        why = {"why": "it says nothing"}
        (await scene.call("POST", f"/parked/{bad}/dismiss", why)).raise_for_status()
        await until(scene.all_done)
    assert [(each["key"], each["item"], each["handling"]) for each in listed] == [
        ("b", 2, "park"),
        ("b", 3, "behind"),
        ("c", 4, "park"),
        ("c", 5, "behind"),
        ("b", 0, "behind"),
    ]
    assert await scene.effects() == [1, 3, 6, 7, 8]
    letters = await scene.on("counting.dead-letter.v1")
    assert [(each.value, dict(each.headers)["dead_letter_items"]) for each in letters] == [
        (whole, b"2"),
        (whole, b"4"),
    ]
    assert await scene.db.fetchval("select count(*) from bundle") == 1


async def test_a_message_of_a_bundle_that_breaks_its_batch_parks_alone_and_is_replayed_from_the_whole(
    scene: Scene,
) -> None:
    broken = {"key": "b", "id": 2, "amount": 1, "break": True}
    numbers = [{"key": "a", "id": 1, "amount": 1}, broken, {"key": "b", "id": 3, "amount": 1}]
    await scene.send(json.dumps(numbers).encode(), b"a")
    async with scene.running():
        await until(scene.all_done)
        assert await scene.effects() == [1]
        first = (await scene.call("GET", "/parked")).json()["parked"][0]["id"]
        await scene.db.execute("alter table effect drop constraint effect_id_check")
        assert (await scene.call("POST", f"/parked/{first}/replay")).json()["handled"] is True
    assert await scene.effects() == [-1, 1, 3]
    assert await scene.db.fetchval("select count(*) from bundle") == 0


async def test_a_bundle_that_could_not_be_read_is_taken_message_by_message_once_it_can(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise counting.NotANumber("value: not signed by anybody known")

    await scene.send(bundle(("a", 1, 1), ("b", 2, -1), ("b", 3, 1)), b"a")
    await scene.add(4, key="a")
    with monkeypatch.context() as patched:
        patched.setattr(counting, "decode", refuse)
        async with scene.running():
            await until(scene.all_done)
    assert [handling for handling, _ in await scene.parked()] == ["park", "behind"]
    async with scene.running():
        first = (await scene.call("GET", "/parked")).json()["parked"][0]["id"]
        assert (await scene.call("POST", f"/parked/{first}/replay")).json()["handled"] is True
        await until(scene.all_done)
    assert await scene.effects() == [1, 4]
    assert await scene.parked() == [("park", "negative"), ("behind", BEHIND)]
    of_a = [int(record.value) for record in await scene.on(counting.COUNTED) if record.key == b"a"]
    assert of_a == [1, 4]
