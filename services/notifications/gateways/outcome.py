"""What a gateway's answer means for one SMS."""

from enum import StrEnum
from typing import NamedTuple, Protocol

from services.notifications.segments import Encoding


class Verdict(StrEnum):
    """`not_taken`: certainly not sent, and may be tried again. `unknown`: it may have been sent."""

    TAKEN = "taken"
    REFUSED = "refused"
    NOT_TAKEN = "not_taken"
    UNKNOWN = "unknown"


class Outcome(NamedTuple):
    """A verdict and its reason, a short code without the gateway's own words (they may hold a number)."""

    verdict: Verdict
    reason: str | None = None


class Gateway(Protocol):
    """Where SMS are handed over. `sms_id` is the idempotency key; nothing is ever sent twice by itself."""

    name: str

    async def send(self, sms_id: str, phone: str, text: str, encoding: Encoding) -> Outcome:
        """Hand one SMS over; `phone` is E.164. Does not raise."""
        ...
