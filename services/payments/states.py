"""What becomes of a payment: its states, and what a partner's report may change."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from contracts.payment import InstructionKind, PaymentReport, ReportStatus
from contracts.topics import PAYMENT_ISSUED, partner_instruction
from contracts.wire import Cause, Received, event_id, household_uuid
from postbox.errors import Park
from services.payments import ledger
from services.payments.cycles import NotPossible
from services.payments.ledger import Transfer


class State(StrEnum):
    """`issued` until the partner says something; `unknown` where it said nothing in time.

    `settled_late`: paid after it had failed or expired, and another attempt had been issued meanwhile.
    """

    ISSUED = "issued"
    ACCEPTED = "accepted"
    SETTLED = "settled"
    SETTLED_LATE = "settled_late"
    FAILED = "failed"
    EXPIRED = "expired"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


OPEN = frozenset({State.ISSUED, State.ACCEPTED, State.UNKNOWN})
LIVE = OPEN | {State.SETTLED}
"""One attempt of an entitlement key may be in these; `payment.live` in the database says the same."""
ENDED = frozenset({State.FAILED, State.EXPIRED, State.RETURNED, State.CANCELLED})
"""Not paid, by the partner's word: and from here alone a new attempt is made, once it confirms that."""
_PAID = frozenset({State.SETTLED, State.SETTLED_LATE})
_LATE_FROM = frozenset({State.FAILED, State.EXPIRED})
"""What partners were seen to pay after all, though they had said that it was over."""

_DOUBLINGS_MOST = 8
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_REACHED_FROM: Mapping[State, frozenset[State]] = {
    State.ACCEPTED: frozenset({State.ISSUED, State.UNKNOWN}),
    State.SETTLED: OPEN | _LATE_FROM,
    State.FAILED: OPEN,
    State.EXPIRED: OPEN,
    State.CANCELLED: OPEN,
    State.RETURNED: OPEN | _PAID,
}
_STATE_OF = {ReportStatus(state.value): state for state in _REACHED_FROM}


Key = tuple[str, str, str]
"""(programme, period, purpose): an entitlement key within one household."""


def payment_id_of(household_id: str, key: Key, attempt: int) -> str:
    """The id of an attempt, which is also that of the event that issues it: the same one for ever."""
    programme, period, purpose = key
    name = f"{PAYMENT_ISSUED.name}/{programme}/{period}/{household_id}/{purpose}/{attempt}"
    return household_uuid(household_id, name)


class Payment(NamedTuple):
    """One attempt of an entitlement key. `amount` holds `carried` riel of earlier corrections.

    `entitled` is what is due of the key alone, by the latest decision: amount - carried + its corrections.
    `late`: settled after its money had been taken back, so that it is owed to the partner. `fund`: which of
    the cycle's funds pays it; what of it others pay is kept beside it.
    """

    payment_id: str
    household_id: str
    programme: str
    period: str
    purpose: str
    attempt: int
    cycle_id: str
    amount: int
    entitled: int
    partner: str
    commune: str
    revision: int
    decision_id: str
    correlation_id: str
    traceparent: str
    state: State = State.ISSUED
    reason: str | None = None
    partner_reference: str | None = None
    inquiries: int = 0
    due_at: datetime | None = None
    late: bool = False
    carried: int = 0
    cancels: int = 0
    fund: int = 0

    @property
    def key(self) -> Key:
        return self.programme, self.period, self.purpose


class Updated(NamedTuple):
    """A payment's new state as it will be told; `sequence` is its place among the household's."""

    payment: Payment
    sequence: int
    cause: Cause
    transfer: Transfer | None = None


class Inquiry(NamedTuple):
    """A question to the partner about a payment; `payment.inquiries` is its number."""

    payment: Payment
    sequence: int
    cause: Cause


class Cancelling(NamedTuple):
    """A request to the partner not to pay any more; `payment.cancels` is its number. Its answer decides.

    `asked_by` is None where nobody asked: the household left, or another attempt was paid.
    """

    payment: Payment
    sequence: int
    cause: Cause
    reason: str
    asked_by: str | None = None


