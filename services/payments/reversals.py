"""A wrongly booked entry gets a counter-entry: prepared by one person, approved by another, once. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from contracts.wire import Cause
from services.payments import ledger
from services.payments.approval import SamePerson
from services.payments.cycles import NotPossible
from services.payments.ledger import Kind
from services.payments.states import Account, Payment, State, Updated

REVERSED = "reversed"
"""The reason code of a payment whose settlement two people reversed."""
INSTEAD: Mapping[Kind, str] = {
    Kind.FUND: "People approved the envelope: end what is issued from it with `tonle cycles close`.",
    Kind.ISSUE: "The partner may still pay it: ask it not to with `tonle payments cancel`.",
    Kind.RELEASE: "If the partner paid all the same, its report books that: `tonle payments differences`.",
    Kind.RETURN: "Hold the household, so that nothing is sent again, until a statement says more.",
    Kind.SETTLE_LATE: "Have the partner report it returned, then `tonle payments close`.",
    Kind.RETURN_LATE: "What the partner is owed for it now stands in `tonle payments differences`.",
    Kind.COVER: "Have the partner report the payment returned: it then owes what was covered.",
    Kind.REVERSE_SETTLE: "If it was paid after all, the partner's report books that as settled late.",
}


class ReversalState(StrEnum):
    PROPOSED = "proposed"
    APPROVED = "approved"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Reversal:
    """The counter-entry that is asked for the entry (`household_id`, `subject`, `kind`) of `amount` riel."""

    number: int
    household_id: str
    subject: str
    kind: Kind
    cycle_id: str
    amount: int
    state: ReversalState
    proposed_by: str
    reason: str
    decided_by: str | None = None
    decision_reason: str | None = None


def check(kind: Kind, payment: Payment | None) -> Payment:
    """The settled payment whose entry of this kind can be reversed as things stand. Raises `NotPossible`."""
    if kind is not Kind.SETTLE or payment is None:
        raise NotPossible(
            f"an entry `{kind}` is not reversed", INSTEAD.get(kind, "See: tonle ledger entries.")
        )
    if payment.state is not State.SETTLED or payment.late:
        raise NotPossible(
            f"payment {payment.payment_id} is {payment.state} by now",
            "The entry is not its last: see its story.",
        )
    return payment


def approve(reversal: Reversal, by: str, reason: str) -> Reversal:
    """Book it. Raises `SamePerson`."""
    return _decide(reversal, ReversalState.APPROVED, by, reason)


def refuse(reversal: Reversal, by: str, reason: str) -> Reversal:
    """Say no: the entry stands. Raises `SamePerson`."""
    return _decide(reversal, ReversalState.REFUSED, by, reason)


def booked(payment: Payment, account: Account, cause: Cause) -> Account:
    """The household's payments after the counter-entry of a settlement that `check` let pass.

    A settlement that never was is a failure, whose riel go back to the envelope.
    """
    unknown, failed = (
        payment._replace(state=each, reason=REVERSED) for each in (State.UNKNOWN, State.FAILED)
    )
    first, number = ledger.reversed_settlement(payment), account.sequence
    updates = (
        Updated(unknown, number + 1, cause, first),
        Updated(failed, number + 2, cause, ledger.moved(unknown, failed)),
    )
    return account._replace(
        sequence=number + len(updates),
        payments={**account.payments, payment.payment_id: failed},
        updates=account.updates + updates,
    )


def _decide(reversal: Reversal, state: ReversalState, by: str, reason: str) -> Reversal:
    if by == reversal.proposed_by:
        raise SamePerson(f"{by} proposed this and can't decide on it", "Ask another person who may approve.")
    return replace(reversal, state=state, decided_by=by, decision_reason=reason)
