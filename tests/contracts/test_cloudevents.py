import json
from uuid import RFC_4122, UUID, uuid5

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st

from contracts import wire
from contracts.payment import PaymentIssued
from contracts.release import INSTRUCTION, REPORT
from contracts.topics import PAYMENT_ISSUED
from tests.contracts.examples import TIME, TOPIC, record


@pytest.mark.parametrize("kind", ["full", "minimal"])
@pytest.mark.parametrize("name", TOPIC)
def test_another_sdk_reads_our_records_with_every_attribute(name: str, kind: str) -> None:
    made = record(name, kind)
    headers = dict(made.headers)
    event = from_kafka(KafkaMessage(headers, made.key, made.value), JSONFormat())
    assert event.get_specversion() == "1.0"
    assert event.get_id() == headers["ce_id"].decode()
    assert event.get_type() == made.topic
    assert event.get_source() == f"/tonle/{TOPIC[name].producer}"
    assert event.get_time() == TIME
    assert event.get_subject() == event.get_extension("partitionkey") == made.key.decode()
    for extension in ("sequence", "correlationid", "causationid"):
        assert event.get_extension(extension) == headers[f"ce_{extension}"].decode()
    jose = name in {INSTRUCTION, REPORT}
    assert event.get_datacontenttype() == ("application/jose" if jose else "application/json")
    assert event.get_data() == (made.value.decode() if jose else json.loads(made.value))


def test_an_event_reads_the_same_whatever_the_order_of_its_headers() -> None:
    made = record(PAYMENT_ISSUED.name, "full")
    ours = wire.decode(PaymentIssued, made.topic, made.key, made.value, made.headers)
    others = wire.decode(PaymentIssued, made.topic, made.key, made.value, (*made.headers[::-1], ("x", b"\0")))
    assert ours == others
    assert tuple(name for name, _ in made.headers) == wire.EMITTED  # which is read without a dict


def test_the_id_of_an_event_is_the_same_for_ever() -> None:
    made = wire.event_id(PAYMENT_ISSUED, "covid-19-cash-transfer", "2023-06", "h-1", "social-transfer", 1)
    assert made == "334a3705-df2e-523c-b3c6-a14e5cbcdfc7"


@given(st.text())
def test_every_id_is_a_uuid5(name: str) -> None:
    assert wire.uuid5(name) == str(uuid5(wire.NAMESPACE, name))


@given(st.uuids(), st.text())
def test_what_is_a_households_begins_as_its_household_does(drawn: UUID, name: str) -> None:
    household = UUID(int=drawn.int & ~(0xF << 76) | 0x8 << 76)
    made = UUID(wire.household_uuid(str(household), name))
    assert (made.int >> 76, made.variant) == (household.int >> 76, RFC_4122)
    assert made == UUID(wire.household_uuid(str(household), name))


@pytest.mark.parametrize("household", ["h-1", "334a3705-df2e-523c-b3c6-a14e5cbcdfc7"])
def test_what_is_a_households_of_an_older_id_keeps_the_id_it_had(household: str) -> None:
    assert wire.household_uuid(household, "a payment") == wire.uuid5("a payment")
