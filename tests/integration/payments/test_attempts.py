"""New attempts at what failed, and settlements that come too late, on the real stack."""

from dataclasses import replace

import asyncpg
import pytest

from contracts import topics
from contracts.household import Account, KeyState
from contracts.payment import InstructionKind, PaymentInstruction, ReportStatus
from tests.integration.payments.conftest import Scene, events, family
from tests.integration.payments.test_reports import AMOUNT, ENVELOPE, issue
from tests.waiting import until

pytestmark = pytest.mark.stack
S = ReportStatus


async def states_of(scene: Scene) -> list[tuple[int, str, bool]]:
    """(attempt, state, whether another one counts)."""
    rows = await scene.db.fetch("select attempt, state, superseded from payment order by attempt")
    return [(row[0], row[1], row[2]) for row in rows]


async def attempt(scene: Scene, number: int) -> PaymentInstruction:
    """What the partner was told for this attempt, once it was."""
    payment_id = "select payment_id from payment where attempt = $1"
    await until(lambda: scene.db.fetchval(payment_id, number))
    await scene.settled_down()
    wanted = await scene.db.fetchval(payment_id, number)
    told = [each for _, each in await scene.instructions() if each.payment_id == wanted]
    return next(each for each in told if each.kind is InstructionKind.PAY)


async def failed_and_reissued(scene: Scene) -> tuple[PaymentInstruction, PaymentInstruction]:
    """A household whose payment failed and was issued again: what the partner was told for both."""
    first = (await issue(scene, "h-1"))["h-1"]
    await scene.send([scene.report(first, "h-1", S.FAILED, reason_code="account-closed")])
    await scene.confirm(first, "h-1", S.FAILED)
    return first, await attempt(scene, 2)


async def asked_about(scene: Scene, first: PaymentInstruction) -> None:
    """The payment failed, was due again, and the partner was asked about it once."""
    await scene.send([scene.report(first, "h-1", S.FAILED)])
    await until(lambda: scene.db.fetchval("select waiting = 'partner-answer' from reissue"))
    told = [each for _, each in await scene.instructions()]
    assert [(each.kind, each.payment_id) for each in told] == [
        (InstructionKind.PAY, first.payment_id),
        (InstructionKind.INQUIRE, first.payment_id),
    ]
    row = await scene.db.fetchrow("select r.asked, inquiries, r.due_at from payment, reissue r")
    assert row is not None
    assert tuple(row) == (told[1].instruction_id, 1, None)


async def test_what_a_partner_paid_after_it_said_failed_is_found_by_asking_and_never_paid_again(
    scene: Scene,
) -> None:
    scene.settings.reissue_after_s = 0.1
    async with scene.running():
        first = (await issue(scene, "h-1"))["h-1"]
        await asked_about(scene, first)
        await scene.confirm(first, "h-1", S.SETTLED)
        await scene.settled_down(states={"h-1": "settled"}, parked=[])
        assert await scene.db.fetchval("select count(*) from reissue") == 0
        assert await scene.db.fetchval("select kind from difference") == "settled-late"
    assert await states_of(scene) == [(1, "settled", False)]
    assert len(await scene.instructions()) == 2


async def test_without_an_answer_it_waits_for_a_person_however_often_it_is_said_to_have_failed(
    scene: Scene,
) -> None:
    scene.settings.reissue_after_s = 0.1
    one = family("h-1")
    async with scene.running():
        first = (await issue(scene, "h-1"))["h-1"]
        await asked_about(scene, first)
        said: list[dict[str, object]] = [
            {"report_id": "r-2"},
            {"report_id": "r-3", "instruction_id": None},
            {},
        ]
        await scene.send(scene.report(first, "h-1", S.FAILED, **each) for each in said)
        await scene.confirm(first, "h-1", S.NOT_FOUND)
    async with scene.running():
        await scene.send([scene.key(one), scene.scored(one, AMOUNT, sequence=2, revision=2)])
        tried = (
            "select due_at is null and waiting = 'partner-answer' from reissue, household where scored = 2"
        )
        await until(lambda: scene.db.fetchval(tried))
        assert await scene.db.fetchval("select count(*) from report") == 4
        await scene.settled_down(states={"h-1": "failed"}, parked=[])
        (left,) = (await scene.call("GET", "/attempts/ended")).json()
        assert (left["attempts"], left["waiting"], left["asked_at"] is None) == (1, "partner-answer", False)
        assert len(await scene.instructions()) == 2
        await scene.call("POST", "/attempts/reissue", {"household": "h-1"}, by="Sokha")
        await attempt(scene, 2)
    assert await states_of(scene) == [(1, "failed", True), (2, "issued", False)]


