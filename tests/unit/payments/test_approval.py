"""Cycles and who decides on them, as tables."""

from dataclasses import replace
from datetime import date

import pytest

from contracts.cycle import ApprovalKind, CycleState
from services.payments import approval, cycles
from services.payments.approval import SamePerson, Thresholds
from services.payments.budget import Budget, Stage, Waiting, stage
from services.payments.cycles import Cycle, NotPossible, Terms
from services.payments.decided import Decision, Outcome

TERMS = Terms("covid-19-cash-transfer", "hash-1", "social-transfer", "2023-06", date(2023, 6, 1), 400_000, 3)


LIMITS = Thresholds(two=2_000_000, three=5_000_000)


def propose(cycle: Cycle, envelope: int, by: str) -> Cycle:
    return approval.propose(cycle, envelope, "wfp", by=by, reason="more households", thresholds=LIMITS)


def opened(envelope: int = 1_000_000) -> Cycle:
    return cycles.open_cycle(None, TERMS, envelope, "wfp", "Sokha")


def approved(envelope: int = 1_000_000) -> Cycle:
    return approval.approve(approval.submit(opened(envelope), "Sokha", LIMITS), "Dara", None)


def test_a_cycle_is_funded_only_when_another_person_approved_it() -> None:
    submitted = approval.submit(opened(), "Sokha", LIMITS)
    assert (submitted.funded, submitted.proposed) == (0, 1_000_000)
    released = approval.approve(submitted, "Dara", "checked")
    assert (released.state, released.funded, released.proposed) == (CycleState.APPROVED, 1_000_000, None)
    assert (released.prepared_by, released.decided_by) == (("Sokha",), "Dara")


@pytest.mark.parametrize("who", ["Sokha", "Vanna"])
def test_who_opened_or_submitted_it_can_neither_approve_nor_refuse(who: str) -> None:
    submitted = approval.submit(opened(), "Vanna", LIMITS)
    with pytest.raises(SamePerson, match=f"{who} prepared this"):
        approval.approve(submitted, who, None)
    with pytest.raises(SamePerson):
        approval.refuse(submitted, who, "no")


def test_a_larger_envelope_needs_two_people_of_its_own() -> None:
    asked = propose(approved(), 1_999_900, "Dara")
    assert (asked.state, asked.funded, asked.proposed) == (CycleState.APPROVED, 1_000_000, 1_999_900)
    with pytest.raises(SamePerson):
        approval.approve(asked, "Dara", None)
    assert approval.approve(asked, "Sokha", None).funded == 1_999_900
    refused = approval.refuse(asked, "Sokha", "no money")
    assert (refused.state, refused.funded, refused.proposed) == (CycleState.APPROVED, 1_000_000, None)


PAYROLL = replace(TERMS, approval=ApprovalKind.PAYROLL)


def asked(terms: Terms, envelope: int) -> Cycle:
    return approval.submit(cycles.open_cycle(None, terms, envelope, "wfp", "Sokha"), "Sokha", LIMITS)


def by_all(cycle: Cycle) -> Cycle:
    for who in ("Dara", "Vanna", "Bopha"):
        cycle = approval.approve(cycle, who, None) if cycle.awaits_decision else cycle
    return cycle


@pytest.mark.parametrize(
    ("cycle", "people"),
    [
        (asked(TERMS, 1_999_900), 1),
        (asked(TERMS, 2_000_000), 2),
        (asked(TERMS, 5_000_000), 3),
        (asked(PAYROLL, 5_000_000), 1),
        (propose(approved(), 2_000_000, "Sokha"), 2),
        (propose(by_all(asked(TERMS, 4_999_900)), 5_000_000, "Sokha"), 3),
        (propose(by_all(asked(PAYROLL, 2_000_000)), 5_000_000, "Sokha"), 1),
        (approval.let_in(by_all(asked(PAYROLL, 5_000_000)), "Sokha", "late", LIMITS), 3),
    ],
)
def test_the_larger_what_is_paid_without_a_list_the_more_people_approve_it(cycle: Cycle, people: int) -> None:
    for number, who in enumerate(("Dara", "Vanna", "Bopha")[:people]):
        assert (cycle.approvals_missing, cycle.awaits_decision) == (people - number, True)
        with pytest.raises(SamePerson, match="prepared this"):
            approval.approve(cycle, "Sokha", None)
        cycle = approval.approve(cycle, who, "looked at")
        with pytest.raises(NotPossible):
            approval.approve(cycle, who, "again")
    assert (cycle.state, cycle.approvals_missing, cycle.proposed) == (CycleState.APPROVED, 0, None)
    assert (cycle.asks_standing, cycle.funded > 0, len(cycle.approved_by)) == (False, True, people)


