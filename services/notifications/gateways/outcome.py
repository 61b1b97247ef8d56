"""What a gateway's answer means for one SMS."""

from enum import StrEnum
from typing import NamedTuple, Protocol

from services.notifications.receipts import Receipt
from services.notifications.segments import Encoding


class Verdict(StrEnum):
    """`not_taken`: certainly not sent, and may be tried again. `unknown`: it may have been sent."""

    TAKEN = "taken"
    REFUSED = "refused"
    NOT_TAKEN = "not_taken"
    UNKNOWN = "unknown"


class Outcome(NamedTuple):
    """A verdict and its reason, a short code without the gateway's own words (they may hold a number).

    `gateway_message_ids`: the gateway's own id of each part it took, where its receipts name those alone.
    """

    verdict: Verdict
    reason: str | None = None
    gateway_message_ids: tuple[str, ...] = ()


class GatewayAway(Exception):
    """The gateway can't be reached, or does not let us in."""


class Gateway(Protocol):
    """Where SMS are handed over. `sms_id` is the idempotency key; nothing is ever sent twice by itself."""

    name: str

    async def send(self, sms_id: str, phone: str, text: str, encoding: Encoding) -> Outcome:
        """Hand one SMS over; `phone` is E.164. Does not raise."""
        ...

    async def ask(self, gateway_message_id: str, /) -> Receipt | None:
        """What became of a message whose receipt did not come; None where it can't say. Does not raise."""
        ...

    async def close(self) -> None:
        """Close what is open."""
        ...

    async def listen(self) -> None:
        """Be there for what the gateway says by itself, until cancelled. Raises `GatewayAway`."""
        ...
