"""From decisions to payments: tables, and every interleaving of decisions, exits and approvals."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.cycle import CycleState
from contracts.eligibility import Outcome as Scored
from contracts.household import ExitReason, HouseholdExited, Payee
from contracts.sealed import Sealed
from contracts.wire import Received
from postbox.errors import Park
from services.payments import entitlements, payees
from services.payments.budget import Budget, Waiting
from services.payments.cycles import Cycle, Terms
from services.payments.decided import Outcome
from services.payments.entitlements import Corrected, Desk, Household, Issued, SealedPayee
from services.payments.heard import DecisionHeard, ScoredHeard
from services.payments.states import Cancelling, Inquiry, State

NOW = datetime(2023, 6, 2, tzinfo=UTC)
PROGRAMME, PERIOD = "covid-19-cash-transfer", "2023-06"
TERMS = Terms(PROGRAMME, "hash-1", "social-transfer", PERIOD, date(2023, 6, 1), 400_000, 10)
APPROVED = Cycle(TERMS, CycleState.APPROVED, 3, ("Sokha",), "Dara", funded=10_000_000)
SUBMITTED = replace(APPROVED, state=CycleState.SUBMITTED, decided_by=None, funded=0, proposed=10_000_000)
PAYEE = Payee(person_id="p", name_km="សុខ", name_latin="Sok")


def nobody_held(household_id: str, payee: Payee) -> bool:
    return False


def desk(cycle: Cycle = APPROVED, payee: Payee | None = PAYEE) -> Desk:
    def open_payee(sealed: SealedPayee, event_id: str) -> Payee | None:
        return payee

    return Desk(
        {cycle.cycle_id: Budget(cycle)},
        open_payee,
        lambda payee, commune: "wing",
        20,
        nobody_held,
        lambda *_: "",
        mark=lambda payee: payees.written(payee).encode(),
        confirms=True,
    )


def decided(
    sequence: int,
    revision: int,
    amount: int,
    *,
    cycle: bool = True,
    key: str = "h-1",
    programme: str = PROGRAMME,
    period: str = PERIOD,
) -> Received[ScoredHeard]:
    decision = DecisionHeard(
        programme=programme,
        programme_hash="hash-1",
        purpose="social-transfer",
        cycle_id=f"{PROGRAMME}-{period}" if cycle else None,
        period=period if cycle else None,
        outcome=Scored.ELIGIBLE if amount else Scored.REFUSED,
        amount=amount,
    )
    data = ScoredHeard(
        household_id="h-1",
        revision=revision,
        commune="120101",
        decisions=(decision,),
        payee=Sealed(key_id="k-1", blob=b"x" * 29),
    )
    return Received(data, f"d-{sequence}", "eligibility.scored.v1", key, NOW, sequence, "corr", "trace")


def left(revision: int) -> Received[HouseholdExited]:
    data = HouseholdExited(household_id="h-1", revision=revision, reason=ExitReason.MOVED, exited_by="Sokha")
    return Received(data, f"x-{revision}", "household.exited.v1", "h-1", NOW, revision, "corr", "trace")


def scored(*events: Received[ScoredHeard], at: Desk | None = None) -> Household:
    household: Household | None = None
    for event in events:
        household = entitlements.score(at or desk(), household, event) or household
    assert household is not None
    return household


def kinds(household: Household) -> list[tuple[str, int, int]]:
    return [
        ("issued", each.payment.amount, each.sequence)
        if isinstance(each, Issued)
        else ("corrected", each.correction, each.sequence)
        if isinstance(each, Corrected)
        else ("cancelling", each.payment.cancels, each.sequence)
        for each in household.changes
    ]


def waiting(household: Household) -> Mapping[str, Waiting | None]:
    return {name: each.waiting for (name, _), each in household.decisions.items()}


@pytest.mark.parametrize(
    ("amounts", "told"),
    [
        ([176_000], [("issued", 176_000, 1)]),
        ([176_000, 176_000], [("issued", 176_000, 1)]),
        ([176_000, 160_000], [("issued", 176_000, 1), ("corrected", -16_000, 2)]),
        (
            [176_000, 160_000, 200_000],
            [("issued", 176_000, 1), ("corrected", -16_000, 2), ("corrected", 40_000, 3)],
        ),
        ([176_000, 0], [("issued", 176_000, 1), ("corrected", -176_000, 2)]),
        (
            [176_000, 0, 176_000],
            [("issued", 176_000, 1), ("corrected", -176_000, 2), ("corrected", 176_000, 3)],
        ),
        ([0], []),
        ([0, 176_000], [("issued", 176_000, 1)]),
    ],
)
def test_a_newer_decision_after_issue_is_recorded_as_a_correction(
    amounts: list[int], told: list[tuple[str, int, int]]
) -> None:
    household = scored(*(decided(n, n, amount) for n, amount in enumerate(amounts, 1)))
    assert kinds(household) == told


def test_a_newer_decision_before_issue_supersedes_the_one_that_waits() -> None:
    household = scored(decided(1, 1, 176_000), decided(2, 2, 160_000), at=desk(SUBMITTED))
    assert (household.changes, waiting(household)) == ((), {PROGRAMME: Waiting.APPROVAL})
    assert kinds(entitlements.retry(desk(), household, TERMS.cycle_id, held=False)) == [
        ("issued", 160_000, 1)
    ]


@pytest.mark.parametrize(("first", "second"), [(2, 1), (2, 2)])
def test_a_decision_that_is_not_newer_changes_nothing(first: int, second: int) -> None:
    household = scored(decided(first, 1, 176_000))
    assert entitlements.score(desk(), household, decided(second, 1, 200_000)) is None


def test_a_decision_without_a_cycle_is_kept_and_never_paid() -> None:
    household = scored(decided(1, 1, 176_000, cycle=False))
    assert (household.changes, waiting(household)) == ((), {PROGRAMME: None})
    again = entitlements.retry(desk(), household, TERMS.cycle_id, held=False)
    assert again.changes == ()


def test_a_programme_no_longer_mentioned_is_void() -> None:
    household = scored(decided(1, 1, 176_000), decided(2, 1, 80_000, programme="flood"), at=desk(SUBMITTED))
    assert household.decisions[PROGRAMME, PERIOD].outcome is Outcome.VOID
    assert waiting(household) == {PROGRAMME: None, "flood": Waiting.APPROVAL}


def test_what_waits_in_one_cycle_waits_on_when_the_next_one_is_decided() -> None:
    at = desk(SUBMITTED)
    household = scored(decided(1, 1, 176_000), decided(2, 2, 200_000, period="2023-07"), at=at)
    assert {part: each.waiting for part, each in household.decisions.items()} == {
        (PROGRAMME, PERIOD): Waiting.APPROVAL,
        (PROGRAMME, "2023-07"): Waiting.APPROVAL,
    }
    (issued,) = entitlements.retry(desk(), household, TERMS.cycle_id, held=False).changes
    assert (issued.payment.period, issued.payment.amount) == (PERIOD, 176_000)
    assert (issued.payment.decision_id, issued.payment.revision) == ("d-1", 1)


def test_what_was_paid_in_one_cycle_is_let_go_when_the_next_one_is_decided() -> None:
    household = scored(decided(1, 1, 176_000), decided(2, 1, 176_000, period="2023-07"))
    assert list(household.decisions) == [(PROGRAMME, "2023-07")]
    assert household.dropped == frozenset({(PROGRAMME, PERIOD)})


def test_who_left_is_paid_for_no_earlier_cycle_either_but_for_what_was_decided_since() -> None:
    events = decided(1, 1, 176_000), decided(2, 2, 200_000, period="2023-07")
    household = entitlements.leave(scored(*events, at=desk(SUBMITTED)), left(1))
    assert household is not None
    assert {part: each.waiting for part, each in household.decisions.items()} == {
        (PROGRAMME, "2023-07"): Waiting.APPROVAL
    }
    assert household.payee is not None


def test_a_household_whose_key_is_destroyed_waits_as_forgotten() -> None:
    household = scored(decided(1, 1, 176_000), at=desk(payee=None))
    assert (household.changes, waiting(household)) == ((), {PROGRAMME: Waiting.FORGOTTEN})


def test_a_held_household_waits_for_its_hold() -> None:
    household = scored(decided(1, 1, 176_000), at=desk(SUBMITTED))
    held = entitlements.retry(desk(), household, TERMS.cycle_id, held=True)
    assert (held.changes, waiting(held)) == ((), {PROGRAMME: Waiting.HOLD})


def test_a_newer_decision_corrects_what_failed_too_since_it_may_settle_late() -> None:
    household = scored(decided(1, 1, 176_000))
    failed = {key: each._replace(state=State.FAILED) for key, each in household.payments.items()}
    later = entitlements.score(
        desk(), household._replace(payments=failed, changes=()), decided(2, 2, 200_000)
    )
    assert later is not None
    assert (kinds(later), waiting(later)) == ([("corrected", 24_000, 2)], {PROGRAMME: None})


def test_the_same_entitlement_has_the_same_payment_id_for_ever() -> None:
    first, second = (scored(decided(n, n, 176_000)).changes[0] for n in (1, 2))
    assert first.payment.payment_id == second.payment.payment_id


@pytest.mark.parametrize("amount", [50, 176_050])
def test_an_amount_that_cannot_be_paid_out_parks(amount: int) -> None:
    with pytest.raises(Park, match="multiple of 100 riel"):
        entitlements.score(desk(), None, decided(1, 1, amount))


def test_an_event_under_another_household_s_key_parks() -> None:
    with pytest.raises(Park, match="key is not its household"):
        entitlements.score(desk(), None, decided(1, 1, 100, key="h-2"))


def test_nothing_is_spent_by_an_event_that_parks() -> None:
    at = desk()
    two = decided(1, 1, 176_000).data.decisions + decided(1, 1, 50, programme="flood").data.decisions
    event = decided(1, 1, 176_000)
    with pytest.raises(Park, match="multiple of 100"):
        entitlements.score(at, None, replace(event, data=event.data.model_copy(update={"decisions": two})))
    assert at.budgets[TERMS.cycle_id].committed == 0


Event = Received[ScoredHeard] | Received[HouseholdExited] | None
DECISIONS = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from([0, 160_000, 176_000, 400_100]),
        st.sampled_from([PERIOD, PERIOD, "2023-07"]),
    ),
    max_size=6,
)
EXITS = st.lists(st.integers(1, 5), max_size=2)


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[Event], list[Event]]:
    """One household's decisions (revisions never fall, redelivery included) and its exits."""
    revision = 1
    decisions: list[Event] = []
    for sequence, (revised, amount, period) in enumerate(draw(DECISIONS), 1):
        revision += revised
        decisions.append(decided(sequence, revision, amount, period=period))
    for again in sorted(draw(st.sets(st.integers(0, 5), max_size=2)), reverse=True):
        decisions[again:again] = decisions[:again][-2:]
    return decisions, [left(each) for each in draw(EXITS)]