class DifferenceKind(StrEnum):
    """`settled-late`: paid after all; `settled-twice`: the partner says it paid one payment twice."""

    SETTLED_LATE = "settled-late"
    SETTLED_TWICE = "settled-twice"


class Difference(NamedTuple):
    """What a partner paid and we did not expect: a person finds out, and decides."""

    payment: Payment
    kind: DifferenceKind
    report: Received[PaymentReport]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a partner may stay silent: until its first report, and until it settles what it accepted."""

    report: timedelta
    settlement: timedelta


class Account(NamedTuple):
    """A household's payments as reports find them, and what this batch did to them.

    With a payment that ended, or that is not the first of its key, come all the household's. `reports` gives
    the payment and status of those booked before, by id; `confirmed` are questions of ours that were answered
    by the end the payment had already.
    """

    household_id: str
    sequence: int
    payments: Mapping[str, Payment]
    reports: Mapping[str, tuple[str, str]] = MappingProxyType({})
    updates: tuple[Updated, ...] = ()
    inquiries: tuple[Inquiry, ...] = ()
    booked: tuple[Received[PaymentReport], ...] = ()
    differences: tuple[Difference, ...] = ()
    cancellings: tuple[Cancelling, ...] = ()
    confirmed: tuple[str, ...] = ()

    @property
    def told(self) -> int:
        """How far this batch raised `sequence`: each of these has a number of its own."""
        return len(self.updates) + len(self.inquiries) + len(self.cancellings)


def book(account: Account | None, report: Received[PaymentReport]) -> Account | None:
    """What a report changes; one seen before (by its id) changes nothing, but may confirm what it said.

    Raises `Park` for what can't be true of the payment as it stands; then nothing moved.
    """
    said = report.data
    payment = account.payments.get(said.payment_id) if account else None
    if account is None or payment is None or payment.partner != said.partner:
        raise Park("report: no such payment of this household with this partner")
    confirms = _confirms(payment, said)
    if confirms:
        account = account._replace(confirmed=(*account.confirmed, question_id(payment)))
    if (known := account.reports.get(said.report_id)) is not None:
        if known != (said.payment_id, said.status):
            raise Park("report: its id is another report's")
        return account if confirms else None
    after, difference = _after(account, payment, said)
    updates: tuple[Updated, ...] = ()
    if after != payment:
        cause = Cause(report.id, report.correlation_id, report.traceparent)
        updates = (Updated(after, account.sequence + 1, cause, ledger.moved(payment, after)),)
    booked = account._replace(
        sequence=account.sequence + len(updates),
        payments={**account.payments, after.payment_id: after},
        reports={**account.reports, said.report_id: (said.payment_id, said.status)},
        updates=account.updates + updates,
        booked=(*account.booked, report),
        differences=(*account.differences, *([Difference(after, difference, report)] if difference else [])),
    )
    if after.state is not State.SETTLED_LATE or after == payment:
        return booked
    cause = Cause(report.id, report.correlation_id, report.traceparent)
    for other in account.payments.values():
        if other.key == after.key and other.state in OPEN:
            booked = cancel(booked, other.payment_id, cause, "another-attempt-paid")
    return booked


def instruction_id(payment: Payment, kind: InstructionKind, number: int = 0) -> str:
    """The same order, question or request to the partner has the same id for ever."""
    return event_id(partner_instruction(payment.partner), payment.payment_id, kind.value, number)


def question_id(payment: Payment) -> str:
    """The latest question to the partner about a payment, as its answer names it."""
    return instruction_id(payment, InstructionKind.INQUIRE, payment.inquiries)


def cancel(
    account: Account, payment_id: str, cause: Cause, reason: str, asked_by: str | None = None
) -> Account:
    """Ask the partner not to pay a payment that is open; nothing else changes until it answers.

    Raises `NotPossible` for a payment that has ended.
    """
    payment = account.payments[payment_id]
    if payment.state not in OPEN:
        raise NotPossible(f"payment {payment_id} is {payment.state}", "Only what is open can be cancelled.")
    after = payment._replace(cancels=payment.cancels + 1)
    asked = Cancelling(after, account.sequence + 1, cause, reason, asked_by)
    return account._replace(
        sequence=asked.sequence,
        payments={**account.payments, payment_id: after},
        cancellings=(*account.cancellings, asked),
    )


def unanswered(account: Account, payment_id: str) -> Account:
    """No report came in time: the payment is unknown, and its partner is asked about it (rule 3)."""
    payment = account.payments[payment_id]
    cause = Cause(
        f"no-report/{payment_id}/{payment.inquiries + 1}", payment.correlation_id, payment.traceparent
    )
    reason = payment.reason if payment.state is State.UNKNOWN else "no-report"
    after = payment._replace(state=State.UNKNOWN, reason=reason, inquiries=payment.inquiries + 1)
    updates: tuple[Updated, ...] = ()
    if payment.state is not State.UNKNOWN:
        updates = (Updated(after, account.sequence + 1, cause),)
    inquiry = Inquiry(after, account.sequence + len(updates) + 1, cause)
    return account._replace(
        sequence=inquiry.sequence,
        payments={**account.payments, payment_id: after},
        updates=account.updates + updates,
        inquiries=(*account.inquiries, inquiry),
    )


def due(payment: Payment, now: datetime, patience: Patience) -> datetime | None:
    """When the partner will be asked, unless it reports before; None where nothing is awaited."""
    if payment.state is State.ISSUED:
        return now + patience.report
    if payment.state is State.ACCEPTED:
        return now + patience.settlement
    if payment.state is State.UNKNOWN:
        return now + patience.report * (1 << min(payment.inquiries, _DOUBLINGS_MOST))
    return None


def _after(account: Account, payment: Payment, said: PaymentReport) -> tuple[Payment, DifferenceKind | None]:
    if said.status is ReportStatus.UNRECOGNISED:
        raise Park("report: a status this version does not know")
    if said.status is ReportStatus.NOT_FOUND:
        if payment.state in ENDED and said.instruction_id == question_id(payment):
            return payment, None  # no confirmation either: it waits for a person
        # No failure: the instruction may still be on its way. It stays unknown, for a person to see.
        if payment.state not in (State.ISSUED, State.UNKNOWN):
            raise Park(f"report: not_found, but the payment is {payment.state}")
        return payment._replace(state=State.UNKNOWN, reason="not_found"), None
    if said.amount != payment.amount:
        raise Park("report: the amount is not the payment's")
    to = _STATE_OF[said.status]
    if payment.state in _REACHED_FROM[to]:
        reference = said.partner_reference or payment.partner_reference
        after = payment._replace(state=to, reason=code(said.reason_code), partner_reference=reference)
        if to is not State.SETTLED or payment.state not in _LATE_FROM:
            return after, None
        return after._replace(state=_late(account, payment), late=True), DifferenceKind.SETTLED_LATE
    if _says_nothing_new(payment, to, said):
        return payment, None
    if to is State.SETTLED and payment.state in _PAID:
        return payment, DifferenceKind.SETTLED_TWICE
    raise Park(f"report: {to}, but the payment is {payment.state} already")


def _confirms(payment: Payment, said: PaymentReport) -> bool:
    """Whether it answers our latest question by the end that the payment had already."""
    ended_so = payment.state in ENDED and _STATE_OF.get(said.status) is payment.state
    return ended_so and said.amount == payment.amount and said.instruction_id == question_id(payment)


def _late(account: Account, payment: Payment) -> State:
    """Outside the index of live attempts, where another attempt of the key is live or was paid."""
    others = (each for each in account.payments.values() if each.key == payment.key)
    taken = any(each.state in LIVE | _PAID for each in others)
    return State.SETTLED_LATE if taken else State.SETTLED


def code(reason: str | None) -> str | None:
    """A partner's reason code; free text may name a person, and becomes `other`."""
    return reason if reason is None or _CODE.fullmatch(reason) else "other"


def _says_nothing_new(payment: Payment, to: State, said: PaymentReport) -> bool:
    # A late acceptance, whatever came since, or an answer to an inquiry overtaken by the report itself.
    if to is State.ACCEPTED:
        return True
    if to is State.SETTLED:
        same = said.partner_reference is not None and said.partner_reference == payment.partner_reference
        return payment.state in _PAID and same
    return payment.state is to
