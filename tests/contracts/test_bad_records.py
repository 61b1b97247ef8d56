import json
from typing import Any

import pytest

from contracts import wire
from contracts.household import HouseholdRegistered
from contracts.payment import PaymentIssued
from contracts.topics import HOUSEHOLD_REGISTERED, PAYMENT_ISSUED
from tests.contracts.examples import record

GOOD = record("household.registered.v1", "full")
SECRET = "ដារ៉ា-012345678"
Headers = list[tuple[str, bytes | None]]


def headers(**changed: bytes | None) -> Headers:
    return [(name, changed.get(name, value)) for name, value in GOOD.headers]


def without(*names: str) -> Headers:
    return [(name, value) for name, value in GOOD.headers if name not in names]


def value(**changed: Any) -> bytes:
    return json.dumps({**json.loads(GOOD.value), **changed}).encode()


KEY = GOOD.key
HEADERS: Headers = list(GOOD.headers)

BAD: dict[str, tuple[bytes | None, bytes | None, Headers, str]] = {
    "truncated JSON": (KEY, GOOD.value[:-9], HEADERS, "value: json_invalid"),
    "no JSON": (KEY, SECRET.encode(), HEADERS, "value: json_invalid"),
    "not UTF-8": (KEY, GOOD.value.replace(b"registrar-1", b"\xff\xfe"), HEADERS, "value: json_invalid"),
    "half a surrogate": (KEY, value(registered_by="\ud800"), HEADERS, "value: json_invalid"),
    "a list": (KEY, b"[]", HEADERS, "value: model_type"),
    "JSON null": (KEY, b"null", HEADERS, "value: model_type"),
    "empty": (KEY, b"", HEADERS, "value: json_invalid"),
    "a megabyte of brackets": (KEY, b"[" * 1_000_000, HEADERS, "value: json_invalid"),
    "tombstone": (KEY, None, HEADERS, "value: null"),
    "text for a number": (KEY, value(revision="2"), HEADERS, "revision: int_type"),
    "a fraction": (KEY, value(revision=2.5), HEADERS, "revision: int_type"),
    "truth for a number": (KEY, value(revision=True), HEADERS, "revision: int_type"),
    "a number too small": (KEY, value(revision=0), HEADERS, "revision: greater_than_equal"),
    "a number for text": (KEY, value(registered_by=7), HEADERS, "registered_by: string_type"),
    "a number for a word": (KEY, value(level=7), HEADERS, "level: enum"),
    "a commune that is none": (KEY, value(commune=SECRET), HEADERS, "commune: string_pattern_mismatch"),
    "an id with a newline": (
        KEY,
        value(household_id="h\n1"),
        HEADERS,
        "household_id: string_pattern_mismatch",
    ),
    "a field missing": (KEY, b'{"household_id": "h"}', HEADERS, "revision: missing"),
    "persons in the clear": (KEY, value(persons={"name": SECRET}), HEADERS, "persons.key_id: missing"),
    "a blob too short": (
        KEY,
        value(payee={"key_id": "k", "blob": "AAAA"}),
        HEADERS,
        "payee.blob: bytes_too_short",
    ),
    "a blob that is no base64": (
        KEY,
        value(payee={"key_id": "k", "blob": SECRET}),
        HEADERS,
        "payee.blob: bytes_invalid_encoding",
    ),
    "no key": (None, GOOD.value, HEADERS, "key or a ce_ header: missing or malformed"),
    "an empty key": (b"", GOOD.value, HEADERS, "key or a ce_ header: missing or malformed"),
    "a key not UTF-8": (
        b"\xff\xfe",
        GOOD.value,
        HEADERS,
        "key or a ce_ header: missing or malformed",
    ),
    "a key with a NUL": (b"h\x00", GOOD.value, HEADERS, "key or a ce_ header: missing or malformed"),
    "an id with a NUL": (
        KEY,
        GOOD.value,
        headers(ce_id=b"\x00"),
        "key or a ce_ header: missing or malformed",
    ),
    "a null header": (
        KEY,
        GOOD.value,
        [*HEADERS, ("x", None)],
        "header: null",
    ),
    "a header not UTF-8": (
        KEY,
        GOOD.value,
        [*HEADERS, ("x", b"\xff\xfe")],
        "header: not UTF-8",
    ),
    "no headers": (KEY, GOOD.value, [], "ce_specversion: 1.0 expected"),
    "another CloudEvents": (KEY, GOOD.value, headers(ce_specversion=b"0.3"), "ce_specversion: 1.0 expected"),
    "an unknown version": (
        KEY,
        GOOD.value,
        headers(ce_type=b"household.registered.v9"),
        "ce_type: not this topic's, or an unknown version",
    ),
    "no type": (KEY, GOOD.value, without("ce_type"), "ce_type: not this topic's, or an unknown version"),
    "no id": (KEY, GOOD.value, without("ce_id"), "ce_id: missing"),
    "no time": (KEY, GOOD.value, without("ce_time"), "ce_time: missing"),
    "a time without offset": (
        KEY,
        GOOD.value,
        headers(ce_time=b"2023-06-01T02:30:00"),
        "key or a ce_ header: missing or malformed",
    ),
    "a sequence that is no number": (
        KEY,
        GOOD.value,
        headers(ce_sequence=SECRET.encode()),
        "key or a ce_ header: missing or malformed",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_record_is_refused_with_a_reason_that_holds_no_value(case: str) -> None:
    key, body, bad_headers, reason = BAD[case]
    with pytest.raises(wire.WireError) as refused:
        wire.decode(HouseholdRegistered, HOUSEHOLD_REGISTERED.name, key, body, bad_headers)
    assert str(refused.value) == reason
    assert refused.value.handling == "park"
    assert refused.value.__context__ is None or refused.value.__suppress_context__


def test_the_good_record_they_were_made_from_is_read() -> None:
    read = wire.decode(HouseholdRegistered, HOUSEHOLD_REGISTERED.name, KEY, GOOD.value, HEADERS)
    assert read.data.household_id == KEY.decode()


@pytest.mark.parametrize(
    "text", [b"", b"\x00", b"x" * 54 + b"1", b"00-" + b"z" * 32 + b"-" + b"0" * 16 + b"-01"]
)
def test_a_trace_context_that_is_none_is_not_passed_on(text: bytes) -> None:
    read = wire.decode(
        HouseholdRegistered, HOUSEHOLD_REGISTERED.name, KEY, GOOD.value, headers(traceparent=text)
    )
    assert read.traceparent == ""


def test_a_record_of_another_topic_is_refused() -> None:
    with pytest.raises(wire.WireError, match="ce_type"):
        wire.decode(HouseholdRegistered, PAYMENT_ISSUED.name, KEY, GOOD.value, HEADERS)


@pytest.mark.parametrize("riel", ["1000", 1000.0, 1000.5, -100, 10**16, True, None])
def test_money_that_is_no_whole_riel_is_refused(riel: object) -> None:
    payment = record("payment.issued.v1", "full")
    body = json.dumps({**json.loads(payment.value), "amount": riel}).encode()
    with pytest.raises(wire.WireError, match=r"^amount: "):
        wire.load(PaymentIssued, body)


def test_money_in_another_currency_is_refused() -> None:
    payment = record("payment.issued.v1", "full")
    body = json.dumps({**json.loads(payment.value), "currency": "USD"}).encode()
    with pytest.raises(wire.WireError, match=r"^currency: literal_error$"):
        wire.load(PaymentIssued, body)
