"""Reconciliation on the real stack: zero differences where all agree, and exactly which where not."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from simulators import bank
from simulators.bank import Balance, Order, Outcome
from simulators.partner_behaviour import Behaviour
from tests.integration.payments.conftest import Scene
from tests.integration.payments.test_partner_files import (
    AMOUNT,
    answer,
    at_bank,
    banked,
    issue,
    load,
    out,
)

pytestmark = pytest.mark.stack
__all__ = ["at_bank"]
OPENING = 10 * AMOUNT


async def differences(scene: Scene) -> list[tuple[str, int]]:
    found = (await scene.call("GET", "/reconciliation", by="Bopha")).json()
    listed = [(each["kind"], each["riel"]) for each in found["differences"]]
    assert found["open_total"] == len(listed)
    return listed


async def settled(scene: Scene, tmp_path: Path, *ids: str) -> list[Order]:
    """Households paid by the bank, and reported settled today."""
    await issue(scene, *(banked(each) for each in ids))
    (order,) = await out(scene)
    report = answer(tmp_path / "a.xml", order, lambda _: "ACSC")
    told = bank.read(order)
    bank.write_report(
        report, told.message_id, [Outcome(each, "ACSC") for each in told.orders], datetime.now(UTC)
    )
    await load(scene, report)
    return list(told.orders)


async def say(
    scene: Scene,
    tmp_path: Path,
    orders: list[Order],
    closing: int,
    *,
    sequence: int = 1,
    opening: int = OPENING,
) -> None:
    """Load a statement of today on which these were paid."""
    path = tmp_path / f"s{sequence}.xml"
    balance = Balance("000111222", sequence, opening, closing)
    bank.write_statement(path, balance, [Outcome(each, "ACSC") for each in orders], datetime.now(UTC))
    found = await load(scene, path)
    assert found["state"] == "done"


async def test_what_all_sides_agree_on_leaves_no_difference(at_bank: Scene, tmp_path: Path) -> None:
    async with at_bank.running():
        orders = await settled(at_bank, tmp_path, "h-1", "h-2")
        await say(at_bank, tmp_path, orders, OPENING - 2 * AMOUNT)
        assert await differences(at_bank) == []
        found = (await at_bank.call("GET", "/reconciliation", by="Bopha")).json()
        (day,) = found["days"]
        assert (day["issued"], day["settled"], day["on_statement"]) == (2, 2, 2)
        assert day["riel_issued"] == day["riel_settled"] == day["riel_on_statement"] == 2 * AMOUNT


async def test_a_wrong_statement_says_exactly_what_is_wrong(at_bank: Scene, tmp_path: Path) -> None:
    async with at_bank.running():
        first, second, third = await settled(at_bank, tmp_path, "h-1", "h-2", "h-3")
        stranger = Order("0" * 32, "500")
        lines = [first, first, second._replace(amount=str(AMOUNT - 1000)), third, stranger]
        await say(at_bank, tmp_path, lines, 0)
        await say(at_bank, tmp_path, [], 7, sequence=3, opening=7)
        paid = 4 * AMOUNT - 1000 + 500
        assert sorted(await differences(at_bank)) == [
            ("amount", -1000),
            ("balance-break", paid - OPENING),
            ("double-settlement", AMOUNT),
            ("orphan", 500),
            ("statement-gap", 0),
        ]


async def test_a_difference_that_was_closed_opens_again_when_its_riel_change(
    at_bank: Scene, tmp_path: Path
) -> None:
    async with at_bank.running():
        orders = await settled(at_bank, tmp_path, "h-1")
        await say(at_bank, tmp_path, orders * 2, OPENING - 2 * AMOUNT)
        (found,) = (await at_bank.call("GET", "/reconciliation", by="Bopha")).json()["differences"]
        body = {name: found[name] for name in ("kind", "partner", "subject", "riel")}
        refused = await at_bank.call("POST", "/reconciliation/close", body, by="Bopha")
        assert refused.status_code == 422
        body["reason"] = "the bank returned it by hand"
        (await at_bank.call("POST", "/reconciliation/close", body, by="Bopha")).raise_for_status()
        assert await differences(at_bank) == []
        await say(at_bank, tmp_path, orders, OPENING - 3 * AMOUNT, sequence=2, opening=OPENING - 2 * AMOUNT)
        assert await differences(at_bank) == [("double-settlement", 2 * AMOUNT)]


async def test_rows_set_aside_and_silence_are_differences(at_bank: Scene, tmp_path: Path) -> None:
    async with at_bank.running():
        await issue(at_bank, banked("h-1"))
        (order,) = await out(at_bank)
        said = [Outcome(each._replace(amount="1"), "ACSC") for each in bank.read(order).orders]
        bank.write_report(tmp_path / "a.xml", "m", said, datetime.now(UTC))
        await load(at_bank, tmp_path / "a.xml")
        await at_bank.db.execute("alter table payment disable trigger payment_entries_are_final")
        await at_bank.db.execute("update payment set issued_at = issued_at - interval '3 days'")
        assert sorted(await differences(at_bank)) == [("set-aside", 1), ("unacknowledged", AMOUNT)]


async def test_a_bank_at_its_worst_is_reconciled_to_zero_once_it_answers_rightly(
    at_bank: Scene, tmp_path: Path
) -> None:
    worst = Behaviour(seed=3, fail=0.3, relent=1.0, partial=0.3, wrong_amount=0.4, unknown=0.3, late=0.5)
    account = Balance("000111222", 1, OPENING, OPENING)
    async with at_bank.running():
        await issue(at_bank, *(banked(f"h-{number}") for number in range(8)))
        (order,) = await out(at_bank)
        told = bank.read(order)
        for name, behaviour in (("worst", worst), ("right", Behaviour(fail=0.0))):
            bank.answer(told, tmp_path / name, account, behaviour, datetime.now(UTC))
        report = f"pain002-{told.message_id}.xml"
        await load(at_bank, tmp_path / "worst" / report)
        await load(at_bank, tmp_path / "right" / "camt053-000111222-1.xml")
        kinds = {kind for kind, _ in await differences(at_bank)}
        assert kinds == {"set-aside", "orphan"}
        await load(at_bank, tmp_path / "right" / report)
        assert set((await at_bank.states()).values()) == {"settled"}
        for each in (await at_bank.call("GET", "/partners/rows", by="Bopha")).json():
            row = {"partner": each["partner"], "file": each["sha256"], "position": each["position"]}
            await at_bank.call("POST", "/partners/rows/close", {**row, "reason": "sent anew"}, by="Bopha")
        assert {kind for kind, _ in await differences(at_bank)} == {"orphan"}
        for each in (await at_bank.call("GET", "/differences", by="Bopha")).json():
            path = f"/differences/{each['household_id']}/{each['payment_id']}"
            why = {"reason": "the bank paid after all"}
            (await at_bank.call("POST", f"{path}/cover", why, by="Sokha")).raise_for_status()
            covered = {"resolution": "covered", **why}
            (await at_bank.call("POST", f"{path}/resolve", covered, by="Dara")).raise_for_status()
        assert await differences(at_bank) == []


async def test_a_batch_booked_as_one_sum_explains_its_payments(at_bank: Scene, tmp_path: Path) -> None:
    async with at_bank.running():
        await issue(at_bank, banked("h-1"), banked("h-2"))
        (order,) = await out(at_bank)
        told = bank.read(order)
        await load(at_bank, answer(tmp_path / "a.xml", order, lambda _: "ACSC"))
        for sequence, riel, expected in ((1, 2 * AMOUNT, []), (2, 100, [("batch-booked", 100)])):
            path = tmp_path / f"b{sequence}.xml"
            opening = OPENING if sequence == 1 else OPENING - 2 * AMOUNT
            balance = Balance("000111222", sequence, opening, opening - riel)
            bank.write_statement(path, balance, [Outcome(Order("x", str(riel)), "ACSC")], datetime.now(UTC))
            text = path.read_text()
            begin, end = text.index("<TxDtls>"), text.index("</TxDtls>") + len("</TxDtls>")
            batch = f"<Btch><PmtInfId>{told.message_id}</PmtInfId></Btch>"
            path.write_text(text[:begin] + batch + text[end:])
            await load(at_bank, path)
            assert await differences(at_bank) == expected