def interleaved(draw: st.DrawFn, *several: Sequence[Event]) -> list[Event]:
    """Any mix that keeps the order within each."""
    left_over = [list(each) for each in several]
    mixed: list[Event] = []
    while any(left_over):
        mixed.append(draw(st.sampled_from([each for each in left_over if each])).pop(0))
    return mixed


def run(events: Sequence[Event]) -> tuple[Household, list[Issued | Corrected | Cancelling | Inquiry]]:
    """`None` is the approval; until it, the cycle is submitted. Returns the household and all it was told."""
    household: Household | None = None
    at, told = desk(SUBMITTED), list[Issued | Corrected | Cancelling | Inquiry]()
    for event in events:
        if event is None:
            at = desk()
            changed = household and entitlements.retry(at, household, TERMS.cycle_id, held=False)
        elif isinstance(event.data, HouseholdExited):
            changed = entitlements.leave(household, event)
        else:
            changed = entitlements.score(at, household, event)
        if changed is not None:
            told += changed.changes
            household = changed._replace(changes=())
    return household or Household("h-1"), told


@given(st.data())
def test_any_interleaving_of_decisions_and_exits_ends_in_the_same_entitlements(data: st.DataObject) -> None:
    decisions, exits = data.draw(streams())
    in_order, told = run([*decisions, *exits, None])
    mixed, told_mixed = run([*data.draw(st.composite(interleaved)(decisions, exits)), None])
    assert mixed == in_order
    assert [each._replace(payment=each.payment) for each in told_mixed] == told


