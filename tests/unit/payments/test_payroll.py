"""Payrolls as tables: when a list may be frozen, who decides on it, and what its digest names."""

from dataclasses import replace
from datetime import date

import pytest

from contracts.cycle import ApprovalKind, CycleState
from services.payments import approval
from services.payments.approval import SamePerson, Thresholds
from services.payments.budget import Budget, Waiting
from services.payments.cycles import Cycle, NotPossible, Terms
from services.payments.payroll import (
    Digest,
    Line,
    Payroll,
    PayrollState,
    Verdict,
    begin,
    decide,
    freeze,
    release,
)

TERMS = Terms("p", "hash", "purpose", "2023-06", date(2023, 6, 1), 400_000, 10, ApprovalKind.PAYROLL)
CYCLE = Cycle(TERMS, CycleState.APPROVED, 3, ("Sokha",), "Dara", funded=1_000_000)
THRESHOLDS = Thresholds(two=200_000, three=300_000)
AMPLE = Thresholds(two=2_000_000, three=3_000_000)
LINES = [Line("h-1", 100_000, "d-1", "x"), Line("h-2", 50_000, "d-2", "y")]


def digest(*lines: Line) -> Digest:
    found = Digest(TERMS)
    found.add(lines)
    return found


def frozen(*lines: Line) -> Payroll:
    return freeze(begin(CYCLE, None, "Rith"), digest(*(lines or LINES)), THRESHOLDS)


def said(payroll: Payroll, by: str, verdict: Verdict = Verdict.APPROVE, room: int = 1_000_000) -> Payroll:
    return decide(payroll, verdict, payroll.digest or "", by=by, room=room)


@pytest.mark.parametrize(
    ("riel", "people"), [(1, 1), (199_999, 1), (200_000, 2), (299_999, 2), (300_000, 3), (10**12, 3)]
)
def test_the_amount_says_how_many_people_approve(riel: int, people: int) -> None:
    assert THRESHOLDS.approvers(riel) == people


@pytest.mark.parametrize(
    "other",
    [
        (LINES[0]._replace(amount=100_100), LINES[1]),
        (LINES[0]._replace(decision_id="d-9"), LINES[1]),
        (LINES[0]._replace(payee_digest="z"), LINES[1]),
        (LINES[0]._replace(household_id="h-0"), LINES[1]),
        (LINES[0],),
    ],
    ids=["amount", "decision", "payee", "household", "one fewer"],
)
def test_any_change_of_a_list_changes_its_digest(other: tuple[Line, ...]) -> None:
    assert digest(*other).hexdigest() != digest(*LINES).hexdigest()


def test_another_cycle_s_list_has_another_digest() -> None:
    july = Digest(replace(TERMS, period="2023-07"))
    july.add(LINES)
    assert july.hexdigest() != digest(*LINES).hexdigest()


@pytest.mark.parametrize("lines", [[LINES[1], LINES[0]], [LINES[0], LINES[0]]], ids=["unsorted", "twice"])
def test_a_list_has_each_household_once_in_order(lines: list[Line]) -> None:
    with pytest.raises(ValueError, match="each once"):
        digest(*lines)


def test_one_approval_is_enough_for_a_small_list() -> None:
    assert release(said(frozen(), "Dara")).state is PayrollState.RELEASED


def test_a_large_list_is_approved_by_the_last_of_the_people_it_takes() -> None:
    payroll = frozen(Line("h-1", 300_000, "d", "x"))
    states = []
    for name in ("Dara", "Vanna", "Bopha"):
        payroll = said(payroll, name)
        states.append(payroll.state)
    assert states == [PayrollState.FROZEN, PayrollState.FROZEN, PayrollState.APPROVED]


@pytest.mark.parametrize("by", ["Sokha", "Rith"])
def test_neither_who_prepared_the_cycle_nor_who_froze_the_list_decides(by: str) -> None:
    with pytest.raises(SamePerson):
        said(frozen(), by)


def test_nobody_approves_twice() -> None:
    with pytest.raises(SamePerson, match="approved this"):
        said(said(frozen(Line("h-1", 300_000, "d", "x")), "Dara"), "Dara")


def test_a_decision_is_on_the_digest_that_was_seen() -> None:
    with pytest.raises(NotPossible, match="digest"):
        decide(frozen(), Verdict.APPROVE, digest(LINES[0]).hexdigest(), by="Dara", room=10**9)


def test_a_list_beyond_the_room_is_refused_only() -> None:
    with pytest.raises(NotPossible, match="room for 100"):
        said(frozen(), "Dara", room=100)
    assert said(frozen(), "Dara", Verdict.REFUSE, room=100).state is PayrollState.REFUSED


@pytest.mark.parametrize(
    "cycle",
    [
        replace(CYCLE, terms=replace(TERMS, approval=ApprovalKind.STANDING)),
        replace(CYCLE, state=CycleState.SUBMITTED),
        replace(CYCLE, state=CycleState.CLOSED),
    ],
)
def test_only_an_approved_cycle_that_pays_from_lists_is_frozen(cycle: Cycle) -> None:
    with pytest.raises(NotPossible):
        begin(cycle, None, "Rith")


@pytest.mark.parametrize("state", [PayrollState.FREEZING, PayrollState.FROZEN])
def test_one_list_of_a_cycle_is_undecided_at_a_time(state: PayrollState) -> None:
    with pytest.raises(NotPossible, match="awaits a decision"):
        begin(CYCLE, replace(frozen(), state=state), "Rith")


@pytest.mark.parametrize(
    ("claim", "waiting"),
    [
        (LINES[0], None),
        (LINES[0]._replace(amount=90_000), Waiting.CHANGED),
        (LINES[0]._replace(decision_id="d-9"), Waiting.CHANGED),
        (LINES[0]._replace(payee_digest="z"), Waiting.CHANGED),
        (LINES[0]._replace(household_id="h-9"), Waiting.PAYROLL),
    ],
    ids=["as approved", "amount", "decision", "payee", "not on it"],
)
def test_only_what_stands_on_the_released_list_is_issued(claim: Line, waiting: Waiting | None) -> None:
    budget = Budget(CYCLE)
    budget.released = {line.household_id: line for line in LINES}
    judged = replace(TERMS, programme_hash="hash")
    assert budget.take(judged, claim.amount, claim) is waiting


def test_letting_late_joiners_in_is_decided_by_another_person() -> None:
    asked = approval.let_in(CYCLE, "Sokha", "few are left", AMPLE)
    assert (asked.terms.approval, asked.funded) == (ApprovalKind.PAYROLL, 1_000_000)
    with pytest.raises(SamePerson):
        approval.approve(asked, "Sokha", None)
    let = approval.approve(asked, "Dara", None)
    assert (let.terms.approval, let.funded, let.asks_standing) == (ApprovalKind.STANDING, 1_000_000, False)
    refused = approval.refuse(asked, "Dara", "no")
    assert (refused.terms.approval, refused.asks_standing) == (ApprovalKind.PAYROLL, False)


def test_two_proposals_do_not_await_one_decision() -> None:
    asked = approval.let_in(CYCLE, "Sokha", "few are left", AMPLE)
    with pytest.raises(NotPossible, match="another change"):
        approval.propose(asked, 2_000_000, "wfp", by="Dara", reason=None, thresholds=AMPLE)
    larger = approval.propose(CYCLE, 2_000_000, "wfp", by="Sokha", reason=None, thresholds=AMPLE)
    with pytest.raises(NotPossible, match="another change"):
        approval.let_in(larger, "Dara", "late", AMPLE)
