"""Records as bytes for the outbox: what many of them say is there once, cut into pages the database likes."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgpack

from postbox.message import Outgoing

PAGE_BYTES = 8_100
"""A row of `outbox_page` fills a page of PostgreSQL, and is never compressed or moved out of its table."""


class Kept(NamedTuple):
    """A record as it is read back."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    partition_by: bytes | None


class _Numbers(dict[tuple[str, bytes], int]):
    """Gives each new thing the next number."""

    def __missing__(self, thing: tuple[str, bytes]) -> int:
        number = self[thing] = len(self)
        return number


def pack(records: Sequence[Outgoing]) -> bytes:
    """MessagePack of the distinct headers, and of the records, which name theirs by number."""
    headers = _Numbers()
    number = headers.__getitem__
    rows = [(r.topic, r.key, r.value, list(map(number, r.headers)), r.partition_by) for r in records]
    return msgpack.packb((list(headers), rows))  # type: ignore[no-any-return]


def unpack(packed: bytes) -> list[Kept]:
    """What was packed, in its order."""
    headers, rows = msgpack.unpackb(packed, use_list=False)
    return [
        Kept(topic, key, value, tuple(headers[number] for number in numbers), partition_by)
        for topic, key, value, numbers, partition_by in rows
    ]


def pages(packed: bytes) -> Iterator[bytes]:
    """Pieces of at most `PAGE_BYTES`, in order."""
    for at in range(0, len(packed), PAGE_BYTES):
        yield packed[at : at + PAGE_BYTES]
