"""What notifications says about one SMS; never its text, never its recipient's number."""

from typing import Annotated

from pydantic import Field

from contracts.household import HouseholdId, Language
from contracts.model import UNRECOGNISED as _UNRECOGNISED
from contracts.model import Contract, OpenEnum


class SmsEncoding(OpenEnum):
    GSM_7 = "gsm-7"
    UCS_2 = "ucs-2"
    UNRECOGNISED = _UNRECOGNISED


class SmsSent(Contract):
    """An SMS the gateway took. `sms_id` is the business key of (event, template, recipient)."""

    sms_id: str
    household_id: HouseholdId
    payment_id: str | None = None
    template: str
    language: Language
    encoding: SmsEncoding
    segments: Annotated[int, Field(ge=1)]
    gateway: str


class SmsStatus(OpenEnum):
    DELIVERED = "delivered"
    FAILED = "failed"
    UNKNOWN = "unknown"
    UNRECOGNISED = _UNRECOGNISED


class SmsUpdated(Contract):
    """What became of an SMS; `unknown` is never sent again by itself."""

    sms_id: str
    household_id: HouseholdId
    payment_id: str | None = None
    status: SmsStatus
    reason: str | None = None