async def test_what_failed_is_issued_again_as_the_next_attempt_and_paid_once(scene: Scene) -> None:
    scene.settings.reissue_after_s = 0.1
    async with scene.running():
        first, second = await failed_and_reissued(scene)
        await scene.send([scene.report(second, "h-1", S.SETTLED)])
        await until(lambda: scene.db.fetchval("select count(*) = 1 from payment where state = 'settled'"))
        await scene.settled_down(parked=[])
        summary = (await scene.call("GET", "/summary")).json()
    assert second.payment_id != first.payment_id
    assert second.pay_to == first.pay_to
    assert await states_of(scene) == [(1, "failed", True), (2, "settled", False)]
    assert (summary["payments"], summary["reissued"], summary["riel_issued"]) == (2, 1, AMOUNT)
    assert await scene.balances() == {
        "funding": -ENVELOPE,
        "envelope": ENVELOPE - AMOUNT,
        "in-transit": 0,
        "paid": AMOUNT,
    }
    issued = events(await scene.on(topics.PAYMENT_ISSUED.name))
    assert [(sequence, each["attempt"]) for sequence, each in issued] == [(1, 1), (4, 2)]


async def test_attempts_end_until_an_officer_asks_for_another_one(scene: Scene) -> None:
    scene.settings.reissue_after_s, scene.settings.attempts_most = 0.1, 2
    async with scene.running():
        _, second = await failed_and_reissued(scene)
        await scene.send([scene.report(second, "h-1", S.EXPIRED)])
        await until(lambda: scene.db.fetchval("select waiting = 'attempts' from reissue"))
        (left,) = (await scene.call("GET", "/attempts/ended")).json()
        assert (left["attempts"], left["state"], left["due_at"]) == (2, "expired", None)
        refused = await scene.call("POST", "/attempts/reissue", {}, by="Sokha")
        assert (refused.status_code, refused.json()["detail"]) == (422, "Name the one to send again.")
        assert (await scene.call("POST", "/attempts/reissue", {"household": "h-1"})).status_code == 403
        asked = await scene.call("POST", "/attempts/reissue", {"household": "h-1"}, by="Sokha")
        assert asked.json() == {"ordered": 1, "riel_last_attempts": AMOUNT}
        await attempt(scene, 3)
        assert (await scene.call("GET", "/attempts/ended")).json() == []


async def test_a_newer_decision_sends_what_failed_again_at_once_to_who_collects_now(scene: Scene) -> None:
    async with scene.running():
        one = family("h-1")
        first = (await issue(scene, "h-1"))["h-1"]
        await scene.send([scene.report(first, "h-1", S.FAILED)])
        await until(lambda: scene.db.fetchval("select count(*) = 1 from reissue"))
        await scene.send([scene.key(one), scene.scored(one, 160_000, sequence=2, revision=2)])
        await scene.confirm(first, "h-1", S.FAILED)
        second = await attempt(scene, 2)
    assert second.amount == 160_000
    assert second.pay_to is not None
    assert second.pay_to.account == one.payee.account


async def test_who_collects_elsewhere_than_was_paid_last_is_paid_once_another_person_confirmed_it(
    scene: Scene,
) -> None:
    one = family("h-1")
    elsewhere = Account(provider="wing", number="099999999")
    moved = replace(one, payee=one.payee.model_copy(update={"account": elsewhere}))
    async with scene.running():
        first = (await issue(scene, "h-1"))["h-1"]
        await scene.next_cycle("2023-07")
        await scene.send([scene.report(first, "h-1", S.FAILED, reason_code="account-closed")])
        await until(lambda: scene.db.fetchval("select count(*) = 1 from reissue"))
        decision = scene.scored(moved, AMOUNT, sequence=2, revision=2, period="2023-07")
        await scene.send([scene.key(moved), decision])
        await until(lambda: scene.db.fetchval("select waiting = 'payee-changed' from reissue"))
        await scene.settled_down(waiting={"h-1": "payee-changed"}, states={"h-1": "failed"})
        waits = (await scene.call("GET", "/payees/waiting")).json()
        assert [(each["revision"], each["riel"]) for each in waits] == [(2, 0), (2, AMOUNT)]
        path, seen = "/payees/h-1/confirm", {"revision": 1, "reason": "seen at the window"}
        assert (await scene.call("POST", path, seen)).status_code == 403
        old = await scene.call("POST", path, seen, by="Dara")
        assert (old.status_code, old.json()["title"]) == (409, "The household is at revision 2 by now")
        done = await scene.call("POST", path, {**seen, "revision": 2}, by="Dara")
        assert (done.status_code, done.json()["confirmed_by"]) == (200, "Dara")
        await scene.confirm(first, "h-1", S.FAILED)
        await until(lambda: scene.db.fetchval("select count(*) = 3 from payment"))
        await scene.settled_down(waiting={})
        again = await scene.call("POST", path, {**seen, "revision": 2}, by="Dara")
        assert (again.status_code, (await scene.call("GET", "/payees/waiting")).json()) == (404, [])
        with pytest.raises(asyncpg.RestrictViolationError):
            await scene.db.execute("update payee_confirmation set confirmed_by = 'Sokha'")
    paid_to = [each.pay_to.account for _, each in await scene.instructions() if each.pay_to]
    assert paid_to == [one.payee.account, elsewhere, elsewhere]