def test_who_approved_can_not_refuse_and_a_refusal_ends_what_others_approved() -> None:
    half = approval.approve(asked(TERMS, 5_000_000), "Dara", None)
    with pytest.raises(SamePerson, match="Dara approved this"):
        approval.refuse(half, "Dara", "no")
    refused = approval.refuse(half, "Vanna", "too much")
    assert (refused.state, refused.approved_by, refused.funded) == (CycleState.REFUSED, (), 0)


def test_what_was_approved_of_a_smaller_envelope_does_not_count_for_a_larger() -> None:
    first = propose(approved(), 2_000_000, "Sokha")
    half = approval.approve(first, "Dara", None)
    again = propose(half, 3_000_000, "Vanna")
    assert (again.approved_by, again.approvals_missing) == ((), 2)


@pytest.mark.parametrize(
    ("why", "step"),
    [
        ("nothing of cycle", lambda: approval.approve(opened(), "Dara", None)),
        ("nothing of cycle", lambda: approval.approve(approved(), "Dara", None)),
        ("is approved", lambda: approval.submit(approved(), "Sokha", LIMITS)),
        ("is opened", lambda: propose(opened(), 5_000_000, "Sokha")),
        ("holds 1000000 riel", lambda: propose(approved(), 1_000_000, "Sokha")),
        ("is approved already", lambda: cycles.open_cycle(approved(), TERMS, 1, "wfp", "Sokha")),
        ("envelope is empty", lambda: opened(0)),
        ("is closed already", lambda: cycles.close(cycles.close(approved(), None), None)),
        ("nothing of cycle", lambda: approval.approve(cycles.close(opened(), None), "Dara", None)),
    ],
)
def test_a_step_out_of_order_is_refused_with_what_to_do(why: str, step: object) -> None:
    assert callable(step)
    with pytest.raises(NotPossible, match=why) as refused:
        step()
    assert refused.value.remedy


def test_a_refused_cycle_is_opened_again_with_other_terms() -> None:
    refused = approval.refuse(approval.submit(opened(), "Sokha", LIMITS), "Dara", "too large")
    again = cycles.open_cycle(refused, TERMS, 500_000, "wfp", "Vanna")
    assert (again.state, again.version, again.proposed) == (CycleState.OPENED, 4, 500_000)
    assert (again.prepared_by, again.decided_by) == (("Vanna",), None)


def test_asking_for_the_same_cycle_again_changes_nothing() -> None:
    first = opened()
    assert cycles.open_cycle(first, TERMS, 1_000_000, "wfp", "Sokha") is first


def decision(
    amount: int = 176_000, hash_: str = "hash-1", period: str = "2023-06", purpose: str = "social-transfer"
) -> Decision:
    return Decision(
        TERMS.programme, hash_, purpose, TERMS.cycle_id, period, Outcome.ELIGIBLE, amount, "d-1", 1
    )


@pytest.mark.parametrize(
    ("cycle", "asked", "waiting"),
    [
        (approved(), decision(), None),
        (opened(), decision(), Waiting.APPROVAL),
        (approval.submit(opened(), "Sokha", LIMITS), decision(), Waiting.APPROVAL),
        (cycles.close(approved(), None), decision(), Waiting.CLOSED),
        (approved(), decision(hash_="hash-2"), Waiting.PROGRAMME_HASH),
        (approved(), decision(period="2023-05"), Waiting.PROGRAMME_HASH),
        (approved(), decision(purpose="other"), Waiting.PROGRAMME_HASH),
        (approved(), decision(400_000), None),
        (approved(), decision(400_100), Waiting.HOUSEHOLD_CAP),
        (approved(176_000), decision(), None),
        (approved(175_900), decision(), Waiting.ENVELOPE),
    ],
)
def test_a_decision_is_paid_inside_the_terms_or_says_what_it_waits_for(
    cycle: Cycle, asked: Decision, waiting: Waiting | None
) -> None:
    budget = Budget(cycle)
    assert budget.take(asked, asked.amount) is waiting
    assert (budget.committed, budget.count) == ((asked.amount, 1) if waiting is None else (0, 0))


@pytest.mark.parametrize("waiting", Waiting)
def test_what_waits_is_planned_until_an_approval_covers_it_as_it_is(waiting: Waiting) -> None:
    approved = {"payroll", "envelope", "hold", "held", "payee-changed", "partner-paused", "forgotten"}
    assert stage(waiting, covered=False) is Stage.PLANNED
    assert stage(waiting, covered=True) is (Stage.APPROVED if waiting in approved else Stage.PLANNED)


def test_the_caps_count_what_this_batch_took_already() -> None:
    budget = Budget(approved(500_000))
    assert [budget.take(decision(200_000), 200_000) for _ in range(3)] == [None, None, Waiting.ENVELOPE]
    assert [budget.take(decision(100), 100) for _ in range(2)] == [None, Waiting.COUNT_CAP]
    assert budget.committed == 400_100
