"""Many events in one token: a CloudEvents JSON batch, whose events are records in structured mode.

CloudEvents 1.0, JSON format, section 4: an array of structured events. Kafka's binding knows no batches, so a
batch travels as what a token says (`cty`), and its record is an event of its own in binary mode.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pydantic_core import from_json, to_json

from contracts.topics import Topic
from contracts.wire import JSON, Headers, Record, WireError, event_id

CTY = "cloudevents-batch+json"
"""`application/` is left out there (RFC 7515, section 4.1.10)."""
BUNDLED = "bundled"
"""The header that says of a bundle nobody else can open which events it holds: `[[id, key, sequence], …]`."""
BYTES_MOST = 32 * 1024
"""Of one batch: as a token in a token it is under 64 KiB, which is what JOSE libraries take by default."""
_CE = "ce_"
_SCALARS = (str, int, float)


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


class Bundle(NamedTuple):
    """Records that go together, and they as one batch."""

    records: Sequence[Record]
    batch: bytes

    @property
    def listing(self) -> bytes:
        """The value of the header `bundled`: what this holds, for whoever can't open it."""
        return to_json([_named(record) for record in self.records])

    def id_in(self, topic: Topic) -> str:
        """The id of a bundle: the same events in the same order have the same for ever."""
        return event_id(topic, "bundle", *(_named(record)[0] for record in self.records))


def bundles(records: Sequence[Record], most: int) -> Iterator[Bundle]:
    """JSON events in bundles, in their order: `most` in each, and `BYTES_MOST` unless one alone is larger."""
    begin, size, said = 0, 0, list[bytes]()
    for at, record in enumerate(records):
        said.append(_structured(record))
        size += len(said[-1]) + 1
        if at > begin and (at - begin == most or size > BYTES_MOST):
            yield Bundle(records[begin:at], b"[%b]" % b",".join(said[begin:at]))
            begin, size = at, len(said[-1]) + 1
    if begin < len(records):
        yield Bundle(records[begin:], b"[%b]" % b",".join(said[begin:]))


def list_of(headers: Headers) -> list[tuple[str, str, int]]:
    """Id, key and sequence of the events a bundle lists; empty where a record is one event."""
    listing = dict(headers).get(BUNDLED)
    return [(id_, key, sequence) for id_, key, sequence in from_json(listing)] if listing else []


def _structured(record: Record) -> bytes:
    attributes = {name.removeprefix(_CE): value.decode() for name, value in record.headers}
    attributes["datacontenttype"] = attributes.pop("content-type")
    attributes["partitionkey"] = record.key.decode()
    return b'%b,"data":%b}' % (to_json(attributes)[:-1], record.value)


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