async def test_neither_who_left_nor_who_is_forgotten_is_paid_again(scene: Scene) -> None:
    async with scene.running():
        left, forgotten = family("h-1"), family("h-2")
        await scene.open_cycle(envelope=ENVELOPE)
        await scene.approve()
        await scene.send([scene.key(left), scene.key(forgotten)])
        await scene.send(scene.scored(each, AMOUNT) for each in (left, forgotten))
        await scene.settled_down(states={"h-1": "issued", "h-2": "issued"})
        told = dict(await scene.instructions())
        await scene.send([scene.report(told[each], each, S.FAILED) for each in told])
        await scene.send([scene.exited(left), scene.key(forgotten, KeyState.DESTROYED)])
        await scene.settled_down(states={"h-1": "failed", "h-2": "failed"})
        await until(lambda: scene.db.fetchval("select exit_revision = 1 from household where payee is null"))
        destroyed = "select count(*) = 1 from household_key where state = 'destroyed'"
        await until(lambda: scene.db.fetchval(destroyed))
        for household_id in told:
            await scene.call("POST", "/attempts/reissue", {"household": household_id}, by="Sokha")
        waits = "select array_agg(waiting order by household_id) = '{left,forgotten}' from reissue"
        await until(lambda: scene.db.fetchval(waits))
    assert len(await scene.instructions()) == 2


async def test_a_settlement_after_it_failed_is_booked_as_owed_and_covered_by_two_people(scene: Scene) -> None:
    async with scene.running():
        first = (await issue(scene, "h-1"))["h-1"]
        await scene.send([scene.report(first, "h-1", S.FAILED), scene.report(first, "h-1", S.SETTLED)])
        await scene.settled_down(states={"h-1": "settled"}, parked=[])
        assert (await scene.call("GET", "/attempts/ended")).json() == []
        assert (await scene.balances())["owed"] == -AMOUNT
        (found,) = (await scene.call("GET", "/differences")).json()
        assert (found["kind"], found["amount"]) == ("settled-late", AMOUNT)
        path = f"/differences/h-1/{first.payment_id}/resolve"
        decided = {"resolution": "covered", "reason": "paid after all"}
        assert (await scene.call("POST", path, decided)).status_code == 403
        assert (await scene.call("POST", path, decided, by="Dara")).status_code == 409
        asked = path.replace("resolve", "cover"), {"reason": "receipt seen"}
        assert (await scene.call("POST", *asked, by="Sokha")).json()["cover_by"] == "Sokha"
        assert (await scene.call("POST", *asked, by="Sokha")).status_code == 409
        assert (await scene.call("POST", path, decided, by="Sokha")).status_code == 403
        (await scene.call("POST", path, decided, by="Dara")).raise_for_status()
        assert (await scene.call("POST", path, decided, by="Dara")).status_code == 404
        assert (await scene.call("GET", "/differences")).json() == []
    assert await scene.balances() == {
        "funding": -ENVELOPE,
        "envelope": ENVELOPE - AMOUNT,
        "in-transit": 0,
        "owed": 0,
        "paid": AMOUNT,
    }
    assert await scene.db.fetchval("select committed - released from spent") == AMOUNT


async def test_a_settlement_after_a_new_attempt_is_late_and_ends_all_attempts(scene: Scene) -> None:
    scene.settings.reissue_after_s = 0.1
    async with scene.running():
        first, second = await failed_and_reissued(scene)
        await scene.send([scene.report(first, "h-1", S.SETTLED)])
        await until(lambda: scene.db.fetchval("select count(*) = 1 from difference"))
        assert await states_of(scene) == [(1, "settled_late", True), (2, "issued", False)]
        await scene.send([scene.report(second, "h-1", S.FAILED)])
        await until(lambda: scene.db.fetchval("select count(*) = 1 from payment where state = 'failed'"))
        await scene.settled_down(parked=[])
        assert await scene.db.fetchval("select count(*) from reissue") == 0
        await scene.send([scene.report(first, "h-1", S.SETTLED, report_id="r-2", partner_reference="w-2")])
        kinds = "select array_agg(kind order by at) = '{settled-late,settled-twice}' from difference"
        await until(lambda: scene.db.fetchval(kinds))
        await scene.settled_down(parked=[])
    told = events(await scene.on(topics.PAYMENT_UPDATED.name))
    assert [each["state"] for _, each in told] == ["failed", "settled_late", "failed"]
    assert await scene.balances() == {
        "funding": -ENVELOPE,
        "envelope": ENVELOPE,
        "in-transit": 0,
        "owed": -AMOUNT,
        "paid": AMOUNT,
    }


async def test_the_database_refuses_a_second_live_attempt(scene: Scene) -> None:
    async with scene.running():
        await issue(scene, "h-1")
    columns = (
        "programme, period, purpose, attempt, cycle_id, amount, entitled, partner, commune, revision, fund"
    )
    rest = "decision_id, correlation_id, traceparent, state, issued_at, updated_at"
    values = columns.replace("attempt", "2")
    copy = f"insert into payment (household_id, payment_id, {columns}, {rest}) "
    with pytest.raises(asyncpg.UniqueViolationError, match="payment_one_live_attempt"):
        await scene.db.execute(f"{copy} select household_id, 'p-2', {values}, {rest} from payment")
