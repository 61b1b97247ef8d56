"""Delivery receipts over HTTP: booked once, whatever their order and number; forged ones refused."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from contracts import topics
from contracts.sms import SmsUpdated
from postbox.outbox import Publisher
from tests.broker import unheard
from tests.integration.notifications.conftest import Gateway, Scene
from tests.waiting import until

pytestmark = pytest.mark.stack

SECRET = "callback-s3cret"  # pragma: allowlist secret
NOBODY = "00000000-0000-5000-8000-000000000000"


@pytest.fixture
def told(scene: Scene) -> dict[str, object]:
    """Settings with which receipts are asked for, and let in."""
    file = scene.settings.data_dir / "callback.secret"
    file.write_text(SECRET)
    url = "http://127.0.0.1:9/gateway/kannel/receipt?sms_id={sms_id}&status=%d"
    return {"gateway_report_url": url, "gateway_callback_secret_file": file, "receipts_every_s": 0.1}


async def call(scene: Scene, path: str, secret: str = SECRET, **query: str | int) -> httpx.Response:
    async with httpx.AsyncClient(base_url=scene.url, timeout=60) as kannel:
        return await kannel.get(f"/gateway/kannel/{path}", params={"secret": secret, **query})


async def sent(scene: Scene, count: int) -> list[str]:
    """So many SMS, sent; their ids."""
    for number in range(count):
        await scene.household(f"h-{number}")
        await scene.issue(f"h-{number}")
    await until(lambda: scene.ended(count))
    return [row[0] for row in await scene.db.fetch("select sms_id from sms order by household_id")]


async def receipt_of(scene: Scene, sms_id: str) -> str:
    return str(await scene.db.fetchval("select receipt from sms where sms_id = $1", sms_id))


async def updates(scene: Scene) -> list[tuple[str, str, str | None]]:
    found = await scene.on(topics.SMS_UPDATED, SmsUpdated)
    return [(each.data.sms_id, each.data.status.value, each.data.reason) for each in found]


def published(scene: Scene, count: int) -> Callable[[], Awaitable[bool]]:
    async def enough() -> bool:
        return len(await updates(scene)) >= count

    return enough


async def test_receipts_late_repeated_and_contradictory_are_harmless_and_each_word_is_told_once(
    scene: Scene, gateway: Gateway, told: dict[str, object]
) -> None:
    await gateway.start()
    async with scene.running(**told):
        delivered, failed, both = await sent(scene, 3)
        said = [(delivered, 8), (delivered, 1), (failed, 16), (both, 2), (both, 1), (both, 2)]
        for sms_id, status in said + said:
            assert (await call(scene, "receipt", sms_id=sms_id, status=status)).status_code == 200
        await until(published(scene, 4))
        assert [await receipt_of(scene, each) for each in (delivered, failed, both)] == [
            "delivered",
            "failed",
            "delivered",
        ]
        assert sorted(await updates(scene)) == sorted(
            [
                (delivered, "delivered", "kannel-1"),
                (failed, "failed", "kannel-16"),
                (both, "failed", "kannel-2"),
                (both, "delivered", "kannel-1"),
            ]
        )
        summary = (await scene.get("/summary")).json()
        assert (summary["receipts_delivered"], summary["receipts_failed"], summary["sent"]) == (2, 1, 3)


async def test_forged_and_unreadable_receipts_are_refused_counted_and_change_nothing(
    scene: Scene, gateway: Gateway, told: dict[str, object]
) -> None:
    await gateway.start()
    async with scene.running(**told):
        (sms_id,) = await sent(scene, 1)
        good: dict[str, str | int] = {"sms_id": sms_id, "status": 1}
        answers = [
            await call(scene, "receipt", "another", **good),
            await call(scene, "receipt", "", **good),
            await call(scene, "receipt", sms_id=sms_id, status="x"),
            await call(scene, "receipt", sms_id="' or true --", status=1),
            await call(scene, "receipt", sms_id=sms_id, status=1, more="x" * 20_000),
        ]
        assert [answer.status_code for answer in answers] == [403, 403, 400, 400, 414]
        assert await receipt_of(scene, sms_id) == "awaited"
        metrics = (await scene.get("/metrics")).text
        for what, count in (("forged", 2), ("malformed", 2), ("too-long", 1)):
            assert f'notifications_told_by_gateway_total{{what="{what}"}} {count}.0' in metrics
    async with scene.running():
        assert (await call(scene, "receipt", SECRET, **good)).status_code == 404


async def test_a_receipt_nobody_knows_waits_with_its_reason_and_is_booked_when_its_sms_is_there(
    scene: Scene, gateway: Gateway, told: dict[str, object]
) -> None:
    await gateway.start()
    async with scene.running(**told):
        (sms_id,) = await sent(scene, 1)
        await scene.db.execute("update sms set state = 'sending', claimed_by = 'x', claimed_at = now()")
        for each in (sms_id, NOBODY, NOBODY):
            assert (await call(scene, "receipt", sms_id=each, status=1)).status_code == 200
        parked = await scene.db.fetch("select id, reason, copies from receipt_parked order by id")
        assert sorted(map(tuple, parked)) == sorted([(sms_id, "early", 1), (NOBODY, "unknown_id", 2)])
        await scene.db.execute("update sms set state = 'sent'")

        async def booked() -> bool:
            return await receipt_of(scene, sms_id) == "delivered"

        await until(booked)
        assert (await scene.get("/summary")).json()["receipts_parked"] == 2


async def test_an_sms_that_waits_and_turns_out_delivered_is_not_sent_any_more(
    scene: Scene, gateway: Gateway, told: dict[str, object]
) -> None:
    tried = "select sms_id from sms where attempts = 2 and state = 'queued'"
    async with scene.running(**told):
        for household in ("h-1", "h-2"):
            await scene.household(household)
            await scene.issue(household)
        await until(lambda: _is_found(scene, 2, tried))
        delivered, _ = (row[0] for row in await scene.db.fetch(tried))
        assert (await call(scene, "receipt", sms_id=delivered, status=1)).status_code == 200
        await gateway.start()
        await until(lambda: scene.ended(2))
    ended = {row[0]: row[1] for row in await scene.db.fetch("select sms_id, reason from sms")}
    assert ended.pop(delivered) == "delivered-though-not-taken"
    assert [sms["sms_id"] for sms in await gateway.inbox()] == list(ended)
    assert await scene.db.fetchval("select count(*) from sms_due") == 0


async def _is_found(scene: Scene, count: int, query: str) -> bool:
    return len(await scene.db.fetch(query)) == count


async def test_silence_ends_as_unknown_and_a_doubtful_sms_goes_again_only_where_that_is_allowed(
    scene: Scene, gateway: Gateway, told: dict[str, object]
) -> None:
    await gateway.start(silent=1.0, silent_s=30.0)
    told["receipt_window_s"] = 0.5
    async with scene.running(**told):
        (sms_id,) = await sent(scene, 1)

        async def silent() -> bool:
            return await receipt_of(scene, sms_id) == "unknown"

        await until(silent)
        assert await updates(scene) == [(sms_id, "unknown", "timeout")]
        assert [int(sms["copies"]) for sms in await gateway.inbox()] == [1]
    await gateway.end()
    await gateway.start()
    await scene.db.execute("update sms set receipt = 'awaited'")
    async with scene.running(**told, resend_unknown=("payment-ready",)):

        async def again() -> bool:
            return [int(sms["copies"]) for sms in await gateway.inbox()] == [2]

        await until(again)

        async def told_unknown() -> bool:
            return (sms_id, "unknown", "no-receipt") in await updates(scene)

        await until(told_unknown)
        assert await scene.db.fetchval("select attempts from sms") == 2


async def test_an_overdue_receipt_ends_its_wait_once_while_the_broker_is_away(
    scene: Scene,
    gateway: Gateway,
    told: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await gateway.start(silent=1.0, silent_s=30.0)
    told["receipt_window_s"] = 2.0
    async with scene.running(**told):
        (sms_id,) = await sent(scene, 1)
        with monkeypatch.context() as away:
            away.setattr(Publisher, "publish", unheard)
            await until(lambda: _true("publishing failed" in caplog.text or "job overdue" in caplog.text))
        assert "job overdue-receipts failed" not in caplog.text
        assert await receipt_of(scene, sms_id) == "unknown"
        await until(published(scene, 1))
        assert await updates(scene) == [(sms_id, "unknown", "timeout")]


async def _true(value: bool) -> bool:
    return value


async def test_a_receipt_that_can_not_be_kept_is_told_again(
    scene: Scene, gateway: Gateway, told: dict[str, object]
) -> None:
    await gateway.start()
    async with scene.running(**told):
        (sms_id,) = await sent(scene, 1)
        await scene.db.execute("alter table receipt_parked rename to gone")
        assert (await call(scene, "receipt", sms_id=NOBODY, status=1)).status_code == 503
        await scene.db.execute("alter table gone rename to receipt_parked")
        answers = await asyncio.gather(*(call(scene, "receipt", sms_id=sms_id, status=1) for _ in range(50)))
        assert {answer.status_code for answer in answers} == {200}
        await until(published(scene, 1))
        assert len(await updates(scene)) == 1
