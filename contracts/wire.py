"""Model <-> CloudEvents 1.0 record, Kafka binary mode (CloudEvents Kafka binding, section 3.2)."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha1
from itertools import repeat
from typing import Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

from pydantic import Json, TypeAdapter, ValidationError

from contracts.model import JSON_READ, UNRECOGNISED, Contract
from contracts.topics import Topic

M = TypeVar("M", bound=Contract)
Headers = Sequence[tuple[str, bytes | None]]

NAMESPACE = UUID("6f1a5f0e-2f0e-5b6a-9b1e-7f0d3c1f4a10")
_NAMESPACE = NAMESPACE.bytes
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
JSON = b"application/json"
JOSE = b"application/jose"
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_TRACEPARENTS = re.compile(rf"(?:{_TRACEPARENT.pattern}\x00)*")
EMITTED = (
    "ce_specversion",
    "ce_type",
    "ce_source",
    "content-type",
    "ce_id",
    "ce_time",
    "ce_subject",
    "ce_sequence",
    "ce_correlationid",
    "ce_causationid",
    "traceparent",
)
"""The names of what `emit_bytes` writes, in its order."""
_UNRECOGNISED = f'"{UNRECOGNISED}"'.encode()


class WireError(ValueError):
    """A record that is no event of this contract. Says which field and why, never the value."""

    handling = "park"


class Encoded(Protocol):
    """A record as it is on a topic."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


class Record(NamedTuple):
    """What is put on a topic. `partition_by` places it where another key's events are (co-location)."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    partition_by: bytes | None = None


@dataclass(slots=True)
class Received(Generic[M]):
    """One decoded event: its contract in `data`, its CloudEvents attributes beside it."""

    data: M
    id: str
    type: str
    key: str
    time: datetime
    sequence: int
    correlation_id: str
    traceparent: str


class Cause(NamedTuple):
    """What made something happen when no event did: an HTTP request, an import row, a job."""

    id: str
    correlation_id: str
    traceparent: str


def event_id(topic: Topic, *business_key: object) -> str:
    """The same business key gives the same id for ever (UUIDv5), so a republished event is recognised."""
    return uuid5("/".join((topic.name, *map(str, business_key))))


def uuid5(name: str) -> str:
    """`str(uuid.uuid5(NAMESPACE, name))` at a quarter of its cost (RFC 9562, section 5.5)."""
    return uuid_of(sha1(_NAMESPACE + name.encode(), usedforsecurity=False).hexdigest(), 5)


def uuid_of(digits: str, version: int) -> str:
    """A UUID of 32 hexadecimal digits or more, but for its version and variant (RFC 9562, section 4)."""
    variant = _VARIANT[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-{version}{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def household_uuid(household_id: str, name: str) -> str:
    """An id of one household's: the same name gives the same id for ever.

    It begins as a household id that is a UUIDv8 does (RFC 9562, section 5.8): what belongs to neighbours lies
    together in every index. Of an older household id it is the name's UUIDv5, as it always was.
    """
    made = uuid5(name)
    return household_id[:15] + made[15:] if household_id[14:15] == "8" else made


def emit(
    topic: Topic,
    data: Contract,
    *,
    id: str,
    key: str,
    sequence: int,
    time: datetime,
    cause: Received[M] | Cause,
    partition_by: str | None = None,
) -> Record:
    """An event as a record; `sequence` is its aggregate's version, given under lock."""
    return emit_bytes(
        topic,
        dump(data),
        JSON,
        id=id,
        key=key,
        sequence=sequence,
        time=time,
        cause=cause,
        partition_by=partition_by,
    )


def emit_bytes(
    topic: Topic,
    value: bytes,
    content_type: bytes,
    *,
    id: str,
    key: str,
    sequence: int,
    time: datetime,
    cause: Received[M] | Cause,
    partition_by: str | None = None,
) -> Record:
    """A record whose value is already encoded (a JOSE token, say)."""
    key_bytes = key.encode()
    headers = (
        *_of_topic(topic.name, topic.producer, content_type),
        ("ce_id", id.encode()),
        ("ce_time", _timestamp(time)),
        ("ce_subject", key_bytes),
        ("ce_sequence", b"%d" % sequence),
        ("ce_correlationid", cause.correlation_id.encode()),
        ("ce_causationid", cause.id.encode()),
        ("traceparent", cause.traceparent.encode()),
    )
    placed_by = None if partition_by is None else partition_by.encode()
    return Record(topic.name, key_bytes, value, headers, placed_by)


@lru_cache(maxsize=128)
def _of_topic(name: str, producer: str, content_type: bytes) -> tuple[tuple[str, bytes], ...]:
    """The headers that are the same in every event of a topic."""
    return (
        ("ce_specversion", b"1.0"),
        ("ce_type", name.encode()),
        ("ce_source", b"/tonle/" + producer.encode()),
        ("content-type", content_type),
    )


@lru_cache(maxsize=64)
def _timestamp(time: datetime) -> bytes:
    return time.isoformat().encode()  # most records of a batch share one


def dump(data: Contract, without: set[str] | None = None) -> bytes:
    """Compact JSON, fields `without`; refuses a word that is not known yet (enums are closed on write)."""
    value = data.__pydantic_serializer__.to_json(data, exclude_none=True, exclude=without)
    if _UNRECOGNISED in value:
        raise WireError(f"{type(data).__name__} holds a word this version does not know")
    return value


