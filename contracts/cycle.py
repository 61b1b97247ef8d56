"""What payments says about a cycle and the money behind it."""

from datetime import date
from typing import Annotated

from pydantic import Field

from contracts.eligibility import Period
from contracts.model import UNRECOGNISED as _UNRECOGNISED
from contracts.model import Contract, OpenEnum
from contracts.money import Currency, Riel


class CycleState(OpenEnum):
    OPENED = "opened"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    REFUSED = "refused"
    CLOSED = "closed"
    UNRECOGNISED = _UNRECOGNISED


class ApprovalKind(OpenEnum):
    """`standing`: decisions pass as they arrive, within caps; `payroll`: what stands on an approved list."""

    STANDING = "standing"
    PAYROLL = "payroll"
    UNRECOGNISED = _UNRECOGNISED


class CycleChanged(Contract):
    """A cycle of one programme and period; from `opened` to `closed` eligibility decides for it.

    Caps and the programme's hash are the terms of the standing approval; `actor` comes from a token.
    """

    cycle_id: str
    programme: str
    programme_hash: str
    purpose: str
    period: Period
    reference_date: date
    state: CycleState
    cap_household: Riel
    cap_payments: Annotated[int, Field(ge=1)]
    actor: str
    reason: str | None = None
    approval: ApprovalKind = ApprovalKind.STANDING


class EnvelopeChanged(Contract):
    """The money a cycle may commit: its total after this change, in riel; `donor` gives what was added."""

    envelope_id: str
    cycle_id: str
    currency: Currency = "KHR"
    funded: Riel
    actor: str
    reason: str | None = None
    donor: str | None = None
