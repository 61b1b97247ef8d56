"""From an issued payment to an SMS, or to the reason why there is none."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts import topics
from contracts.household import KeyState
from contracts.sms import SmsSent, SmsUpdated
from contracts.wire import Record
from services.notifications import steps, store
from services.notifications.sms import NewSms
from tests.integration.notifications.conftest import PHONE, SENDER, Gateway, Scene
from tests.waiting import until

pytestmark = pytest.mark.stack


async def test_a_payment_is_told_once_in_khmer_and_announced_in_the_same_trace(
    scene: Scene, gateway: Gateway
) -> None:
    await gateway.start()
    async with scene.running():
        await scene.household("h-1")
        payment = await scene.issue("h-1", contact="full")
        await until(lambda: scene.ended(1))
        (told,) = await gateway.inbox()
        assert (told["to"], told["from"]) == (PHONE, SENDER)
        assert told["text"].startswith("សូមជម្រាបថា លោកអ្នកទទួលបាន ១៧៦,០០០ រៀល")
        (sent,) = await scene.on(topics.SMS_SENT, SmsSent)
        assert (sent.data.payment_id, sent.data.segments, sent.data.encoding) == (payment, 3, "ucs-2")
        assert (sent.data.sms_id, sent.data.language) == (told["sms_id"], "km")
        assert (sent.key, sent.traceparent[:35]) == ("h-1", "00-" + "1" * 32)
    traces = (scene.settings.data_dir / "traces" / "notifications.jsonl").read_text().splitlines()
    spans = {span["span_id"]: span for span in map(json.loads, traces) if span["trace_id"] == "1" * 32}
    (handed_over,) = [span for span in spans.values() if span["name"] == "sms"]
    assert spans[handed_over["parent_id"]]["name"] == topics.PAYMENT_UPDATED.name


async def test_each_household_without_phone_or_wish_is_recorded_with_its_reason(
    scene: Scene, gateway: Gateway
) -> None:
    await gateway.start()
    for household in ("h-1", "h-2", "h-3", "h-4"):
        await scene.household(household)
    await scene.household("h-4", KeyState.DESTROYED)
    await scene.issue("h-1", phone=None)
    await scene.issue("h-2", contact="none")
    await scene.issue("h-3", contact="neutral", language="en")
    await scene.issue("h-4")
    async with scene.running():
        await until(lambda: scene.ended(4))
        assert [sms["text"][:34] for sms in await gateway.inbox()] == ["A social transfer of 176,000 riel "]
        summary = (await scene.get("/summary")).json()
    assert {name: count for name, count in summary.items() if count} == {
        "sent": 1,
        "none": 3,
        "none_no_phone": 1,
        "none_no_wish": 1,
        "none_forgotten": 1,
        "segments": 1,
        "payments_accepted": 4,
        "told_sent": 1,
        "told_none": 3,
    }


async def test_a_payment_whose_key_comes_later_is_told_then(scene: Scene, gateway: Gateway) -> None:
    await gateway.start()
    async with scene.running(park_retry_s=60.0):
        await scene.issue("h-1")
        await scene.household("h-2")
        await scene.issue("h-2")
        await until(lambda: scene.ended(1))
        await scene.household("h-1")
        await until(lambda: scene.ended(2))
    assert len(await gateway.inbox()) == 2


async def test_that_a_payment_is_ready_may_be_heard_before_what_it_is(scene: Scene, gateway: Gateway) -> None:
    await gateway.start()
    await scene.household("h-1")
    await scene.report("h-1")
    async with scene.running():
        await until(lambda: scene.db.fetchval("select exists (select from payment where programme is null)"))
        await scene.issue("h-1")
        await until(lambda: scene.ended(1))
    assert await scene.db.fetchval("select (state, amount) = ('accepted', 176000) from payment")


async def test_an_event_that_is_published_twice_is_told_once(scene: Scene, gateway: Gateway) -> None:
    await gateway.start()
    await scene.household("h-1")
    for _ in range(3):
        await scene.issue("h-1", 1)
    await scene.issue("h-1", 2)
    async with scene.running():
        await scene.issue("h-1", 1)
        await scene.issue("h-1", 3)
        await until(lambda: scene.ended(3))
        await scene.household("h-1", KeyState.DESTROYED)
        await until(lambda: _destroyed(scene))
        await scene.issue("h-1", 2)
        await scene.issue("h-1", 4)
        await until(lambda: scene.ended(4))
    assert await scene.states() == {"sent": 3, "none": 1}
    assert len(await gateway.inbox()) == 3
    assert (await gateway.summary())["duplicates_absorbed"] == 0


async def test_sms_decided_on_together_with_one_that_is_there_wait_once_each(scene: Scene) -> None:
    now = datetime.now(UTC)
    first, second = (
        NewSms(f"s-{number}", "h-1", None, steps.REGISTERED, "e-1", "c-1", "", now, 3) for number in (1, 2)
    )
    later = first._replace(sms_id="s-3", not_before=now + timedelta(hours=1))
    for together in ([first], [first, second, second, later]):
        async with scene.db.transaction():
            await store.add(scene.db, together)
    waiting = await scene.db.fetch("select unnest(sms_ids) as id, not_before > now() from sms_due order by 1")
    assert [tuple(row) for row in waiting] == [("s-1", False), ("s-2", False), ("s-3", True)]
    assert await scene.states() == {"queued": 2, "waiting": 1}


async def test_what_the_gateway_refuses_has_failed_and_what_it_never_answers_is_unknown(
    scene: Scene, gateway: Gateway
) -> None:
    await gateway.start(refused=0.4, silent=0.3)
    for number in range(30):
        await scene.household(f"h-{number}")
        await scene.issue(f"h-{number}")
    async with scene.running():
        await until(lambda: scene.ended(30))
    states, summary = await scene.states(), await gateway.summary()
    assert set(states) == {"sent", "failed", "unknown"}
    # Each unknown one did arrive, and none was sent again.
    assert summary["accepted"] == states["sent"] + states["unknown"]
    assert (summary["duplicates_absorbed"], summary["refused"]) == (0, states["failed"])
    updates = await scene.on(topics.SMS_UPDATED, SmsUpdated)
    said = sorted((update.data.status.value, update.data.reason) for update in updates)
    refused = [("failed", "gateway-403")] * states["failed"]
    assert said == refused + [("unknown", "timeout")] * states["unknown"]


async def test_sms_wait_while_the_gateway_is_away_and_go_when_it_is_back(
    scene: Scene, gateway: Gateway
) -> None:
    await scene.household("h-1")
    await scene.issue("h-1")
    async with scene.running():
        await until(lambda: _tried(scene, 2))
        assert await scene.states() == {"queued": 1}
        await gateway.start()
        await until(lambda: scene.ended(1))
    assert len(await gateway.inbox()) == 1


async def test_a_key_destroyed_while_its_sms_waits_means_it_is_not_sent(
    scene: Scene, gateway: Gateway
) -> None:
    await scene.household("h-1")
    await scene.issue("h-1")
    async with scene.running():
        await until(lambda: _tried(scene, 1))
        await scene.household("h-1", KeyState.DESTROYED)
        await until(lambda: _destroyed(scene))
        await gateway.start()
        await until(lambda: scene.ended(1))
    assert await gateway.inbox() == []
    assert await scene.db.fetchval("select reason from sms") == "forgotten"


async def test_a_wrong_password_fails_no_sms(scene: Scene, gateway: Gateway) -> None:
    await gateway.start()
    await scene.household("h-1")
    await scene.issue("h-1")
    async with scene.running(gateway_user="nobody"):
        await until(lambda: _tried(scene, 1))
    assert await scene.db.fetchval("select reason from sms where state = 'queued'") == "gateway-login"
    async with scene.running():
        await until(lambda: scene.ended(1))


async def test_an_unreadable_payment_parks_and_its_neighbours_are_told(
    scene: Scene, gateway: Gateway
) -> None:
    await gateway.start()
    await scene.household("h-1")
    await scene.send(Record(topics.PAYMENT_ISSUED.name, b"h-1", b'{"payment_id": "p-', (("ce_id", b"1"),)))
    await scene.issue("h-1")
    async with scene.running():
        await until(lambda: scene.ended(1))
        parked = [tuple(row) for row in await scene.db.fetch("select handling, reason from parked")]
        assert parked == [("park", "value: json_invalid")]


async def test_the_story_and_the_lists_tell_all_but_number_and_text(scene: Scene, gateway: Gateway) -> None:
    await gateway.start()
    await scene.household("h-1")
    await scene.issue("h-1", 1, language="en")
    async with scene.running():
        await until(lambda: scene.ended(1))
        await scene.issue("h-1", 2, phone=None)
        await until(lambda: scene.ended(2))
        story = (await scene.get("/households/h-1/story")).json()
        assert {told["what"] for told in story} == {"SMS sent", "no SMS: no-phone"}
        assert {(told["service"], told["trace_id"]) for told in story} == {("notifications", "1" * 32)}
        listed = (await scene.get("/sms", state="none", reason="no-phone", household="h-1")).json()
        assert [sms["payment_id"] for sms in listed] == ["h-1-2"]
        assert (await scene.get("/sms", after="zzzz")).json() == []
        assert (await scene.get("/households/h-2/story")).json() == []
        assert 'notifications_sms_total{outcome="sent"} 1.0' in (await scene.get("/metrics")).text


async def test_no_number_name_or_text_is_kept_or_logged_or_traced(
    scene: Scene, gateway: Gateway, capfd: pytest.CaptureFixture[str]
) -> None:
    await gateway.start(silent=0.5)
    for number in range(10):
        await scene.household(f"h-{number}")
        await scene.issue(f"h-{number}", language="en")
    async with scene.process() as process:
        await until(lambda: scene.ended(10))
        process.terminate()
        await process.wait()
    kept = [
        json.dumps([dict(row) for row in await scene.db.fetch(f"select t::text from {table} t")])
        for table in ("sms", "outbox", "parked", "household_key", "position")
    ]
    files = [path.read_text() for path in _files(scene.settings.data_dir)]
    on_topics = [
        str(await scene.on(topics.SMS_SENT, SmsSent)),
        str(await scene.on(topics.SMS_UPDATED, SmsUpdated)),
    ]
    everything = "\n".join([*kept, *files, *on_topics, *capfd.readouterr()])
    assert "h-3" in everything
    # PostgreSQL shows bytes in hexadecimal.
    for secret in (PHONE, PHONE[4:], "Sok", "សុខ", "A social transfer of"):
        assert secret not in everything
        assert secret.encode().hex() not in everything


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def _tried(scene: Scene, attempts: int) -> bool:
    most = await scene.db.fetchval("select max(attempts) from sms where state = 'queued'")
    return most is not None and most >= attempts


async def _destroyed(scene: Scene) -> bool:
    return bool(await scene.db.fetchval("select state = 'destroyed' from household_key"))
