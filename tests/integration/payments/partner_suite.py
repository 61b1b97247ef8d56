"""What every partner that talks over Kafka must do, the simulated one and a real one alike."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from joserfc.jwk import OKPKey

from contracts.household import Account
from contracts.payment import InstructionKind, PaymentInstruction, PaymentReport, PayTo, ReportStatus
from contracts.wire import Cause, Received, Record
from services.payments.partners.kafka import KafkaPartner
from tests.conftest import PARTITIONS
from tests.integration.payments.conftest import jwk, until
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
        verify_with=jwk(secrets, "wing-sign"),
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
        return (by or self.us).instruct(
            instruction,
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
                self.heard.append(
                    self.us.read_report(self.us.reports.name, each.key, each.value, each.headers)
                )
        return self.heard

    async def said_of(self, payment_id: str) -> list[ReportStatus]:
        """What was said of one payment, in order."""
        return [each.data.status for each in await self.hear() if each.data.payment_id == payment_id]

    async def until_ended(self, payment_ids: Sequence[str]) -> None:
        """Wait until each of these payments was reported settled or failed."""

        async def ended() -> bool:
            found = {each.data.payment_id for each in await self.hear() if each.data.status in ENDS}
            return found >= set(payment_ids)

        await until(ended)


@asynccontextmanager
async def talking(us: KafkaPartner, kafka: str, prefix: str) -> AsyncIterator[Talk]:
    """Our side's producer, and a consumer of all that the partner reports."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest")
    await producer.start()
    await consumer.start()
    consumer.assign([TopicPartition(prefix + us.reports.name, number) for number in range(PARTITIONS)])
    yield Talk(us, prefix, producer, consumer)
    await consumer.stop()
    await producer.stop()


class PartnerSuite:
    """Subclass it and give its module a fixture `talk` whose partner runs."""

    async def test_a_payment_is_accepted_and_ends_under_its_household_s_key(self, talk: Talk) -> None:
        await talk.tell([talk.instruction("p-1", household_id="h-7")])
        await talk.until_ended(["p-1"])
        first, last = talk.heard
        assert (first.data.status, last.data.status in ENDS) == (ReportStatus.ACCEPTED, True)
        assert {each.key for each in talk.heard} == {"h-7"}
        assert {(each.data.partner, each.data.amount) for each in talk.heard} == {("wing", 176_000)}
        assert {each.traceparent for each in talk.heard} == {TRACE}
        assert first.sequence < last.sequence
        assert first.data.report_id != last.data.report_id

    async def test_a_payment_told_again_is_paid_once(self, talk: Talk) -> None:
        once = talk.instruction("p-1")
        await talk.tell([once, once, talk.instruction("p-2")])
        await talk.tell([once, talk.instruction("p-3")])
        await talk.until_ended(["p-1", "p-2", "p-3"])
        settled = {
            (each.data.report_id, each.data.partner_reference)
            for each in await talk.hear()
            if each.data.payment_id == "p-1" and each.data.status in ENDS
        }
        assert len(settled) == 1

    async def test_the_same_payment_with_another_amount_is_not_paid_again(self, talk: Talk) -> None:
        await talk.tell([talk.instruction("p-1")])
        await talk.tell([talk.instruction("p-1", amount=200_000), talk.instruction("p-2")])
        await talk.until_ended(["p-1", "p-2"])
        assert {each.data.amount for each in await talk.hear()} == {176_000}

    async def test_an_inquiry_is_answered_with_what_became_of_the_payment(self, talk: Talk) -> None:
        await talk.tell([talk.instruction("p-1")])
        await talk.until_ended(["p-1"])
        before = list(talk.heard)
        await talk.tell([talk.instruction("p-1", InstructionKind.INQUIRE)])
        await until(lambda: _more(talk, before))
        answer = talk.heard[-1].data
        assert (answer.report_id, answer.status) == (before[-1].data.report_id, before[-1].data.status)

    async def test_a_payment_never_told_is_not_found_and_may_still_be_told(self, talk: Talk) -> None:
        await talk.tell([talk.instruction("p-1", InstructionKind.INQUIRE)])
        await until(lambda: _more(talk, []))
        assert [each.data.status for each in talk.heard] == [ReportStatus.NOT_FOUND]
        await talk.tell([talk.instruction("p-1")])
        await talk.until_ended(["p-1"])

    async def test_what_is_not_ours_or_not_for_it_is_not_paid(self, talk: Talk, secrets: Secrets) -> None:
        forged = talker(secrets, sign_with=jwk(secrets, "wing-sign"))
        for_others = talker(secrets, encrypt_to=OKPKey.generate_key("X25519"))
        plain = talk.instruction("p-3")._replace(value=b'{"kind": "pay"}')
        await talk.tell([talk.instruction("p-1", by=forged), talk.instruction("p-2", by=for_others), plain])
        await talk.tell([talk.instruction("p-4"), talk.instruction("p-5", household_id="h-2")])
        await talk.until_ended(["p-4", "p-5"])
        assert {each.data.payment_id for each in talk.heard} == {"p-4", "p-5"}


async def _more(talk: Talk, before: Sequence[Received[PaymentReport]]) -> bool:
    return len(await talk.hear()) > len(before)
