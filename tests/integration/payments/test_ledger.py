"""The ledger in the database itself: entries sum to zero, are never changed, and tell any past instant."""

import asyncpg
import pytest

from contracts.payment import ReportStatus
from services.payments import ledger
from services.payments.ledger import Account, Kind
from tests.integration.payments.conftest import CYCLE, Scene
from tests.integration.payments.test_reports import AMOUNT, ENVELOPE, issue

pytestmark = pytest.mark.stack
_INSERT = "insert into transfer (household_id, subject, kind, cycle_id, debit, credit, amount, at, fund) "


async def test_balances_are_known_for_any_past_instant(scene: Scene) -> None:
    async with scene.running():
        told = await issue(scene, "h-1")
        before = (await scene.db.fetchval("select max(at) from transfer")).isoformat()
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


async def test_no_statement_makes_postings_that_do_not_sum_to_zero(scene: Scene) -> None:
    async with scene.running():
        pass
    accounts = [each.value for each in Account]
    written = 0
    for kind in Kind:
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
    assert written == len(Kind)
    sums = await scene.db.fetch("select sum(amount) from posting group by subject, kind")
    assert {row[0] for row in sums} == {0}
    for amount in (0, -100):
        with pytest.raises(asyncpg.CheckViolationError):
            await scene.db.execute(
                f"{_INSERT} values ('h-1', 'x', 'issue', 'c', 'in-transit', 'envelope', {amount}, now(), 1)"
            )