@given(st.data())
def test_whenever_approval_comes_a_household_is_promised_once_what_its_latest_decision_says(
    data: st.DataObject,
) -> None:
    decisions, exits = data.draw(streams())
    household, told = run(data.draw(st.composite(interleaved)(decisions, exits, [None])))
    issued = [each for each in told if isinstance(each, Issued)]
    assert len(issued) <= 1
    assert [each.sequence for each in told] == list(range(1, len(told) + 1))
    promised = sum(each.payment.amount for each in issued)
    promised += sum(each.correction for each in told if isinstance(each, Corrected))
    latest = household.decisions.get((PROGRAMME, PERIOD))
    if latest is None or latest.outcome is Outcome.VOID:
        return
    if issued:
        assert promised == (latest.amount if latest.outcome is Outcome.ELIGIBLE else 0)
        assert latest.waiting is None
    else:
        above_cap = latest.amount > TERMS.cap_household
        assert latest.waiting is (Waiting.HOUSEHOLD_CAP if above_cap else None)
        assert above_cap or latest.outcome is Outcome.REFUSED


def test_what_is_open_when_a_household_leaves_is_asked_to_be_cancelled_once() -> None:
    issued = scored(decided(1, 1, 176_000))._replace(changes=())
    gone = entitlements.leave(issued, left(1))
    assert gone is not None
    assert kinds(gone) == [("cancelling", 1, 2)]
    (asked,) = gone.changes
    assert (asked.payment.state, asked.cause.id) == (State.ISSUED, "x-1")
    assert entitlements.leave(gone, left(1)) is None
    paid = {key: each._replace(state=State.SETTLED) for key, each in issued.payments.items()}
    later = entitlements.leave(issued._replace(payments=paid), left(2))
    assert later is not None
    assert later.changes == ()


def test_a_household_held_by_a_person_waits() -> None:
    held = replace(desk(), is_held=lambda household_id, payee: household_id == "h-1")
    household = scored(decided(1, 1, 176_000), at=held)
    assert (household.changes, waiting(household)) == ((), {PROGRAMME: Waiting.HELD})


def test_what_a_paused_partner_would_pay_waits_for_it() -> None:
    household = scored(decided(1, 1, 176_000), at=replace(desk(), paused={"wing"}))
    assert (household.changes, waiting(household)) == ((), {PROGRAMME: Waiting.PARTNER_PAUSED})
    other = scored(decided(1, 1, 176_000), at=replace(desk(), paused={"acleda"}))
    assert [each.payment.partner for each in other.changes] == ["wing"]


def test_a_payee_is_kept_as_long_as_something_is_due() -> None:
    waits = scored(decided(1, 1, 176_000), at=desk(SUBMITTED))
    issued = scored(decided(1, 1, 176_000))
    assert waits.payee is not None
    assert issued.payee is not None
    gone = entitlements.leave(issued, left(1))
    kept = [scored(decided(1, 1, 0)), scored(decided(1, 1, 176_000, cycle=False)), gone]
    assert [each.payee for each in kept if each] == [None, None, None]
