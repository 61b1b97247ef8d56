"""Reads every topic whole and keeps of each event what must agree with others: ids, codes and riel."""

import base64
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from contracts import bundle, topics, wire
from contracts.bundle import Item
from contracts.eligibility import EligibilityScored
from contracts.household import HouseholdExited, HouseholdKey, HouseholdKeys, HouseholdRegistered
from contracts.model import Contract
from contracts.payment import PaymentIssued, PaymentReport, PaymentState, PaymentUpdated
from contracts.referral import ReferralMade
from contracts.shock import ShockDeclared, ShockEnded
from contracts.sms import SmsSent, SmsUpdated
from contracts.topics import Topic
from postbox.broker import Broker, stop
from tonle.checking.facts import Facts, Told
from tonle.stack.topics import SERVED

POLL_MS = 1000
RECORDS_AT_ONCE = 5000
ITEM_BITS = 10
"""A place is partition, offset and number in its record, which holds at most 500 events."""


@dataclass
class Reading:
    """How many records each topic had, and how many of them are no events (they are parked, not lost)."""

    records: dict[str, int] = field(default_factory=dict)
    unreadable: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """What one event says: whose it is, its business key, what must agree, and its aggregate."""

    household: str
    key: str
    value: str
    about: str


def _registered(data: HouseholdRegistered) -> Iterator[Line]:
    household = data.household_id
    yield Line(household, household, f"revision {data.revision}", household)


def _exited(data: HouseholdExited) -> Iterator[Line]:
    household = data.household_id
    yield Line(household, f"{household}/{data.revision}", "", household)


def _key(data: HouseholdKey) -> Iterator[Line]:
    key = f"{data.household_id}/{data.key_id}"
    yield Line(data.household_id, key, f"{data.purpose} {data.state}", key)


def _keys(data: HouseholdKeys) -> Iterator[Line]:
    household = data.household_id
    for each in data.keys:
        yield Line(household, f"{household}/{each.key_id}", f"{each.purpose} {each.state}", household)


def _scored(data: EligibilityScored) -> Iterator[Line]:
    household = data.household_id
    for each in data.decisions:
        decided = f"{each.cycle_id or 'no cycle'} {each.outcome} {each.amount} riel"
        yield Line(household, f"{household}/{each.programme}", decided, household)


def _issued(data: PaymentIssued) -> Iterator[Line]:
    household = data.household_id
    yield Line(
        household, f"{household}/{data.payment_id}", f"{data.amount} riel by {data.partner}", household
    )


def _updated(data: PaymentUpdated) -> Iterator[Line]:
    key = f"{data.household_id}/{data.payment_id}"
    if data.state is PaymentState.CORRECTED:
        key = f"{key}/corrected"
        yield Line(data.household_id, key, f"{data.correction} riel", f"{key}/{data.correction}")
    else:
        yield Line(data.household_id, key, f"{data.state} {data.amount} riel", data.payment_id)


def _sent(data: SmsSent) -> Iterator[Line]:
    yield Line(data.household_id, f"{data.household_id}/{data.sms_id}", "", data.sms_id)


def _sms_updated(data: SmsUpdated) -> Iterator[Line]:
    yield Line(data.household_id, f"{data.household_id}/{data.sms_id}", data.status, data.sms_id)


def _referred(data: ReferralMade) -> Iterator[Line]:
    """Not to whom: a ministry's name may say what ails somebody."""
    yield Line(data.household_id, f"{data.household_id}/{data.number}", data.state, data.household_id)


def _shock_declared(data: ShockDeclared) -> Iterator[Line]:
    days = f"{data.first_day} to {data.last_day or 'its end'}"
    yield Line(data.shock, data.shock, f"{data.kind} {len(data.communes)} communes {days}", data.shock)


def _shock_ended(data: ShockEnded) -> Iterator[Line]:
    yield Line(data.shock, data.shock, f"on {data.on}", data.shock)


_LINES: dict[str, Callable[..., Iterator[Line]]] = {
    topics.HOUSEHOLD_REGISTERED.name: _registered,
    topics.HOUSEHOLD_EXITED.name: _exited,
    topics.HOUSEHOLD_KEY.name: _key,
    topics.HOUSEHOLD_KEYS.name: _keys,
    topics.SHOCK_DECLARED.name: _shock_declared,
    topics.SHOCK_ENDED.name: _shock_ended,
    topics.ELIGIBILITY_SCORED.name: _scored,
    topics.REFERRAL_MADE.name: _referred,
    topics.PAYMENT_ISSUED.name: _issued,
    topics.PAYMENT_UPDATED.name: _updated,
    topics.SMS_SENT.name: _sent,
    topics.SMS_UPDATED.name: _sms_updated,
}


def partner_topics(partners: Sequence[str]) -> list[Topic]:
    """The two topics between us and each partner, and what is carried to others by us."""
    served = (topics.partner_instruction(name, "payments") for name in SERVED)
    return [
        *served,
        *(topic(name) for name in partners for topic in (topics.partner_instruction, topics.partner_report)),
    ]