def load(contract: type[M], value: bytes) -> M:
    """JSON to model, no type coerced. Raises `WireError` with the first offending field, never its value."""
    try:
        return contract.__pydantic_validator__.validate_json(value, strict=True)  # type: ignore[no-any-return]
    except ValidationError as error:
        raise WireError(_first(error)) from None


def decode(
    contract: type[M], topic: str, key: bytes | None, value: bytes | None, headers: Headers
) -> Received[M]:
    """A JSON record to an event. Raises `WireError` for anything that is not one of `topic`."""
    if value is None:
        raise WireError("value: null")
    return envelope(load(contract, value), topic, key, headers)


def decode_all(contract: type[M], topic: str, records: Sequence[Encoded]) -> list[Received[M]]:
    """Many JSON records in one go, each as `decode` reads it alone.

    Raises `ValueError` or `TypeError` where any is not as `emit` writes it: read them one by one then.
    """
    said = _each_json(contract).validate_python([record.value for record in records], strict=True)
    found = [zip(*record.headers, strict=True) for record in records]
    if any(next(parts, ()) != EMITTED for parts in found):
        raise WireError("header: not those of emit, in its order")
    version, type_, source, kind, id_, time, subject, sequence, correlation, cause, trace = zip(
        *map(next, found), strict=True
    )
    if set(version) != {b"1.0"} or set(type_) != {topic.encode()}:
        raise WireError("ce_type: not this topic's, or an unknown version")
    _all_text([*source, *kind, *subject, *cause])
    ids, traces, keys = (_texts(*each) for each in (id_, trace, [record.key for record in records]))
    if not all(keys):
        raise WireError("key: missing")
    if not len(ids) == len(traces) == len(keys) == len(records):
        raise WireError("key or a ce_ header: a NUL in it")
    times, sequences, correlations = map(_alike, (time, sequence, correlation))
    passed_on = traces if _TRACEPARENTS.fullmatch("\x00".join((*traces, ""))) else map(trace_of, traces)
    numbers = map(int, sequences)
    columns = (said, ids, repeat(topic), keys, map(time_of, times), numbers, correlations, passed_on)
    return list(map(Received, *columns))


def envelope(data: M, topic: str, key: bytes | None, headers: Headers) -> Received[M]:
    """The CloudEvents attributes around data that was opened already (a JOSE token, say)."""
    names, values = zip(*headers, strict=True) if headers else ((), ())
    if names == EMITTED:  # no dict is needed of what `emit_bytes` wrote
        try:
            text = b"\x00".join((*values, key)).decode()  # type: ignore[arg-type]
            version, type_, _, _, id_, time, _, sequence, correlation_id, _, trace, key_ = text.split("\x00")
            if version == "1.0" and type_ == topic and key_:
                at = time_of(time)
                return Received(data, id_, topic, key_, at, int(sequence), correlation_id, trace_of(trace))
        except (TypeError, ValueError):
            pass  # what is wrong is said below
    return _envelope(data, topic, key, dict(headers))


def _envelope(data: M, topic: str, key: bytes | None, attributes: dict[str, bytes | None]) -> Received[M]:
    """As any CloudEvents SDK may have written it."""
    _all_text(attributes.values())
    if attributes.get("ce_specversion") != b"1.0":
        raise WireError("ce_specversion: 1.0 expected")
    if attributes.get("ce_type") != topic.encode():
        raise WireError("ce_type: not this topic's, or an unknown version")
    try:
        id_, key_, time, sequence, correlation_id = _texts(
            attributes["ce_id"],
            key or None,
            attributes["ce_time"],
            attributes.get("ce_sequence", b"0"),
            attributes.get("ce_correlationid", b""),
        )
        trace = trace_of((attributes.get("traceparent") or b"").decode())
        return Received(data, id_, topic, key_, time_of(time), int(sequence), correlation_id, trace)
    except KeyError as missing:
        raise WireError(f"{missing.args[0]}: missing") from None
    except (TypeError, ValueError):
        raise WireError("key or a ce_ header: missing or malformed") from None


def _all_text(values: Iterable[bytes | None]) -> None:
    try:
        b" ".join(values).decode()  # type: ignore[arg-type]
    except TypeError:
        raise WireError("header: null") from None
    except UnicodeDecodeError:
        raise WireError("header: not UTF-8") from None


def _texts(*values: bytes | None) -> list[str]:
    """Decoded at once, with NUL between them: what holds one itself makes too many (no database keeps it)."""
    return b"\x00".join(values).decode().split("\x00")  # type: ignore[arg-type]


def _alike(values: Sequence[bytes | None]) -> list[str]:
    """Decoded, what is alike once: of many events at a time most share theirs."""
    found = set(values)
    known = dict(zip(found, _texts(*found), strict=True))
    return [known[value] for value in values]


def trace_of(text: str) -> str:
    """A `traceparent`; nothing where it is none."""
    # Trace Context, section 4.3: what can't be parsed is not passed on.
    return text if _TRACEPARENT.fullmatch(text) else ""


@lru_cache(maxsize=64)
def time_of(text: str) -> datetime:
    """A time with its offset. Raises `ValueError` for anything else."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("no offset")
    return time


@lru_cache
def _each_json(contract: type[M]) -> TypeAdapter[list[M]]:
    return TypeAdapter(list[Json[contract]], config=JSON_READ)  # type: ignore[valid-type]


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'value'}: {first['type']}"
