"""What payments says about one payment, what a partner is asked, and what it answers."""

from datetime import date, datetime
from typing import Annotated

from pydantic import Field

from contracts.eligibility import Period
from contracts.household import Account, CommuneCode, HouseholdId, Revision
from contracts.model import UNRECOGNISED as _UNRECOGNISED
from contracts.model import Contract, OpenEnum
from contracts.money import Currency, Riel
from contracts.sealed import Sealed

Attempt = Annotated[int, Field(ge=1)]


class PaymentIssued(Contract):
    """Money promised: one attempt of an entitlement key (programme, period, household, purpose).

    `withdraw_until` is the last day to collect it, by the calendar of Phnom Penh. `carried` riel of the
    amount top up what was paid too little before; below zero, it is less for what was paid too much.
    """

    payment_id: str
    programme: str
    period: Period
    household_id: HouseholdId
    purpose: str
    attempt: Attempt
    cycle_id: str
    amount: Riel
    carried: int = 0
    currency: Currency = "KHR"
    partner: str
    commune: CommuneCode
    revision: Revision
    decision_id: str
    withdraw_until: date
    payee: Sealed


class PaymentState(OpenEnum):
    ACCEPTED = "accepted"
    SETTLED = "settled"
    SETTLED_LATE = "settled_late"
    FAILED = "failed"
    EXPIRED = "expired"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    CORRECTED = "corrected"
    UNRECOGNISED = _UNRECOGNISED


class PaymentUpdated(Contract):
    """A payment's new state. `corrected`: a newer decision differs by `correction` riel (may be negative).

    `settled_late`: the partner paid what it had said was over, after another attempt had been issued.
    """

    payment_id: str
    household_id: HouseholdId
    cycle_id: str
    state: PaymentState
    amount: Riel
    currency: Currency = "KHR"
    partner: str
    reason: str | None = None
    correction: int | None = None


class InstructionKind(OpenEnum):
    PAY = "pay"
    INQUIRE = "inquire"
    CANCEL = "cancel"
    UNRECOGNISED = _UNRECOGNISED


class PayTo(Contract):
    """Who collects, as the partner must know them."""

    name_km: str
    name_latin: str
    phone: str | None = None
    account: Account | None = None


class PaymentInstruction(Contract):
    """What a partner is asked to do; on the wire a JWS (ours) inside a JWE (to the partner).

    `payment_id` is the idempotency key: a partner pays it at most once, however often it is told.
    """

    instruction_id: str
    kind: InstructionKind
    payment_id: str
    partner: str
    amount: Riel
    currency: Currency = "KHR"
    commune: CommuneCode
    withdraw_until: date | None = None
    pay_to: PayTo | None = None


class ReportStatus(OpenEnum):
    ACCEPTED = "accepted"
    SETTLED = "settled"
    FAILED = "failed"
    EXPIRED = "expired"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    NOT_FOUND = "not_found"
    UNRECOGNISED = _UNRECOGNISED


class PaymentReport(Contract):
    """What a partner says became of a payment: ids, amounts and codes, no persons; a JWS on the wire."""

    report_id: str
    payment_id: str
    instruction_id: str | None = None
    partner: str
    status: ReportStatus
    amount: Riel
    currency: Currency = "KHR"
    partner_reference: str | None = None
    reason_code: str | None = None
    occurred_at: datetime
