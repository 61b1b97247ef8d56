"""The ledger in the database itself: entries sum to zero, are never changed, and tell any past instant."""

import asyncpg
import pytest

from contracts import topics
from contracts.payment import ReportStatus
from services.payments import ledger
from services.payments.ledger import Account, Kind
from tests.integration.payments.conftest import CYCLE, Scene, events
from tests.integration.payments.test_reports import AMOUNT, ENVELOPE, issue

pytestmark = pytest.mark.stack
_COUNTER = (
    "select household_id, subject, 'reverse-settle', cycle_id, credit, debit, amount, now(), fund "
    "from every_transfer where kind = 'settle'"
)
_INSERT = "insert into transfer (household_id, subject, kind, cycle_id, debit, credit, amount, at, fund) "


async def test_balances_are_known_for_any_past_instant(scene: Scene) -> None:
    async with scene.running():
        told = await issue(scene, "h-1")
        before = (await scene.db.fetchval("select max(at) from every_transfer")).isoformat()
        await scene.send([scene.report(told["h-1"], "h-1", ReportStatus.SETTLED)])
        await scene.settled_down(states={"h-1": "settled"})
        now = (await scene.call("GET", "/ledger/balances")).json()
        then = (await scene.call("GET", f"/ledger/balances?at={before.replace('+', '%2B')}")).json()
        never = (await scene.call("GET", "/ledger/balances?at=2020-01-01T00:00:00Z")).json()
        entries = (await scene.call("GET", "/ledger/entries/h-1")).json()
    assert {each["account"]: each["riel"] for each in then} == {
        "funding": -ENVELOPE,
        "envelope": ENVELOPE - AMOUNT,
        "in-transit": AMOUNT,
    }
    assert {each["account"]: each["riel"] for each in now} == {
        "funding": -ENVELOPE,
        "envelope": ENVELOPE - AMOUNT,
        "in-transit": 0,
        "paid": AMOUNT,
    }
    assert never == []
    assert [(each["kind"], each["debit"], each["credit"]) for each in entries] == [
        ("issue", "in-transit", "envelope"),
        ("settle", "paid", "in-transit"),
    ]


async def test_a_settlement_that_never_was_is_reversed_once_by_two_people(scene: Scene) -> None:
    async with scene.running():
        told = await issue(scene, "h-1")
        await scene.send([scene.report(told["h-1"], "h-1", ReportStatus.SETTLED)])
        await scene.settled_down(states={"h-1": "settled"})
        before = (await scene.db.fetchval("select max(at) from every_transfer")).isoformat()
        entry = {"household_id": "h-1", "subject": told["h-1"].payment_id, "reason": "of another file"}
        path = "/ledger/reversals"
        issued = await scene.call("POST", path, {**entry, "kind": "issue"}, by="Sokha")
        assert (issued.status_code, "payments cancel" in issued.json()["detail"]) == (409, True)
        asked = await scene.call("POST", path, {**entry, "kind": "settle"}, by="Sokha")
        assert (asked.status_code, asked.json()["amount"]) == (201, AMOUNT)
        with pytest.raises(asyncpg.RestrictViolationError, match="two people"):
            await scene.db.execute(f"{_INSERT} {_COUNTER}")
        approve, why = f"{path}/{asked.json()['number']}/approve", {"reason": "asked the partner"}
        assert (await scene.call("POST", approve, why, by="Sokha")).status_code == 403
        assert (await scene.call("POST", approve, why, by="Dara")).json()["state"] == "approved"
        await scene.settled_down(states={"h-1": "failed"})
        for again in ((approve, why, "Dara"), (path, {**entry, "kind": "settle"}, "Sokha")):
            assert (await scene.call("POST", again[0], again[1], by=again[2])).status_code in (404, 409)
        then = (await scene.call("GET", f"/ledger/balances?at={before.replace('+', '%2B')}")).json()
    assert {each["account"]: each["riel"] for each in then}["paid"] == AMOUNT
    assert await scene.balances() == {"funding": -ENVELOPE, "envelope": ENVELOPE, "in-transit": 0, "paid": 0}
    assert await scene.db.fetchval("select (committed - released, payments) = (0, 0) from spent")
    updated = events(await scene.on(topics.PAYMENT_UPDATED.name))
    assert [(each["state"], each.get("reason")) for _, each in updated][1:] == [
        ("unknown", "reversed"),
        ("failed", "reversed"),
    ]
    with pytest.raises(asyncpg.RestrictViolationError):
        await scene.db.execute("update reversal set reason = 'another'")


async def test_no_statement_makes_postings_that_do_not_sum_to_zero(scene: Scene) -> None:
    async with scene.running():
        pass
    accounts = [each.value for each in Account]
    written = 0
    for kind in set(Kind) - {Kind.REVERSE_SETTLE}:
        for debit in accounts:
            for credit in accounts:
                values = ("h-1", f"{debit}/{credit}", kind.value, CYCLE, debit, credit, 100)
                try:
                    await scene.db.execute(
                        f"{_INSERT} values ($1, $2, $3, $4, $5, $6, $7, now(), 1)", *values
                    )
                    written += 1
                except asyncpg.CheckViolationError:
                    continue
                assert ledger.LEGS[kind] == (debit, credit)
    assert written == len(Kind) - 1
    sums = await scene.db.fetch("select sum(amount) from posting group by subject, kind")
    assert {row[0] for row in sums} == {0}
    for amount in (0, -100):
        with pytest.raises(asyncpg.CheckViolationError):
            await scene.db.execute(
                f"{_INSERT} values ('h-1', 'x', 'issue', 'c', 'in-transit', 'envelope', {amount}, now(), 1)"
            )


async def test_what_a_payment_moved_is_never_changed_nor_posted_again(scene: Scene) -> None:
    async with scene.running():
        told = await issue(scene, "h-1")
        await scene.send([scene.report(told["h-1"], "h-1", ReportStatus.SETTLED)])
        await scene.settled_down(states={"h-1": "settled"})
    entries = await scene.db.fetch("select * from every_transfer where kind <> 'fund'")
    assert [each["kind"] for each in entries] == ["issue", "settle"]
    assert not await scene.db.fetch("select from transfer where kind <> 'fund'")
    for change in (
        "update payment set amount = 1",
        "update payment set posted = false",
        "update payment set settled_at = null",
        "update payment set settled_at = now()",
        "delete from payment",
        "truncate payment",
    ):
        with pytest.raises(asyncpg.RestrictViolationError, match="never changed"):
            await scene.db.execute(change)
    for kind in ("issue", "settle"):
        with pytest.raises(asyncpg.UniqueViolationError, match="stands in its payment"):
            await scene.db.execute(f"{_INSERT} select * from every_transfer where kind = '{kind}'")


async def test_what_the_version_before_posted_counts_once(scene: Scene) -> None:
    async with scene.running():
        told = await issue(scene, "h-1")
        await scene.db.execute("alter table payment disable trigger payment_entries_are_final")
        await scene.db.execute("update payment set posted = false")
        await scene.db.execute(
            f"{_INSERT} select household_id, payment_id, 'issue', cycle_id, 'in-transit', 'envelope', "
            "amount, issued_at, fund from payment"
        )
        await scene.send([scene.report(told["h-1"], "h-1", ReportStatus.SETTLED)])
        await scene.settled_down(states={"h-1": "settled"})
    assert (await scene.balances())["paid"] == AMOUNT
    assert await scene.db.fetchval("select count(*) from every_transfer where kind <> 'fund'") == 2
