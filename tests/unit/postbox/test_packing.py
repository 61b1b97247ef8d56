"""What goes into the outbox comes out of it, whatever it is, and goes to the broker as it is."""

import time
from collections.abc import Iterable, Sequence
from inspect import signature

import cramjam
import msgpack
from aiokafka.codec import zstd_encode
from aiokafka.record.default_records import DefaultRecordBatch

from postbox.packing import (
    BATCH_BYTES,
    LEVEL,
    PAGE_BYTES,
    Kept,
    Parcel,
    Ready,
    pack,
    pages,
    parcels,
    unpack,
)

HEADERS = (("ce_id", b"1"), ("ce_type", b"t"), ("ce_type", b"t"))
RECORDS = [
    Kept("t", b"a", b"1" * 20_000, HEADERS, None),
    Kept("u", b"", b"\xff", (("ce_id", b"2"), *HEADERS[1:]), b"b"),
    Kept("t", b"a", b"", (), b""),
]
BY_TOPIC = [RECORDS[0], RECORDS[2], RECORDS[1]]


def opened(found: Iterable[Parcel]) -> list[Kept]:
    return [record for parcel in found for record in parcel.opened()]


def packed(records: Sequence[Kept]) -> bytes:
    return pack(parcels(records))


def test_records_come_out_by_topic_as_they_went_in() -> None:
    assert opened(unpack(b"".join(pages(packed(RECORDS))))) == BY_TOPIC


def test_what_was_packed_record_by_record_is_still_read() -> None:
    rows = bytes(cramjam.zstd.compress(msgpack.packb(RECORDS), LEVEL))
    assert opened(unpack(rows)) == BY_TOPIC


def test_what_was_packed_before_rows_were_compressed_is_still_read() -> None:
    rows = [("t", b"a", b"v", [0, 1], None), ("u", b"b", b"", [1], b"k")]
    numbered = msgpack.packb(([("ce_id", b"1"), ("ce_type", b"t")], rows))
    assert opened(unpack(numbered)) == [
        Kept("t", b"a", b"v", HEADERS[:2], None),
        Kept("u", b"b", b"", HEADERS[1:2], b"k"),
    ]


def test_what_every_record_says_is_there_once() -> None:
    one, many = (len(packed([Kept("t", b"a", b"v", HEADERS, None)] * count)) for count in (1, 100))
    assert many < 4 * one


def test_what_is_too_much_for_one_batch_fills_several_in_order() -> None:
    records = [
        Kept("t", b"a", b"%d" % each * size, (), None) for each, size in enumerate((1, BATCH_BYTES, 2))
    ]
    assert [parcel.message_count for parcel in parcels(records)] == [1, 1, 1]
    assert opened(parcels(records)) == records


def test_a_batch_that_is_sent_says_by_whom_when_and_how_many_and_is_whole() -> None:
    (parcel,) = parcels([RECORDS[0], RECORDS[2]])
    ready, before = Ready(parcel.batch), int(time.time() * 1000)
    ready._set_producer_state(7, 8, 9)
    sent = DefaultRecordBatch(bytes(ready._build()))
    assert (sent.producer_id, sent.producer_epoch, sent.base_sequence) == (7, 8, 9)
    assert sent.validate_crc()
    assert before <= sent.first_timestamp == sent.max_timestamp <= time.time() * 1000
    assert [record.timestamp for record in sent] == [sent.first_timestamp] * ready.record_count()
    assert ready.record_count() == 2


def test_no_page_is_larger_than_a_page() -> None:
    assert [len(page) for page in pages(b"v" * (2 * PAGE_BYTES + 1))] == [PAGE_BYTES, PAGE_BYTES, 1]


def test_record_batches_are_compressed_at_our_level() -> None:
    assert [each.default for each in signature(zstd_encode).parameters.values()][1:] == [LEVEL]