def household_topics(partners: Sequence[str]) -> list[Topic]:
    """Every topic whose events are about one household, or about a shock to many."""
    return [*(topic for topic in topics.TOPICS if topic.name in _LINES), *partner_topics(partners)]


async def read(facts: Facts, kafka: Broker, prefix: str, partners: Sequence[str]) -> Reading:
    """Read all of them to their present ends, one after the other, into `facts`."""
    reading = Reading()
    for topic in household_topics(partners):
        reading.records[topic.name] = 0
        reading.unreadable[topic.name] = 0
        async for records in whole(kafka, prefix + topic.name):
            reading.records[topic.name] += len(records)
            facts.hear(topic.name, list(said(topic, records, reading)))
        facts.heard(topic.name)
    return reading


class LogShorter(Exception):
    """A partition ends before the record that shall be read next."""

    def __init__(self, begin: int, end: int) -> None:
        super().__init__(f"offset {begin} of {end}")
        self.begin, self.end = begin, end


async def whole(
    kafka: Broker, topic: str, begins: Mapping[int, int] = MappingProxyType({})
) -> AsyncIterator[list[ConsumerRecord]]:
    """A topic from its first record to the end it has now, in batches, each partition in order.

    `begins` says from which offset on, by partition. Raises `LogShorter` where the log ends before.
    """
    places = await _partitions(kafka, topic)
    consumer = AIOKafkaConsumer(**kafka.options, enable_auto_commit=False, group_id=None)
    await consumer.start()
    try:
        consumer.assign(places)
        firsts = await consumer.beginning_offsets(places)
        wanted = {place: max(first, begins.get(place.partition, 0)) for place, first in firsts.items()}
        ends = {}
        for place, end in (await consumer.end_offsets(places)).items():
            if end < wanted[place]:
                raise LogShorter(wanted[place], end)
            consumer.seek(place, wanted[place])
            if end > wanted[place]:
                ends[place] = end
        while ends:
            batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_AT_ONCE)
            yield [
                record
                for place, records in batches.items()
                for record in records
                if record.offset < ends.get(place, 0)
            ]
            ends = {place: end for place, end in ends.items() if await consumer.position(place) < end}
    finally:
        await stop(consumer)


async def _partitions(kafka: Broker, topic: str) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(**kafka.options)
    await admin.start()
    try:
        (described,) = await admin.describe_topics([topic])
    finally:
        await admin.close()
    return [TopicPartition(topic, each["partition"]) for each in described["partitions"]]


def said(topic: Topic, records: Iterable[ConsumerRecord], reading: Reading) -> Iterator[Told]:
    for record in records:
        first = (record.partition << 48) | (record.offset << ITEM_BITS)
        for place, event in enumerate(_events(topic, record, reading), first):
            for line in _lines(topic, event):
                yield Told(line.household, line.key, line.value, line.about, event.id, event.sequence, place)


def _events(topic: Topic, record: ConsumerRecord, reading: Reading) -> Iterator[wire.Received[Contract]]:
    """What a record says: one event, or the many of a bundle; what can't be read is counted."""
    try:
        if topic.name.endswith(".instruction.v1"):  # encrypted to the partner: we see which events it holds
            whole = wire.envelope(Contract(), topic.name, record.key, record.headers)
            named = bundle.list_of(record.headers) or [(whole.id, whole.key, whole.sequence)]
            yield from (replace(whole, id=id_, key=key, sequence=sequence) for id_, key, sequence in named)
            return
        items = [Item(record.key, record.value, record.headers)]
        if topic.name.endswith(".report.v1"):
            items = _reports(items[0])
    except wire.WireError:
        reading.unreadable[topic.name] += 1
        return
    for item in items:
        try:
            yield wire.decode(topic.contract, topic.name, *item)
        except wire.WireError:
            reading.unreadable[topic.name] += 1


def _reports(record: Item) -> list[Item]:
    """What a partner's JWS holds; whether it is the partner's is for payments to judge, not for us."""
    try:
        header, payload, _ = (record.value or b"").split(b".")
        said = json.loads(_plain(header))
        is_bundle = isinstance(said, dict) and said.get("cty") == bundle.CTY
        return bundle.items(_plain(payload)) if is_bundle else [record._replace(value=_plain(payload))]
    except ValueError:
        raise wire.WireError("value: no signed report") from None


def _plain(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def _lines(topic: Topic, event: wire.Received[Contract]) -> Iterator[Line]:
    if topic.name in _LINES:
        return _LINES[topic.name](event.data)
    household = event.key
    if isinstance(event.data, PaymentReport):
        said = f"{event.data.status} {event.data.amount} riel"
        line = Line(household, f"{household}/{event.data.report_id}", said, event.data.report_id)
    else:
        line = Line(household, f"{household}/{event.id}", "", household)
    return iter([line])
