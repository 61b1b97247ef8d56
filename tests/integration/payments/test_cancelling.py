"""Asking a partner not to pay, on the real stack: when a household leaves, and when a person asks."""

import pytest

from contracts.payment import InstructionKind, PaymentInstruction, ReportStatus
from tests.integration.payments.conftest import Scene, family
from tests.integration.payments.test_reports import AMOUNT, issue
from tests.waiting import until

pytestmark = pytest.mark.stack
S = ReportStatus


async def asked(scene: Scene) -> list[tuple[str, PaymentInstruction]]:
    """(household, instruction) of each request to cancel."""
    return [each for each in await scene.instructions() if each[1].kind is InstructionKind.CANCEL]


async def test_who_leaves_before_collecting_is_cancelled_by_the_partner_s_word(scene: Scene) -> None:
    async with scene.running():
        told = await issue(scene, "h-1", "h-2", "h-3")
        await scene.send([scene.report(told["h-2"], "h-2", S.SETTLED)])
        await scene.settled_down(states={"h-1": "issued", "h-2": "settled", "h-3": "issued"})
        gone = [scene.exited(family(each)) for each in ("h-1", "h-2")]
        await scene.send([*gone, *gone])
        await until(lambda: scene.db.fetchval("select count(*) = 2 from household where exit_revision = 1"))
        await scene.settled_down(states={"h-1": "issued", "h-2": "settled", "h-3": "issued"})
        ((household, request),) = await asked(scene)
        assert (household, request.payment_id, request.pay_to) == ("h-1", told["h-1"].payment_id, None)
        await scene.send([scene.report(request, "h-1", S.CANCELLED)])
        await scene.settled_down(states={"h-1": "cancelled", "h-2": "settled", "h-3": "issued"}, parked=[])
        await scene.call("POST", "/attempts/reissue", {"household": "h-1"}, by="Sokha")
        await until(lambda: scene.db.fetchval("select waiting = 'left' from reissue"))
    assert (await scene.balances())["envelope"] == 10_000_000 - 2 * AMOUNT


async def test_an_unheard_of_payment_is_cancelled_by_a_person_and_only_then_sent_again(scene: Scene) -> None:
    scene.settings.report_timeout_s = 0.3
    scene.settings.reissue_after_s = 0.1
    why = {"reason": "the partner never heard of it"}
    async with scene.running():
        told = await issue_unheard_of(scene)
        path = f"/attempts/h-1/{told.payment_id}/cancel"
        assert (await scene.call("POST", path, why)).status_code == 403
        nobody_s = await scene.call("POST", "/attempts/h-1/p-x/cancel", why, by="Dara")
        assert nobody_s.status_code == 404
        (await scene.call("POST", path, why, by="Dara")).raise_for_status()
        await scene.settled_down(states={"h-1": "unknown"})
        ((_, request),) = await asked(scene)
        await scene.send([scene.report(request, "h-1", S.CANCELLED)])
        await scene.confirm(request, "h-1", S.CANCELLED)
        await until(lambda: scene.db.fetchval("select count(*) = 1 from payment where attempt = 2"))
        late = await scene.call("POST", path, why, by="Dara")
        assert (late.status_code, "is cancelled" in late.json()["title"]) == (409, True)
        story = (await scene.call("GET", "/households/h-1/story")).json()
    assert "partner asked to cancel" in [each["what"] for each in story]


async def test_a_late_settlement_has_the_open_attempt_cancelled(scene: Scene) -> None:
    scene.settings.reissue_after_s = 0.1
    async with scene.running():
        first = (await issue(scene, "h-1"))["h-1"]
        await scene.send([scene.report(first, "h-1", S.FAILED)])
        await scene.confirm(first, "h-1", S.FAILED)
        await until(lambda: scene.db.fetchval("select count(*) = 1 from payment where attempt = 2"))
        await scene.send([scene.report(first, "h-1", S.SETTLED)])
        await until(lambda: scene.db.fetchval("select count(*) = 1 from cancellation"))
        await scene.settled_down(parked=[])
        ((_, request),) = await asked(scene)
        await scene.send([scene.report(request, "h-1", S.CANCELLED)])
        await until(lambda: scene.db.fetchval("select count(*) = 1 from payment where state = 'cancelled'"))
        await scene.settled_down(parked=[])
    assert request.payment_id != first.payment_id
    assert await scene.db.fetchval("select count(*) from reissue") == 0


async def issue_unheard_of(scene: Scene) -> PaymentInstruction:
    """A payment that its partner says it does not know."""
    one = family("h-1")
    await scene.open_cycle()
    await scene.approve()
    await scene.send([scene.key(one), scene.scored(one, AMOUNT)])
    await scene.settled_down(states={"h-1": "unknown"})
    told = dict(await scene.instructions())["h-1"]
    await scene.send([scene.report(told, "h-1", S.NOT_FOUND)])
    await until(lambda: scene.db.fetchval("select reason = 'not_found' from payment"))
    return told
