"""Cycles and who decides on them, as tables."""

from datetime import date

import pytest

from contracts.cycle import CycleState
from services.payments import approval, cycles
from services.payments.approval import SamePerson
from services.payments.budget import Budget, Waiting
from services.payments.cycles import Cycle, NotPossible, Terms
from services.payments.decided import Decision, Outcome

TERMS = Terms("covid-19-cash-transfer", "hash-1", "social-transfer", "2023-06", date(2023, 6, 1), 400_000, 3)


def opened(envelope: int = 1_000_000) -> Cycle:
    return cycles.open_cycle(None, TERMS, envelope, "wfp", "Sokha")


def approved(envelope: int = 1_000_000) -> Cycle:
    return approval.approve(approval.submit(opened(envelope), "Sokha"), "Dara", None)


def test_a_cycle_is_funded_only_when_another_person_approved_it() -> None:
    submitted = approval.submit(opened(), "Sokha")
    assert (submitted.funded, submitted.proposed) == (0, 1_000_000)
    released = approval.approve(submitted, "Dara", "checked")
    assert (released.state, released.funded, released.proposed) == (CycleState.APPROVED, 1_000_000, None)
    assert (released.prepared_by, released.decided_by) == (("Sokha",), "Dara")


@pytest.mark.parametrize("who", ["Sokha", "Vanna"])
def test_who_opened_or_submitted_it_can_neither_approve_nor_refuse(who: str) -> None:
    submitted = approval.submit(opened(), "Vanna")
    with pytest.raises(SamePerson, match=f"{who} prepared this"):
        approval.approve(submitted, who, None)
    with pytest.raises(SamePerson):
        approval.refuse(submitted, who, "no")


def test_a_larger_envelope_needs_two_people_of_its_own() -> None:
    asked = approval.propose(approved(), 2_000_000, "wfp", "Dara", "more households")
    assert (asked.state, asked.funded, asked.proposed) == (CycleState.APPROVED, 1_000_000, 2_000_000)
    with pytest.raises(SamePerson):
        approval.approve(asked, "Dara", None)
    assert approval.approve(asked, "Sokha", None).funded == 2_000_000
    refused = approval.refuse(asked, "Sokha", "no money")
    assert (refused.state, refused.funded, refused.proposed) == (CycleState.APPROVED, 1_000_000, None)


@pytest.mark.parametrize(
    ("why", "step"),
    [
        ("nothing of cycle", lambda: approval.approve(opened(), "Dara", None)),
        ("nothing of cycle", lambda: approval.approve(approved(), "Dara", None)),
        ("is approved", lambda: approval.submit(approved(), "Sokha")),
        ("is opened", lambda: approval.propose(opened(), 5_000_000, "wfp", "Sokha", None)),
        ("holds 1000000 riel", lambda: approval.propose(approved(), 1_000_000, "wfp", "Sokha", None)),
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
    refused = approval.refuse(approval.submit(opened(), "Sokha"), "Dara", "too large")
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
        (approval.submit(opened(), "Sokha"), decision(), Waiting.APPROVAL),
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


def test_the_caps_count_what_this_batch_took_already() -> None:
    budget = Budget(approved(500_000))
    assert [budget.take(decision(200_000), 200_000) for _ in range(3)] == [None, None, Waiting.ENVELOPE]
    assert [budget.take(decision(100), 100) for _ in range(2)] == [None, Waiting.COUNT_CAP]
    assert budget.committed == 400_100
