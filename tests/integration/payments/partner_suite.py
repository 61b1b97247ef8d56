"""What every partner that talks over Kafka must do, the simulated one and a real one alike."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from joserfc.jwk import OKPKey

from contracts.household import Account
from contracts.payment import InstructionKind, PaymentInstruction, PaymentReport, PayTo, ReportStatus
from contracts.wire import Cause, Received, Record, dump
from postbox.broker import Broker
from services.payments.partners.kafka import KafkaPartner, Mailing
from tests.conftest import PARTITIONS
from tests.integration.payments.conftest import jwk
from tests.waiting import until
from tonle.stack.secrets import Secrets

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
ENDS = {ReportStatus.SETTLED, ReportStatus.FAILED}


def talker(
    secrets: Secrets, *, sign_with: OKPKey | None = None, encrypt_to: OKPKey | None = None
) -> KafkaPartner:
    """Our side of the talk, with our keys unless others are given."""
    return KafkaPartner(
        "wing",
        sign_with=sign_with or jwk(secrets, "payments"),
        encrypt_to=encrypt_to or jwk(secrets, "wing-encrypt"),
        verify_with=[jwk(secrets, "wing-sign")],
        bundle_most=100,
    )


@dataclass
class Talk:
    """A partner at work behind two topics: what it is told, and what it reports."""

    us: KafkaPartner
    prefix: str
    producer: AIOKafkaProducer
    consumer: AIOKafkaConsumer
    heard: list[Received[PaymentReport]] = field(default_factory=list)
    sequence: int = 0

    def payment(self) -> str:
        """The id of a payment nobody has heard of."""
        return str(uuid4())

    def instruction(
        self,
        payment_id: str,
        kind: InstructionKind = InstructionKind.PAY,
        *,
        household_id: str = "h-1",
        amount: int = 176_000,
        by: KafkaPartner | None = None,
    ) -> Record:
        """A record as payments would send it."""
        mailing = (by or self.us).mailing()
        self._write(mailing, payment_id, kind, household_id, amount)
        (record,) = mailing.sealed()
        return record

    def bundle(self, *payment_ids: str, household_id: str) -> Record:
        """Payments of one household, and questions about each, in one token."""
        mailing = self.us.mailing()
        for kind in (InstructionKind.PAY, InstructionKind.INQUIRE):
            for payment_id in payment_ids:
                self._write(mailing, payment_id, kind, household_id, 176_000)
        (record,) = mailing.sealed()
        return record

    def _write(
        self, mailing: Mailing, payment_id: str, kind: InstructionKind, household_id: str, amount: int
    ) -> None:
        self.sequence += 1
        pays = kind is InstructionKind.PAY
        account = Account(provider="wing", number="012345678")
        instruction = PaymentInstruction(
            instruction_id=f"{payment_id}/{kind}/{0 if pays else self.sequence}",
            kind=kind,
            payment_id=payment_id,
            partner="wing",
            amount=amount,
            commune="120101",
            pay_to=PayTo(name_km="សុខ", name_latin="Sok", account=account) if pays else None,
        )
        mailing.instruct(
            dump(instruction),
            id=instruction.instruction_id,
            household_id=household_id,
            sequence=self.sequence,
            time=datetime.now(UTC),
            cause=Cause("t", "t", TRACE),
        )

    async def tell(self, records: Iterable[Record]) -> None:
        """Put instructions on the topic."""
        futures = [
            await self.producer.send(
                self.prefix + each.topic, value=each.value, key=each.key, headers=list(each.headers)
            )
            for each in records
        ]
        await asyncio.gather(*futures)

    async def hear(self) -> list[Received[PaymentReport]]:
        """Every report so far, each verified as payments verifies it."""
        for records in (await self.consumer.getmany(timeout_ms=50)).values():
            for each in records:
                read = self.us.read_report(self.us.reports.name, each.key, each.value, each.headers)
                for event in [item.event for item in read] if isinstance(read, list) else [read]:
                    assert isinstance(event, Received), event
                    self.heard.append(event)
        return self.heard

    async def said_of(self, payment_id: str) -> list[Received[PaymentReport]]:
        """What was said of one payment, in order."""
        return [each for each in await self.hear() if each.data.payment_id == payment_id]

    async def until_said(self, payment_id: str, count: int) -> list[Received[PaymentReport]]:
        """Wait until so many reports of one payment have come."""

        async def said() -> bool:
            return len(await self.said_of(payment_id)) >= count

        await until(said)
        return await self.said_of(payment_id)

    async def until_ended(self, payment_ids: Sequence[str]) -> None:
        """Wait until each of these payments was reported settled or failed."""

        async def ended() -> bool:
            found = {each.data.payment_id for each in await self.hear() if each.data.status in ENDS}
            return found >= set(payment_ids)

        await until(ended)


@asynccontextmanager
async def talking(us: KafkaPartner, kafka: Broker, prefix: str) -> AsyncIterator[Talk]:
    """Our side's producer, and a consumer of all that the partner reports."""
    producer = AIOKafkaProducer(**kafka.options)
    consumer = AIOKafkaConsumer(**kafka.options, auto_offset_reset="earliest")
    await producer.start()
    await consumer.start()
    consumer.assign([TopicPartition(prefix + us.reports.name, number) for number in range(PARTITIONS)])
    yield Talk(us, prefix, producer, consumer)
    await consumer.stop()
    await producer.stop()


