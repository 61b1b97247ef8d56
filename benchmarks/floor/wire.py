"""The wire formats of the pipeline, written and read as cheaply as was found: ids, seals, records, events."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha1
from typing import Generic, TypeVar

from aiokafka import ConsumerRecord
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contracts import wire
from contracts.model import Contract
from contracts.topics import Topic

M = TypeVar("M", bound=Contract)
PARTNER = "wing"
CYCLE, PERIOD, REFERENCE_DATE = "covid-19-cash-transfer-2023-06", "2023-06", "2023-06-01"
"""The cycle that is taken to be open, with money enough."""

Out = tuple[bytes, bytes, bytes, bytes, bytes, bytes]
"""Key, value, event id, id of its cause, correlation id, traceparent: what differs between records."""
Outgoing = dict[tuple[str, int], list[Out]]
"""Records by topic and partition."""

_NAMESPACE = wire.NAMESPACE.bytes
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def uuid5(name: str) -> str:
    """`str(uuid.uuid5(wire.NAMESPACE, name))` at a third of its cost."""
    text = sha1(_NAMESPACE + name.encode(), usedforsecurity=False).hexdigest()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"


def seal(cipher: AESGCM, plain: bytes, event_id: str, topic: Topic) -> bytes:
    """As `vault.sealing.Keys.seal`."""
    nonce = os.urandom(12)
    return nonce + cipher.encrypt(nonce, plain, f"{event_id}\n{topic.name}".encode())


def unseal(cipher: AESGCM, blob: bytes, event_id: str, topic: Topic) -> bytes:
    """As `vault.sealing.Keys.open`."""
    return cipher.decrypt(blob[:12], blob[12:], f"{event_id}\n{topic.name}".encode())


class Event(Generic[M]):
    """One received event."""

    __slots__ = ("correlation", "data", "id", "offset", "partition", "traceparent")

    def __init__(self, contract: type[M], record: ConsumerRecord) -> None:
        headers = dict(record.headers)
        self.data: M = wire.load(contract, record.value)
        self.id: str = headers["ce_id"].decode()
        self.correlation: bytes = headers["ce_correlationid"]
        self.traceparent: bytes = headers["traceparent"]
        self.partition: int = record.partition
        self.offset: int = record.offset

    def causes(self, key: str, value: bytes, event_id: str) -> Out:
        """A record that this event caused."""
        return key.encode(), value, event_id.encode(), self.id.encode(), self.correlation, self.traceparent


class Headers:
    """The CloudEvents headers of one topic's records, written at one time."""

    def __init__(self, topic: str, service: str, content: bytes) -> None:
        self._alike = (
            ("ce_specversion", b"1.0"),
            ("ce_type", topic.encode()),
            ("ce_source", b"/tonle/" + service.encode()),
            ("ce_time", datetime.now(UTC).isoformat().encode()),
            ("ce_sequence", b"1"),
            ("content-type", content),
        )

    def of(self, record: Out) -> Sequence[tuple[str, bytes]]:
        """All eleven."""
        key, _, event_id, cause, correlation, traceparent = record
        return [
            *self._alike,
            ("ce_id", event_id),
            ("ce_subject", key),
            ("ce_correlationid", correlation),
            ("ce_causationid", cause),
            ("traceparent", traceparent),
        ]
