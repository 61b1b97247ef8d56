"""What goes into the outbox comes out of it, whatever it is."""

from importlib import import_module
from inspect import signature

import msgpack
from aiokafka.codec import zstd_encode

from postbox.packing import LEVEL, PAGE_BYTES, Kept, pack, pages, unpack

HEADERS = (("ce_id", b"1"), ("ce_type", b"t"), ("ce_type", b"t"))


def test_records_come_out_as_they_went_in() -> None:
    records = [
        Kept("t", b"a", b"1" * 20_000, HEADERS, None),
        Kept("u", b"", b"\xff", (("ce_id", b"2"), *HEADERS[1:]), b"b"),
        Kept("t", b"a", b"", (), b""),
    ]
    assert unpack(b"".join(pages(pack(records)))) == records


def test_what_was_packed_before_rows_were_compressed_is_still_read() -> None:
    rows = [("t", b"a", b"v", [0, 1], None), ("u", b"b", b"", [1], b"k")]
    packed = msgpack.packb(([("ce_id", b"1"), ("ce_type", b"t")], rows))
    assert unpack(packed) == [
        Kept("t", b"a", b"v", HEADERS[:2], None),
        Kept("u", b"b", b"", HEADERS[1:2], b"k"),
    ]


def test_what_every_record_says_is_there_once() -> None:
    one, many = (len(pack([Kept("t", b"a", b"v", HEADERS, None)] * count)) for count in (1, 100))
    assert many < 2 * one


def test_no_page_is_larger_than_a_page() -> None:
    assert [len(page) for page in pages(b"v" * (2 * PAGE_BYTES + 1))] == [PAGE_BYTES, PAGE_BYTES, 1]


def test_record_batches_are_compressed_at_our_level() -> None:
    import_module("postbox.outbox")
    assert [each.default for each in signature(zstd_encode).parameters.values()][1:] == [LEVEL]
