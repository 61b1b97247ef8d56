"""Cuts a stopped broker's log short, as a power loss does: what was not yet on the disk is gone.

The kernel writes what is some thirty seconds old (vm.dirty_expire_centisecs): only what is younger is cut.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from aiokafka.record import MemoryRecords

from contracts import bundle
from contracts.wire import Headers

_SUFFIXES_AFTER = (".index", ".timeindex", ".txnindex")


class Lost(NamedTuple):
    """An event that was cut away: from which partition and offset, whose it was, which it was."""

    topic: str
    partition: int
    offset: int
    key: str
    event_id: str
    sequence: int


def partitions(log_folder: Path, topics: Sequence[str], since_s: float) -> list[tuple[str, int]]:
    """The partitions of these topics with records written since then (Unix time), sorted."""
    found = []
    for topic in topics:
        for folder in log_folder.glob(f"{topic}-*"):
            number = folder.name.removeprefix(f"{topic}-")
            if number.isdecimal() and _young(_last_segment(folder).read_bytes(), since_s):
                found.append((topic, int(number)))
    return sorted(found)


def cut(log_folder: Path, topic: str, partition: int, since_s: float, random: Random) -> list[Lost]:
    """Cut a partition's last segment within one of its last batches; returns what is lost."""
    folder = log_folder / f"{topic}-{partition}"
    segment = _last_segment(folder)
    content = segment.read_bytes()
    starts = _young(content, since_s)
    first = starts[-random.randint(1, min(4, len(starts)))]
    # A power loss keeps no batch whole: some of its bytes may be there, and the broker drops them.
    end = first + random.randint(0, 60)
    lost = list(_records(topic, partition, content[first:]))
    with segment.open("r+b") as file:
        file.truncate(min(end, len(content)))
    for suffix in _SUFFIXES_AFTER:
        segment.with_suffix(suffix).unlink(missing_ok=True)
    for snapshot in folder.glob("*.snapshot"):
        if int(snapshot.stem) > lost[0].offset:
            snapshot.unlink()
    return lost


def _last_segment(folder: Path) -> Path:
    return max(folder.glob("*.log"))


def _young(content: bytes, since_s: float) -> list[int]:
    """Where each batch begins that holds a record written since then (its highest time, in ms, at 35)."""
    return [at for at in _batches(content) if int.from_bytes(content[at + 35 : at + 43]) >= since_s * 1000]


def _batches(content: bytes) -> Iterator[int]:
    """Where each batch begins (Kafka message format: base offset of 8 bytes, length of 4)."""
    at = 0
    while at + 12 <= len(content):
        length = int.from_bytes(content[at + 8 : at + 12])
        if not length or at + 12 + length > len(content):
            return
        yield at
        at += 12 + length


def _records(topic: str, partition: int, content: bytes) -> Iterator[Lost]:
    batches = MemoryRecords(content)
    while batches.has_next():
        batch = batches.next_batch()
        if batch is None:
            return
        for record in batch:
            for event_id, key, sequence in events_of(record.key, record.headers):
                yield Lost(topic, partition, record.offset, key, event_id, sequence)


def events_of(key: bytes | None, headers: Headers) -> list[tuple[str, str, int]]:
    """Id, key and sequence of the events of a record, those of a bundle each; none where it is no event."""
    said = dict(headers)
    if key is None or not said.get("ce_id"):
        return []
    one = (said["ce_id"] or b"").decode(), key.decode(), int(said.get("ce_sequence") or b"0")
    return bundle.list_of(headers) or [one]
