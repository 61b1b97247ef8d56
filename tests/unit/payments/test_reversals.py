"""Counter-entries of wrongly booked ones, as tables."""

import pytest

from contracts.payment import ReportStatus
from contracts.wire import Cause
from services.payments import ledger, reversals, states
from services.payments.approval import SamePerson
from services.payments.cycles import NotPossible
from services.payments.ledger import Kind
from services.payments.reversals import Reversal, ReversalState
from services.payments.states import Account, Payment, State
from tests.unit.payments.test_states import PAYMENT, report

CAUSE = Cause("r", "r", "t")
SETTLED = PAYMENT._replace(state=State.SETTLED)
ASKED = Reversal(1, "h-1", "p-1", Kind.SETTLE, "c-1", 176_000, ReversalState.PROPOSED, "Sokha", "wrong file")


def at(*payments: Payment) -> Account:
    return Account("h-1", 7, {each.payment_id: each for each in payments})


def test_a_reversed_settlement_moves_back_what_was_booked_and_says_so() -> None:
    after = reversals.booked(reversals.check(Kind.SETTLE, SETTLED), at(SETTLED), CAUSE)
    told = [(each.payment.state, each.transfer and each.transfer.kind) for each in after.updates]
    assert told == [("unknown", Kind.REVERSE_SETTLE), ("failed", Kind.RELEASE)]
    assert [(each.sequence, each.payment.reason) for each in after.updates] == [
        (8, "reversed"),
        (9, "reversed"),
    ]
    assert ledger.LEGS[Kind.REVERSE_SETTLE] == ledger.LEGS[Kind.SETTLE][::-1]


@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.SETTLE}))
def test_what_is_never_reversed_says_what_to_do_instead(kind: Kind) -> None:
    with pytest.raises(NotPossible, match="is not reversed") as refused:
        reversals.check(kind, SETTLED)
    assert refused.value.remedy == reversals.INSTEAD[kind]


@pytest.mark.parametrize(
    ("payment", "why"),
    [
        (SETTLED._replace(state=State.RETURNED), "is returned by now"),
        (SETTLED._replace(late=True), "is settled by now"),
        (SETTLED._replace(state=State.FAILED), "is failed by now"),
    ],
)
def test_an_entry_that_is_not_the_last_word_stands(payment: Payment, why: str) -> None:
    with pytest.raises(NotPossible, match=why):
        reversals.check(Kind.SETTLE, payment)


def test_another_person_decides() -> None:
    for decide in (reversals.approve, reversals.refuse):
        with pytest.raises(SamePerson, match="Sokha proposed this"):
            decide(ASKED, "Sokha", "so it is")
    done = reversals.approve(ASKED, "Dara", "asked the partner")
    assert (done.state, done.decided_by, done.decision_reason) == ("approved", "Dara", "asked the partner")


def test_a_reversed_settlement_that_was_true_after_all_settles_late() -> None:
    failed = reversals.booked(SETTLED, at(SETTLED), CAUSE)
    after = states.book(failed._replace(updates=()), report(ReportStatus.SETTLED))
    assert after is not None
    (update,) = after.updates
    assert update.transfer is not None
    assert (update.payment.state, update.payment.late) == (State.SETTLED, True)
    assert update.transfer.kind is Kind.SETTLE_LATE
