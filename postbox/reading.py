"""Records as the messages they hold: as a rule one, but a record may be a bundle of many."""

from collections.abc import Collection, Iterator, Sequence
from itertools import repeat
from typing import NamedTuple, TypeVar

from postbox.errors import Handling
from postbox.message import Event, Raw, Subscription
from postbox.parking import Set

SHARE_BYTES = 2 * 1024 * 1024
"""What one transaction takes of what was polled: a record may hold hundreds of messages."""
TOGETHER = 100
"""Of records read in one go: a few stay near the processor, and what is unusual makes few be read alone."""
R = TypeVar("R", bound=Raw)


class Message(NamedTuple):
    """One message: the record it came in, its number there (0: the record is one message, else from 1 on),
    its key (None: unusable), and the event, or why it is none."""

    record: Raw
    item: int
    key: str | None
    event: Event | Exception


def read(to: Subscription, record: Raw) -> list[Message]:
    """The messages of a record: none that this service does not want; what can't be read at all is one."""
    if to.wants and not to.wants(record.value or b""):
        return []
    try:
        found = to.decode(to.topic, record.key, record.value, record.headers)
    except Exception as error:
        return [Message(record, 0, _text(record.key), error)]
    if isinstance(found, list):
        return [Message(record, number, _text(each.key), each.event) for number, each in enumerate(found, 1)]
    return [Message(record, 0, _text(record.key), found)]


def read_all(to: Subscription, records: Sequence[Raw]) -> list[Message]:
    """The messages of many records, in order: `TOGETHER` in one go, or one by one where any is unusual."""
    if to.decode_all is None:
        return [message for record in records for message in read(to, record)]
    wanted = [each for each in records if to.wants(each.value or b"")] if to.wants else records
    found: list[Message] = []
    for begin in range(0, len(wanted), TOGETHER):
        some = wanted[begin : begin + TOGETHER]
        try:
            events = to.decode_all(to.topic, some)
            columns = some, repeat(0, len(some)), [event.key for event in events], events
            # A named tuple is made by a function of Python's, and this many of them cost.
            found += list(map(tuple.__new__, repeat(Message), zip(*columns, strict=True)))
        except Exception:  # what is wrong with which shows when they are read one by one
            found += [message for record in some for message in read(to, record)]
    return found


def set_aside(message: Message, handling: Handling, reason: str) -> Set:
    """A message as it is parked: whole records are kept, since what was signed can be proven whole alone."""
    event = message.event
    traceparent = None if isinstance(event, Exception) else event.traceparent
    return Set(message.record, message.key, handling, reason, traceparent, message.item)


def tables_first(polled: Sequence[R], ahead: Sequence[R], tables: Collection[str]) -> list[R]:
    """What was polled, and what was read `ahead` of compacted topics after it: those first, in order."""
    before = [record for record in polled if record.topic in tables]
    others = [record for record in polled if record.topic not in tables]
    return [*before, *ahead, *others]


def shares(records: Sequence[R]) -> Iterator[Sequence[R]]:
    """Records in their order, cut into as much as one transaction takes."""
    begin, size = 0, 0
    for at, record in enumerate(records):
        size += len(record.value or b"")
        if size > SHARE_BYTES and at > begin:
            yield records[begin:at]
            begin, size = at, len(record.value or b"")
    yield records[begin:]


def _text(key: bytes | None) -> str | None:
    try:
        text = key.decode() if key else None
    except UnicodeDecodeError:
        return None
    return None if text is None or "\x00" in text else text  # PostgreSQL keeps no NUL in a text
