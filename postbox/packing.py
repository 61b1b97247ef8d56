"""Records as batches of Kafka's, built once for outbox and broker, and cut into pages the database likes."""

from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from time import time
from typing import NamedTuple

import cramjam
import msgpack
from aiokafka.codec import zstd_encode
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from postbox.message import Outgoing

PAGE_BYTES = 8_100
"""A row of `outbox_page` fills a page of PostgreSQL, and is never compressed or moved out of its table."""
BATCH_BYTES = 512 * 1024
"""Of a batch before it is compressed; a larger record is alone in its own."""
LEVEL = 1
"""Of Zstandard: half the bytes at 1.2 µs a kB; more of it costs more than it saves."""
# Kafka's own level, 3, takes twice as long for as many bytes, and aiokafka has no option for it.
zstd_encode.__defaults__ = (LEVEL,)
_BATCHES = b"\xc1"
"""MessagePack never begins so."""
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
# Of a record batch of format 2 (Kafka's protocol guide): where its checksum is, what that covers, where its
# first and last time and its producer's id, epoch and sequence begin, and how many records it has.
_CHECKSUM, _CHECKED, _SENT, _COUNT = slice(17, 21), slice(21, None), 27, slice(57, 61)
_TIMES_AND_PRODUCER = Struct(">qqqhi")


class Kept(NamedTuple):
    """A record as it is read back."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    partition_by: bytes | None


class Parcel(NamedTuple):
    """Records of one topic, in order: one record batch as Kafka keeps it, and each one's `partition_by`."""

    topic: str
    batch: bytes
    partition_by: Sequence[bytes | None]

    @property
    def message_count(self) -> int:
        """How many they are."""
        return len(self.partition_by)

    def opened(self) -> list[Kept]:
        """Its records."""
        records = zip(DefaultRecordBatch(self.batch), self.partition_by, strict=True)
        return [Kept(self.topic, each.key, each.value, tuple(each.headers), by) for each, by in records]


class Ready(BatchBuilder):  # type: ignore[misc]
    """A batch built before, as aiokafka's producer takes one: it says by whom it is sent, and when."""

    def __init__(self, batch: bytes) -> None:
        super().__init__(BATCH_BYTES, DefaultRecordBatch.CODEC_NONE)
        self._buffer = bytearray(batch)
        self._relative_offset = int.from_bytes(batch[_COUNT])
        self.close()

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        now = int(time() * 1000)
        _TIMES_AND_PRODUCER.pack_into(
            self._buffer, _SENT, now, now, producer_id, producer_epoch, base_sequence
        )
        self._buffer[_CHECKSUM] = calc_crc32c(self._buffer[_CHECKED]).to_bytes(4)


def parcels(records: Iterable[Outgoing]) -> list[Parcel]:
    """Records by topic, each topic's in their order."""
    by_topic: dict[str, list[Outgoing]] = {}
    for record in records:
        by_topic.setdefault(record.topic, []).append(record)
    return [parcel for said in by_topic.values() for parcel in _parcels(said)]


def _parcels(records: Sequence[Outgoing]) -> Iterator[Parcel]:
    begin, batch = 0, _builder()
    for at, record in enumerate(records):
        if not _append(batch, at - begin, record):
            yield _parcel(batch, records[begin:at])
            begin, batch = at, _builder()
            _append(batch, 0, record)
    yield _parcel(batch, records[begin:])


def _builder() -> DefaultRecordBatchBuilder:
    return DefaultRecordBatchBuilder(2, DefaultRecordBatch.CODEC_ZSTD, 0, -1, -1, 0, BATCH_BYTES)


def _append(batch: DefaultRecordBatchBuilder, number: int, record: Outgoing) -> bool:
    """Whether there was room. Its time is that of the batch, known when that is sent."""
    return batch.append(number, 0, record.key, record.value, list(record.headers)) is not None


def _parcel(batch: DefaultRecordBatchBuilder, records: Sequence[Outgoing]) -> Parcel:
    return Parcel(records[0].topic, bytes(batch.build()), [record.partition_by for record in records])


def pack(written: Sequence[Parcel]) -> bytes:
    """MessagePack of parcels, whose batches are compressed already."""
    return _BATCHES + bytes(msgpack.packb(written))


def unpack(packed: bytes) -> list[Parcel]:
    """What was packed, in its order."""
    if not packed.startswith(_BATCHES):
        return parcels(_unpack_records(packed))
    return [Parcel(*row) for row in msgpack.unpackb(memoryview(packed)[1:])]


def pages(packed: bytes) -> Iterator[bytes]:
    """Pieces of at most `PAGE_BYTES`, in order."""
    for at in range(0, len(packed), PAGE_BYTES):
        yield packed[at : at + PAGE_BYTES]


def _unpack_records(packed: bytes) -> list[Kept]:
    """As rows were packed record by record: compressed (ADR 0041), and before, when headers had numbers."""
    if packed.startswith(_ZSTANDARD):
        rows = msgpack.unpackb(bytes(cramjam.zstd.decompress(packed)), use_list=False)
        return [Kept(*row) for row in rows]
    headers, rows = msgpack.unpackb(packed, use_list=False)
    return [
        Kept(topic, key, value, tuple(headers[number] for number in numbers), partition_by)
        for topic, key, value, numbers, partition_by in rows
    ]
