"""What the audit keeps of each event: its business key, what must agree, its order."""

import base64
import json
from types import SimpleNamespace

import pytest

from contracts import topics, wire
from contracts.bundle import BUNDLED, CTY, bundles
from contracts.payment import PaymentState
from contracts.release import INSTRUCTION, REPORT
from contracts.topics import Topic
from tests.contracts.examples import FULL, HOUSEHOLD, PAYMENT, SMS, record
from tests.contracts.sealed_examples import CYCLE
from tests.contracts.test_bundles import both
from tonle.checking.facts import Told
from tonle.checking.told import Reading, household_topics, said

NAMES = [topic.name for topic in household_topics([]) if topic in topics.TOPICS]


def read(topic: Topic, *records: wire.Record) -> tuple[list[Told], Reading]:
    reading = Reading(unreadable={topic.name: 0})
    raw = [
        SimpleNamespace(key=each.key, value=each.value, headers=each.headers, partition=1, offset=offset)
        for offset, each in enumerate(records)
    ]
    return list(said(topic, raw, reading)), reading


def topic_of(name: str) -> Topic:
    return next(topic for topic in household_topics(["wing"]) if topic.name == name)


@pytest.mark.parametrize("name", NAMES)
def test_every_event_names_its_household_or_shock_and_begins_its_key_with_it(name: str) -> None:
    (told, *_), reading = read(topic_of(name), record(name, "full"))
    about = "flood-2022-10" if name.startswith("shock.") else HOUSEHOLD
    assert told.household == about
    assert told.key.split("/")[0] == about
    assert reading.unreadable == {name: 0}
    assert told.place == 1 << 48


def test_what_must_agree_are_codes_and_riel() -> None:
    said_of = {name: read(topic_of(name), record(name, "full"))[0][0] for name in NAMES}
    amount = FULL["payment.issued.v1"].amount  # type: ignore[attr-defined]
    assert said_of["payment.issued.v1"].value == f"{amount} riel by wing"
    assert said_of["payment.issued.v1"].key == f"{HOUSEHOLD}/{PAYMENT}"
    assert said_of["eligibility.scored.v1"].value.startswith(f"{CYCLE} eligible ")
    assert said_of["sms.sent.v1"].key == f"{HOUSEHOLD}/{SMS}"


def test_a_correction_is_no_new_state_of_its_payment() -> None:
    corrected = FULL["payment.updated.v1"].model_copy(
        update={"state": PaymentState.CORRECTED, "correction": -16000}
    )
    written = record("payment.updated.v1", "full")._replace(value=wire.dump(corrected))
    ((told,), _) = read(topics.PAYMENT_UPDATED, written)
    assert (told.key, told.value) == (f"{HOUSEHOLD}/{PAYMENT}/corrected", "-16000 riel")
    assert told.about != PAYMENT


def test_an_instruction_is_known_by_its_id_alone_because_it_is_encrypted() -> None:
    topic = topics.partner_instruction("wing")
    sealed = record("payment.issued.v1", "full")
    headers = tuple((n, topic.name.encode() if n == "ce_type" else v) for n, v in sealed.headers)
    ((told,), _) = read(topic, sealed._replace(value=b"a.b.c.d.e", headers=headers))
    assert told.key == f"{HOUSEHOLD}/{told.event_id}"


def test_a_report_is_read_without_judging_its_signature() -> None:
    topic = topics.partner_report("wing")
    payload = base64.urlsafe_b64encode(wire.dump(FULL[REPORT])).rstrip(b"=")
    written = record("payment.issued.v1", "full")
    headers = tuple((n, topic.name.encode() if n == "ce_type" else v) for n, v in written.headers)
    ((told,), _) = read(topic, written._replace(value=b"e30." + payload + b".x", headers=headers))
    assert told.household == HOUSEHOLD
    assert told.value.endswith(" riel")


def test_of_a_bundle_of_reports_each_is_read_and_what_is_none_is_counted_alone() -> None:
    topic, (full, minimal) = topics.partner_report("wing"), both(REPORT)
    (whole,) = bundles([full, minimal._replace(value=b"{}"), minimal], 3)
    header, payload = (
        base64.urlsafe_b64encode(each).rstrip(b"=")
        for each in (json.dumps({"alg": "Ed25519", "cty": CTY}).encode(), whole.batch)
    )
    told, reading = read(topic, full._replace(value=b".".join((header, payload, b"x")), headers=()))
    assert [each.event_id for each in told] == [
        dict(each.headers)["ce_id"].decode() for each in (full, minimal)
    ]
    assert {each.household for each in told} == {HOUSEHOLD}
    assert reading.unreadable == {topic.name: 1}


def test_of_a_bundle_of_instructions_each_is_known_by_its_id() -> None:
    topic, (full, minimal) = topics.partner_instruction("wing"), both(INSTRUCTION)
    (whole,) = bundles([full, minimal], 2)
    sealed = full._replace(value=b"a.b.c.d.e", headers=(*full.headers, (BUNDLED, whole.listing)))
    told, _ = read(topic, sealed)
    assert [(each.event_id, each.sequence) for each in told] == [
        (dict(each.headers)["ce_id"].decode(), int(dict(each.headers)["ce_sequence"]))
        for each in (full, minimal)
    ]
    assert [each.key for each in told] == [f"{HOUSEHOLD}/{each.event_id}" for each in told]
    assert [each.place for each in told] == [1 << 48, (1 << 48) + 1]  # their order is seen, too


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"a.b.c", b"\xff"])
def test_a_record_that_is_no_event_is_counted_and_its_neighbours_are_read(value: bytes) -> None:
    for topic in (topics.PAYMENT_ISSUED, topics.partner_report("wing")):
        broken = record("payment.issued.v1", "full")._replace(value=value)
        told, reading = read(topic, broken)
        assert (told, reading.unreadable) == ([], {topic.name: 1})
    good, reading = read(topics.PAYMENT_ISSUED, broken, record("payment.issued.v1", "full"))
    assert (len(good), reading.unreadable["payment.issued.v1"]) == (1, 1)
