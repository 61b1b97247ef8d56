"""A CloudEvents batch: read by another SDK, read back event by event, and cut to what a record may hold."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from cloudevents.core.formats.json import JSONFormat

from contracts import bundle, wire
from contracts.release import INSTRUCTION, REPORT, SAMPLES
from contracts.wire import Record
from tests.contracts.examples import EXAMPLES, TOPIC, record

BUNDLED = [INSTRUCTION, REPORT]


def batch(records: Sequence[Record]) -> bytes:
    (whole,) = bundle.bundles(records, len(records))
    return whole.batch


def both(name: str) -> list[Record]:
    """The full and the minimal example as the events they are before they are signed."""
    made = [record(name, kind) for kind in EXAMPLES]
    return [
        each._replace(headers=tuple({**dict(each.headers), "content-type": wire.JSON}.items()))
        for each in made
    ]


@pytest.mark.parametrize("name", BUNDLED)
def test_each_event_of_a_batch_is_read_as_the_record_it_would_be_alone(name: str) -> None:
    records = both(name)
    topic = TOPIC[name]
    alone = [wire.decode(topic.contract, topic.name, r.key, r.value, r.headers) for r in records]
    items = bundle.items(batch(records))
    assert [wire.decode(topic.contract, topic.name, *each) for each in items] == alone
    read = bundle.read(topic.contract, topic.name, batch(records))
    assert [each.event for each in read] == alone
    assert [each.key for each in read] == [each.key for each in items]


@pytest.mark.parametrize("name", BUNDLED)
def test_another_sdk_reads_each_event_of_a_batch(name: str) -> None:
    records = both(name)
    for made, said in zip(records, json.loads(batch(records)), strict=True):
        event = JSONFormat().read(None, json.dumps(said))
        assert event.get_id() == dict(made.headers)["ce_id"].decode()
        assert event.get_extension("partitionkey") == event.get_subject() == made.key.decode()
        assert event.get_datacontenttype() == "application/json"
        assert event.get_data() == json.loads(made.value)


@pytest.mark.parametrize("name", BUNDLED)
def test_a_batch_is_written_as_it_was_frozen(name: str) -> None:
    assert json.loads(batch(both(name))) == json.loads(sample(name).read_text())


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b'"[]"', b"[1,", b'["\xff"]'])
def test_what_is_no_batch_is_refused_as_a_whole(payload: bytes) -> None:
    with pytest.raises(wire.WireError):
        bundle.items(payload)
    with pytest.raises(wire.WireError):
        bundle.read(TOPIC[REPORT].contract, TOPIC[REPORT].name, payload)


GOOD = json.loads(batch(both(REPORT)[:1]))[0]
BAD = {
    "no object": 1,
    "no data": {name: value for name, value in GOOD.items() if name != "data"},
    "no key": {name: value for name, value in GOOD.items() if name != "partitionkey"},
    "no id": {name: value for name, value in GOOD.items() if name != "id"},
    "an id that is none": {**GOOD, "id": ["a"]},
    "a key that no database keeps": {**GOOD, "partitionkey": "a\x00b"},
    "a key that is no text": {**GOOD, "partitionkey": 7},
    "another type": {**GOOD, "type": "partner.acleda.report.v1"},
    "a time without offset": {**GOOD, "time": "2023-06-01T00:00:00"},
    "a sequence that is none": {**GOOD, "sequence": "one"},
    "data of another contract": {**GOOD, "data": {"amount": 1}},
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_event_of_a_batch_is_refused_alone(what: str) -> None:
    topic, payload = TOPIC[REPORT], json.dumps([BAD[what], GOOD]).encode()
    bad, good = bundle.items(payload)
    with pytest.raises(wire.WireError) as refused:
        wire.decode(topic.contract, topic.name, *bad)
    assert wire.decode(topic.contract, topic.name, *good).id == GOOD["id"]
    read = bundle.read(topic.contract, topic.name, payload)
    assert [each.key for each in read] == [bad.key, good.key]
    assert [str(read[0].event), getattr(read[1].event, "id", None)] == [str(refused.value), GOOD["id"]]


UNUSUAL = {
    "numbers for texts": {**GOOD, "id": 7, "sequence": 3},
    "a trace that can't be parsed": {**GOOD, "traceparent": "00-0-0-0"},
    "no trace": {name: value for name, value in GOOD.items() if name != "traceparent"},
    "an unknown attribute": {**GOOD, "more": {"a": 1}},
    "a null": {**GOOD, "correlationid": None},
    "letters and quotes": {**GOOD, "id": 'សុខ "a"\\', "correlationid": "a\nb"},
}


@pytest.mark.parametrize("what", UNUSUAL)
def test_an_unusual_event_of_a_batch_is_read_in_one_pass_as_it_is_alone(what: str) -> None:
    topic, payload = TOPIC[REPORT], json.dumps([UNUSUAL[what], GOOD]).encode()
    alone = [wire.decode(topic.contract, topic.name, *each) for each in bundle.items(payload)]
    assert [each.event for each in bundle.read(topic.contract, topic.name, payload)] == alone


def test_what_needs_escaping_is_escaped_in_a_batch() -> None:
    first = both(REPORT)[0]
    said = dict(first.headers) | {"ce_id": b'a"b\\c', "ce_correlationid": "សុខ\n".encode()}
    (event,) = json.loads(batch([first._replace(key=b'h"1', headers=tuple(said.items()))]))
    assert [event["id"], event["correlationid"], event["partitionkey"]] == ['a"b\\c', "សុខ\n", 'h"1']


def test_records_are_cut_by_count_and_by_size_in_their_order() -> None:
    assert sizes(made(5, b"{}"), 2) == [2, 2, 1]
    large = made(5, b'"%b"' % (b"x" * 12_000))
    assert sizes(large, 100) == [2, 2, 1]
    assert sizes(made(1, b'"%b"' % (b"x" * 40_000)), 100) == [1]
    assert sizes([], 1) == []
    cut = list(bundle.bundles(large, 100))
    assert [record for each in cut for record in each.records] == large
    assert [len(bundle.items(each.batch)) for each in cut] == [2, 2, 1]


def made(count: int, value: bytes) -> list[Record]:
    headers = (("ce_id", b"e"), ("ce_sequence", b"1"), ("content-type", wire.JSON))
    return [Record("t", b"%d" % number, value, headers) for number in range(count)]


def sizes(records: Sequence[Record], most: int) -> list[int]:
    return [len(each.records) for each in bundle.bundles(records, most)]


def test_a_bundle_that_nobody_else_opens_lists_its_events() -> None:
    records = both(INSTRUCTION)
    (whole,) = bundle.bundles(records, 2)
    assert bundle.list_of([(bundle.BUNDLED, whole.listing)]) == [
        (dict(each.headers)["ce_id"].decode(), each.key.decode(), int(dict(each.headers)["ce_sequence"]))
        for each in records
    ]
    assert bundle.list_of(records[0].headers) == []


def sample(name: str) -> Path:
    return SAMPLES / "bundles" / f"{name}.json"
