"""Delivery receipts: what one means for its SMS. Late, repeated and contradictory ones are harmless.

A message that is told delivered was delivered, whatever else is said of it: an operator knows of a delivery
from the telephone's own acknowledgement (3GPP TS 23.040), of a failure often only that it gave up.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Status(StrEnum):
    """`buffered`: on its way, and not the last word."""

    DELIVERED = "delivered"
    FAILED = "failed"
    BUFFERED = "buffered"


class Receipt(NamedTuple):
    """What a gateway says of one message: our `sms_id` where it gives it back, else the id it gave itself.

    `code` is the gateway's reason, a short code without text or number.
    """

    sms_id: str | None
    gateway_message_id: str | None
    status: Status
    code: str | None = None

    @property
    def id(self) -> str:
        """The id it came with."""
        return self.sms_id or self.gateway_message_id or ""


class Known(NamedTuple):
    """An SMS as its receipts find it. `parts`: the gateway's id of each part -> what was said of it."""

    sms_id: str
    state: str
    receipt: str | None
    code: str | None = None
    parts: Mapping[str, str | None] = {}


class Unbooked(StrEnum):
    """Why a receipt changes nothing. `early` and `unknown_id` are tried again, others are only counted."""

    EARLY = "early"
    UNKNOWN_ID = "unknown_id"
    BUFFERED = "buffered"
    REPEATED = "repeated"
    CONTRADICTED = "contradicted"


WAITING = frozenset({Unbooked.EARLY, Unbooked.UNKNOWN_ID})


def book(known: Known | None, receipt: Receipt) -> Known | Unbooked:
    """The SMS after its receipt, or why it stays as it is.

    Of a message in parts all must be delivered; one that failed fails it.
    """
    if known is None:
        return Unbooked.UNKNOWN_ID
    if receipt.status is Status.BUFFERED:
        return Unbooked.BUFFERED
    if known.state == "sending":
        return Unbooked.EARLY
    part = receipt.gateway_message_id
    if part is None or part not in known.parts:
        return _settle(known, receipt.status.value, receipt.code)
    return _book_part(known, part, receipt)


def _book_part(known: Known, part: str, receipt: Receipt) -> Known | Unbooked:
    before = known.parts[part]
    if not _is_news(before, receipt.status):
        return _unchanged(before, receipt.status)
    now = known._replace(parts={**known.parts, part: receipt.status.value})
    whole = _whole(now.parts)
    settled = _settle(now, whole, receipt.code) if whole else now
    return settled if isinstance(settled, Known) else now


def _settle(known: Known, word: str, code: str | None) -> Known | Unbooked:
    if known.state == "none" or (known.state in ("queued", "waiting") and word != "delivered"):
        # The gateway does not have it, as far as we know: only a delivery can prove otherwise.
        return Unbooked.CONTRADICTED
    if not _is_news(known.receipt, word):
        return _unchanged(known.receipt, word)
    return known._replace(receipt=word, code=code)


def _is_news(before: str | None, now: str) -> bool:
    """Whether it changes what was said before: delivered wins, an answer beats silence."""
    return before not in ("delivered", now) and (before != "failed" or now == "delivered")


def _unchanged(before: str | None, now: str) -> Unbooked:
    return Unbooked.REPEATED if before == now else Unbooked.CONTRADICTED


def _whole(parts: Mapping[str, str | None]) -> str | None:
    """What is known of a message whose parts are reported one by one; None while some are open."""
    said = set(parts.values())
    if said == {"delivered"}:
        return "delivered"
    return "failed" if "failed" in said else None
