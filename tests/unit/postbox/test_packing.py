"""What goes into the outbox comes out of it, whatever it is."""

from postbox.packing import PAGE_BYTES, Kept, pack, pages, unpack

HEADERS = (("ce_id", b"1"), ("ce_type", b"t"), ("ce_type", b"t"))


def test_records_come_out_as_they_went_in() -> None:
    records = [
        Kept("t", b"a", b"1" * 20_000, HEADERS, None),
        Kept("u", b"", b"\xff", (("ce_id", b"2"), *HEADERS[1:]), b"b"),
        Kept("t", b"a", b"", (), b""),
    ]
    assert unpack(b"".join(pages(pack(records)))) == records


def test_what_every_record_says_is_there_once() -> None:
    packed = pack([Kept("t", b"a", b"v", HEADERS, None)] * 10)
    assert packed.count(b"ce_type") == 1


def test_no_page_is_larger_than_a_page() -> None:
    assert [len(page) for page in pages(b"v" * (2 * PAGE_BYTES + 1))] == [PAGE_BYTES, PAGE_BYTES, 1]
