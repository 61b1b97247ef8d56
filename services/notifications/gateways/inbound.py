"""An SMS that somebody sent to us, whichever gateway it came through."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import NamedTuple


class Part(NamedTuple):
    """Which part it is, from 1, of how many; `reference` is the same for all parts of one SMS."""

    reference: str
    number: int
    of: int


class Inbound(NamedTuple):
    """As the gateway gave it, unread: it may be in any encoding, of any length, and from anybody.

    `encoding`: `gsm-7` (one septet an octet, unpacked), a name that Python's codecs know (`utf-16-be`,
    `utf-8`, `latin-1`), or `binary` where nobody knows. `gateway_message_id` is the gateway's own id: the
    same message that comes again has the same; None where the gateway gives none. `received_at` is UTC.
    `part` is set where it is one of several, whose others come by themselves.
    """

    sender: str
    recipient: str
    text: bytes
    encoding: str
    gateway_message_id: str | None
    received_at: datetime
    part: Part | None = None


Receive = Callable[[Inbound], Awaitable[None]]
"""Keeps an inbound SMS: returns once it is on disk; raises where that failed, and it is sent again."""