class PartnerSuite:
    """Subclass it and give its module a fixture `talk` whose partner runs."""

    async def test_a_payment_is_accepted_and_ends_under_its_household_s_key(self, talk: Talk) -> None:
        one = talk.payment()
        await talk.tell([talk.instruction(one, household_id="h-7")])
        await talk.until_ended([one])
        first, last = await talk.said_of(one)
        assert (first.data.status, last.data.status in ENDS) == (ReportStatus.ACCEPTED, True)
        assert (first.key, last.key) == ("h-7", "h-7")
        assert {(each.data.partner, each.data.amount) for each in (first, last)} == {("wing", 176_000)}
        assert (first.traceparent, last.traceparent) == (TRACE, TRACE)
        assert first.sequence < last.sequence
        assert first.data.report_id != last.data.report_id

    async def test_a_payment_told_again_is_paid_once(self, talk: Talk) -> None:
        one, two, three = talk.payment(), talk.payment(), talk.payment()
        once = talk.instruction(one)
        await talk.tell([once, once, talk.instruction(two)])
        await talk.tell([once, talk.instruction(three)])
        await talk.until_ended([one, two, three])
        settled = {
            (each.data.report_id, each.data.partner_reference)
            for each in await talk.said_of(one)
            if each.data.status in ENDS
        }
        assert len(settled) == 1

    async def test_each_payment_of_a_bundle_is_paid_once_though_it_is_told_again_alone(
        self, talk: Talk
    ) -> None:
        some = [talk.payment() for _ in range(3)]
        whole = talk.bundle(*some, household_id="h-9")
        await talk.tell([whole, whole, talk.instruction(some[0], household_id="h-9")])
        await talk.until_ended(some)
        for one in some:
            said = await talk.until_said(one, 4)
            assert {each.key for each in said} == {"h-9"}
            assert len({each.data.report_id for each in said if each.data.status in ENDS}) == 1

    async def test_the_same_payment_with_another_amount_is_not_paid_again(self, talk: Talk) -> None:
        one, two = talk.payment(), talk.payment()
        await talk.tell([talk.instruction(one)])
        await talk.tell([talk.instruction(one, amount=200_000), talk.instruction(two)])
        await talk.until_ended([one, two])
        assert {each.data.amount for each in await talk.said_of(one)} == {176_000}

    async def test_an_inquiry_is_answered_with_what_became_of_the_payment(self, talk: Talk) -> None:
        one = talk.payment()
        await talk.tell([talk.instruction(one)])
        await talk.until_ended([one])
        _, ended = await talk.said_of(one)
        await talk.tell([talk.instruction(one, InstructionKind.INQUIRE)])
        answer = (await talk.until_said(one, 3))[-1].data
        assert (answer.report_id, answer.status) == (ended.data.report_id, ended.data.status)
        assert answer.instruction_id == f"{one}/inquire/{talk.sequence}"

    async def test_a_payment_never_told_is_not_found_and_may_still_be_told(self, talk: Talk) -> None:
        one = talk.payment()
        await talk.tell([talk.instruction(one, InstructionKind.INQUIRE)])
        (answer,) = await talk.until_said(one, 1)
        assert answer.data.status is ReportStatus.NOT_FOUND
        await talk.tell([talk.instruction(one)])
        await talk.until_ended([one])

    async def test_what_is_not_ours_or_not_for_it_is_not_paid(self, talk: Talk, secrets: Secrets) -> None:
        forged = talker(secrets, sign_with=jwk(secrets, "wing-sign"))
        for_others = talker(secrets, encrypt_to=OKPKey.generate_key("X25519"))
        bad = [talk.payment() for _ in range(3)]
        good = talk.payment()
        plain = talk.instruction(bad[2])._replace(value=b'{"kind": "pay"}')
        await talk.tell(
            [
                talk.instruction(bad[0], by=forged),
                talk.instruction(bad[1], by=for_others),
                plain,
                talk.instruction(good),
            ]
        )
        await talk.until_ended([good])
        assert [await talk.said_of(each) for each in bad] == [[], [], []]
