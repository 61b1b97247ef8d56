"""Many events in one token: a CloudEvents JSON batch, whose events are records in structured mode.

CloudEvents 1.0, JSON format, section 4: an array of structured events. Kafka's binding knows no batches, so a
batch travels as what a token says (`cty`), and its record is an event of its own in binary mode.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Generic, Literal, NamedTuple, TypeVar

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from contracts.model import JSON_READ, Contract
from contracts.topics import Topic
from contracts.wire import JSON, Headers, Received, Record, WireError, decode, event_id, time_of, trace_of

CTY = "cloudevents-batch+json"
"""`application/` is left out there (RFC 7515, section 4.1.10)."""
BUNDLED = "bundled"
"""The header that says of a bundle nobody else can open which events it holds: `[[id, key, sequence], …]`."""
BYTES_MOST = 32 * 1024
"""Of one batch: as a token in a token it is under 64 KiB, which is what JOSE libraries take by default."""
_CE = "ce_"
_SCALARS = (str, int, float)
_ESCAPED = re.compile(rb'[\x00-\x1f"\\\x7f-\xff]')
_NUL = b"\\u0000"
M = TypeVar("M", bound=Contract)


class Item(NamedTuple):
    """One event of a batch, as the record it would be alone: `value` is its data in JSON."""

    key: bytes | None
    value: bytes | None
    headers: Headers


def items(payload: bytes) -> list[Item]:
    """The events of a batch, in their order; what is wrong with one shows when that one is decoded.

    Raises `WireError` where the whole is no batch.
    """
    try:
        found = from_json(payload)
    except ValueError:
        raise WireError("value: no JSON") from None
    if not isinstance(found, list) or not found:
        raise WireError("value: no batch of events")
    return [_item(each) for each in found]


class Read(NamedTuple, Generic[M]):
    """One event of a batch, or why it is none, and its key."""

    key: bytes | None
    event: Received[M] | WireError


class _Structured(Contract, Generic[M]):
    """An event as our own side, and every SDK with text extensions, writes it."""

    specversion: Literal["1.0"]
    type: str
    id: str
    time: str
    partitionkey: str
    sequence: str = "0"
    correlationid: str = ""
    traceparent: str = ""
    data: M


def read(contract: type[M], topic: str, payload: bytes) -> list[Read[M]]:
    """The events of a batch, each as `decode` reads it alone. Raises `WireError` where the whole is no batch.

    A batch is read in one pass; where anything in it is unusual, event by event.
    """
    if _NUL not in payload:
        try:
            found = _batches(contract).validate_json(payload, strict=True)
            if found:
                return [Read(each.partitionkey.encode(), _received(each, topic)) for each in found]
        except ValueError:
            pass
    return [Read(each.key, _decoded(contract, topic, each)) for each in items(payload)]


class Bundle(NamedTuple):
    """Records that go together, the id, key and sequence of each, and they as one batch."""

    records: Sequence[Record]
    named: Sequence[tuple[str, str, int]]
    batch: bytes

    @property
    def listing(self) -> bytes:
        """The value of the header `bundled`: what this holds, for whoever can't open it."""
        return to_json(self.named)

    def id_in(self, topic: Topic) -> str:
        """The id of a bundle: the same events in the same order have the same for ever."""
        return event_id(topic, "bundle", *(id_ for id_, *_ in self.named))


def bundles(records: Sequence[Record], most: int) -> Iterator[Bundle]:
    """JSON events in bundles, in their order: `most` in each, and `BYTES_MOST` unless one alone is larger."""
    begin, size, said = 0, 0, list[bytes]()
    for at, record in enumerate(records):
        said.append(_structured(record))
        size += len(said[-1]) + 1
        if at > begin and (at - begin == most or size > BYTES_MOST):
            yield _bundle(records[begin:at], said[begin:at])
            begin, size = at, len(said[-1]) + 1
    if begin < len(records):
        yield _bundle(records[begin:], said[begin:])


def _bundle(records: Sequence[Record], said: Sequence[bytes]) -> Bundle:
    return Bundle(records, [_named(record) for record in records], b"[%b]" % b",".join(said))


def list_of(headers: Headers) -> list[tuple[str, str, int]]:
    """Id, key and sequence of the events a bundle lists; empty where a record is one event."""
    listing = dict(headers).get(BUNDLED)
    return [(id_, key, sequence) for id_, key, sequence in from_json(listing)] if listing else []


@lru_cache
def _batches(contract: type[M]) -> TypeAdapter[list[_Structured[M]]]:
    return TypeAdapter(list[_Structured[contract]], config=JSON_READ)  # type: ignore[valid-type]


def _received(said: _Structured[M], topic: str) -> Received[M]:
    time, sequence, trace = time_of(said.time), int(said.sequence), trace_of(said.traceparent)
    if said.type != topic or not said.partitionkey:
        raise ValueError("unusual: to be read by itself")
    return Received(said.data, said.id, topic, said.partitionkey, time, sequence, said.correlationid, trace)


def _decoded(contract: type[M], topic: str, item: Item) -> Received[M] | WireError:
    try:
        return decode(contract, topic, *item)
    except WireError as error:
        return error


def _structured(record: Record) -> bytes:
    values = [value for _, value in record.headers]
    if _ESCAPED.search(b"".join(values)) or _ESCAPED.search(record.key):
        return _escaped(record)
    said = [_opening(name) + value for name, value in record.headers]
    return b'{%b","partitionkey":"%b","data":%b}' % (b'",'.join(said), record.key, record.value)


def _escaped(record: Record) -> bytes:
    attributes = {_attribute(name): value.decode() for name, value in record.headers}
    attributes["partitionkey"] = record.key.decode()
    return b'%b,"data":%b}' % (to_json(attributes)[:-1], record.value)


@lru_cache
def _opening(header: str) -> bytes:
    return b'"%b":"' % _attribute(header).encode()


def _attribute(header: str) -> str:
    return "datacontenttype" if header == "content-type" else header.removeprefix(_CE)


def _item(event: object) -> Item:
    if not isinstance(event, dict):
        return Item(None, None, ())
    key = event.get("partitionkey")
    headers = [
        (name if name == "traceparent" else _CE + name, str(value).encode())
        for name, value in event.items()
        if isinstance(value, _SCALARS) and name != "data"
    ]
    return Item(
        key.encode() if isinstance(key, str) else None,
        to_json(event["data"]) if "data" in event else None,
        (*headers, ("content-type", JSON)),
    )


def _named(record: Record) -> tuple[str, str, int]:
    said = dict(record.headers)
    return said["ce_id"].decode(), record.key.decode(), int(said["ce_sequence"])
