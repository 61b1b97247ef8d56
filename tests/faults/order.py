"""Whether the first copies of a household's events rise in sequence on each topic, cuts included."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from postbox.broker import Broker
from tests.faults.cutting import Lost, events_of
from tonle.checking import told


class Heard(NamedTuple):
    """One record: where it stands, or stood, and what it says of its place among others of its key."""

    partition: int
    epoch: int
    offset: int
    key: str
    event_id: str
    sequence: int


async def heard(kafka: Broker, topic: str, cuts: Sequence[Sequence[Lost]]) -> list[Heard]:
    """Every record that was ever on a topic, in the order it was written, what was cut away included."""
    mine = [cut for cut in cuts if cut[0].topic == topic]
    records = []
    async for batch in told.whole(kafka, topic):
        for record in batch:
            after = epoch(mine, record.partition, record.offset, len(mine))
            records += [
                Heard(record.partition, after, record.offset, key, event_id, sequence)
                for event_id, key, sequence in events_of(record.key, record.headers)
            ]
    for number, cut in enumerate(mine):
        for lost in cut:
            after = epoch(mine, lost.partition, lost.offset, number)
            records.append(Heard(lost.partition, after, lost.offset, lost.key, lost.event_id, lost.sequence))
    return sorted(records, key=lambda each: each[:3])  # events of one record stay as they are


def out_of_order(topic: str, records: Iterable[Heard]) -> list[str]:
    """First copies whose sequence is not above that of the one before, of the same key."""
    seen: set[str] = set()
    last: dict[str, int] = {}
    wrong = []
    for record in records:
        if record.event_id in seen:
            continue
        seen.add(record.event_id)
        before = last.get(record.key, -1)
        if record.sequence <= before:
            wrong.append(f"{topic}: {record.key} {record.sequence} came after {before}")
        last[record.key] = max(before, record.sequence)
    return wrong


def epoch(cuts: Sequence[Sequence[Lost]], partition: int, offset: int, before: int) -> int:
    """How many cuts a record came after: what stands at or behind a cut was written after it."""
    after = [
        n + 1
        for n, cut in enumerate(cuts[:before])
        if cut[0].partition == partition and cut[0].offset <= offset
    ]
    return max(after, default=0)
