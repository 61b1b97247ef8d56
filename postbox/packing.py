"""Records as bytes for the outbox: compressed, and cut into pages the database likes."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cramjam
import msgpack

from postbox.message import Outgoing

PAGE_BYTES = 8_100
"""A row of `outbox_page` fills a page of PostgreSQL, and is never compressed or moved out of its table."""
LEVEL = 1
"""Of Zstandard: half the bytes at 1.2 µs a kB; more of it costs more than it saves."""
_ZSTANDARD = b"\x28\xb5\x2f\xfd"


class Kept(NamedTuple):
    """A record as it is read back."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    partition_by: bytes | None


def pack(records: Sequence[Outgoing]) -> bytes:
    """Zstandard of MessagePack of the records; headers that each repeats are next to nothing then."""
    rows = [(r.topic, r.key, r.value, r.headers, r.partition_by) for r in records]
    return bytes(cramjam.zstd.compress(msgpack.packb(rows), LEVEL))


def unpack(packed: bytes) -> list[Kept]:
    """What was packed, in its order."""
    if not packed.startswith(_ZSTANDARD):
        return _unpack_numbered(packed)
    return [Kept(*row) for row in msgpack.unpackb(bytes(cramjam.zstd.decompress(packed)), use_list=False)]


def pages(packed: bytes) -> Iterator[bytes]:
    """Pieces of at most `PAGE_BYTES`, in order."""
    for at in range(0, len(packed), PAGE_BYTES):
        yield packed[at : at + PAGE_BYTES]


def _unpack_numbered(packed: bytes) -> list[Kept]:
    """As rows were packed before they were compressed (ADR 0041): the distinct headers, and records that name
    theirs by number."""
    headers, rows = msgpack.unpackb(packed, use_list=False)
    return [
        Kept(topic, key, value, tuple(headers[number] for number in numbers), partition_by)
        for topic, key, value, numbers, partition_by in rows
    ]
