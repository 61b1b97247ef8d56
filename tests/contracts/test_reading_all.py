"""Many records read in one go are what each is alone; what is unusual is left to be read alone."""

from typing import NamedTuple

import pytest

from contracts import topics, versions, wire
from contracts.household import HouseholdRegistered
from contracts.topics import HOUSEHOLD_REGISTERED
from contracts.wire import Headers
from tests.contracts.examples import EXAMPLES, TOPIC, record
from tests.contracts.test_bad_records import BAD, GOOD

JSON_TOPICS = [name for name in TOPIC if dict(record(name, "full").headers)["content-type"] == wire.JSON]


class Record(NamedTuple):
    key: bytes | None
    value: bytes | None
    headers: Headers


USUAL = Record(GOOD.key, GOOD.value, GOOD.headers)


def read(*records: Record) -> list[wire.Received[HouseholdRegistered]]:
    return wire.decode_all(HouseholdRegistered, HOUSEHOLD_REGISTERED.name, records)


@pytest.mark.parametrize("name", JSON_TOPICS)
def test_many_records_in_one_go_are_what_each_is_alone(name: str) -> None:
    topic, records = TOPIC[name], [record(name, kind) for kind in (*EXAMPLES, *EXAMPLES)]
    alone = [wire.decode(topic.contract, name, r.key, r.value, r.headers) for r in records]
    assert wire.decode_all(topic.contract, name, records) == alone


def test_a_trace_context_that_is_none_is_not_passed_on_of_many_either() -> None:
    odd = [(name, b"none" if name == "traceparent" else value) for name, value in GOOD.headers]
    assert [each.traceparent for each in read(USUAL, USUAL._replace(headers=odd))] == [
        dict(GOOD.headers)["traceparent"].decode(),
        "",
    ]


@pytest.mark.parametrize("case", BAD)
def test_many_of_which_one_is_bad_are_left_to_be_read_one_by_one(case: str) -> None:
    key, value, headers, _ = BAD[case]
    with pytest.raises((TypeError, ValueError)):
        read(USUAL, Record(key, value, headers), USUAL)


def test_values_and_headers_that_are_whole_together_alone_are_left_to_be_read_one_by_one() -> None:
    half = len(GOOD.value) // 2
    cut = [USUAL._replace(value=GOOD.value[:half]), USUAL._replace(value=GOOD.value[half:])]
    with pytest.raises(ValueError, match="json"):
        read(*cut, USUAL._replace(value=GOOD.value + b"," + GOOD.value))
    lacks = USUAL._replace(headers=GOOD.headers[:-1])
    with pytest.raises(wire.WireError, match="header"):
        read(lacks, USUAL._replace(headers=(GOOD.headers[-1], *GOOD.headers)))


def test_headers_in_another_order_are_left_to_be_read_one_by_one() -> None:
    with pytest.raises(wire.WireError, match="header"):
        read(USUAL, USUAL._replace(headers=GOOD.headers[::-1]))


@pytest.mark.parametrize("value", [None, b"\xff\xfe"])
def test_a_header_that_is_no_text_is_left_to_be_refused_alone(value: bytes | None) -> None:
    odd = [(name, value if name == "ce_causationid" else said) for name, said in GOOD.headers]
    with pytest.raises(wire.WireError, match="header"):
        read(USUAL, USUAL._replace(headers=odd))


def test_keys_told_before_version_2_are_read_one_by_one() -> None:
    assert versions.decoders(topics.HOUSEHOLD_KEY) == (versions.key_v1, None)
