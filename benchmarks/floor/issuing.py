"""The least that issuing takes: open the payee, sign, encrypt, seal, write a payment and its entry, send."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import asyncpg
from aiokafka import AIOKafkaProducer
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.floor.payments import BUNDLE_MOST
from benchmarks.floor.wire import PARTNER, Headers, Out, seal, unseal, uuid5
from benchmarks.payments import Ground
from contracts import bundle
from contracts.household import Payee
from contracts.payment import InstructionKind, PaymentInstruction, PaymentIssued, PayTo
from contracts.sealed import Sealed
from contracts.topics import ELIGIBILITY_SCORED, PAYMENT_ISSUED, partner_instruction
from contracts.wire import JOSE, JSON, Record, dump, load
from tonle.stack.access import ADMIN
from vault.jose import Agreement, Signer, read_key
from vault.master import MasterKey

AT_ONCE, RIEL = 1_000, 176_000
INSTRUCTION = partner_instruction(PARTNER)
_SCHEMA = """
create table floor_paid (payment_id text primary key, household_id text, amount bigint);
create table floor_entry (payment_id text primary key, debit text, credit text, amount bigint);
"""
_NEXT = """
select household_id, key_id, wrapped, payee, decision_id, traceparent
from household join household_key k using (household_id)
where household_id > $1 order by household_id limit $2
"""


class Floor:
    """A connection, a producer, and the keys between payments and its partner."""

    def __init__(self, ground: Ground, db: asyncpg.Connection, producer: AIOKafkaProducer) -> None:
        secrets = ground.stack.secrets
        self._db, self._producer = db, producer
        self._prefix = ground.stack.state.topic_prefix
        self._partitions = ground.stack.state.partitions
        self._master = MasterKey.from_file(secrets.master_key)
        self._signer = Signer(read_key(secrets.jwk("payments"), "Ed25519"))
        self._partner = read_key(secrets.public_jwk(f"{PARTNER}-encrypt"), "X25519")
        self._until = (datetime.now(UTC) + timedelta(days=30)).date()

    async def issue(self, rows: list[asyncpg.Record], partition: int) -> None:
        """One transaction, and its messages."""
        told = [self._tell(row) for row in rows]
        async with self._db.transaction():
            payments = [(issued.payment_id, issued.household_id, RIEL) for issued, _, _ in told]
            entries = [(issued.payment_id, "in-transit", "envelope", RIEL) for issued, _, _ in told]
            await self._db.copy_records_to_table("floor_paid", records=payments)
            await self._db.copy_records_to_table("floor_entry", records=entries)
        sent = await self._send(PAYMENT_ISSUED.name, partition, [record for _, record, _ in told])
        sent += await self._send(INSTRUCTION.name, partition, self._sealed([pay for *_, pay in told]))
        await asyncio.gather(*sent)

    def _sealed(self, pays: list[Out]) -> list[Out]:
        """Instructions in bundles, under one key agreement."""
        agreement, headers = Agreement(self._partner), Headers(INSTRUCTION.name, "floor", JSON)
        records = [Record(INSTRUCTION.name, *each[:2], tuple(headers.of(each))) for each in pays]
        sealed: list[Out] = []
        for together in bundle.bundles(records, BUNDLE_MOST):
            token = agreement.encrypt(self._signer.sign(together.batch, bundle.CTY))
            sealed.append((together.records[0].key, token, *pays[0][2:]))
        return sealed

    def _tell(self, row: asyncpg.Record) -> tuple[PaymentIssued, Out, Out]:
        household_id, key_id, wrapped, blob, decision_id, trace = row
        cipher = AESGCM(self._master.unwrap(wrapped, bound_to=f"{household_id}/{key_id}"))
        payee = load(Payee, unseal(cipher, blob, decision_id, ELIGIBILITY_SCORED))
        payment_id = uuid5(f"floor/{household_id}")
        told = dump(payee.model_copy(update={"account": None}))
        issued = PaymentIssued(
            payment_id=payment_id,
            programme="bench",
            period="2026-01",
            household_id=household_id,
            purpose="bench",
            attempt=1,
            cycle_id="bench-2026-01",
            amount=RIEL,
            partner=PARTNER,
            commune="120101",
            revision=1,
            decision_id=decision_id,
            withdraw_until=self._until,
            payee=Sealed(key_id=key_id, blob=seal(cipher, told, payment_id, PAYMENT_ISSUED)),
        )
        pay = self._instruction(payment_id, payee)
        key, cause, correlation = household_id.encode(), decision_id.encode(), trace.encode()
        return (
            issued,
            (key, dump(issued), payment_id.encode(), cause, key, correlation),
            (key, dump(pay), pay.instruction_id.encode(), cause, key, correlation),
        )

    def _instruction(self, payment_id: str, payee: Payee) -> PaymentInstruction:
        return PaymentInstruction(
            instruction_id=uuid5(f"{INSTRUCTION.name}/{payment_id}/pay/0"),
            kind=InstructionKind.PAY,
            payment_id=payment_id,
            partner=PARTNER,
            amount=RIEL,
            commune="120101",
            withdraw_until=self._until,
            pay_to=PayTo(
                name_km=payee.name_km, name_latin=payee.name_latin, phone=payee.phone, account=payee.account
            ),
        )

    async def _send(self, topic: str, partition: int, records: list[Out]) -> list[asyncio.Future[object]]:
        content = JSON if topic == PAYMENT_ISSUED.name else JOSE
        headers, sent = Headers(topic, "floor", content), []
        left = iter(records)
        record = next(left, None)
        while record is not None:
            batch = self._producer.create_batch()
            while record is not None and batch.append(
                timestamp=None, key=record[0], value=record[1], headers=headers.of(record)
            ):
                record = next(left, None)
            sent.append(await self._producer.send_batch(batch, self._prefix + topic, partition=partition))
        return sent


async def measure(ground: Ground, db: asyncpg.Connection, households: int) -> float:
    """Seconds for so many households, read from payments' own table."""
    await db.execute(_SCHEMA)
    broker = ground.stack.state.kafka.broker(ADMIN)
    producer = AIOKafkaProducer(
        **broker.options,
        enable_idempotence=True,
        max_batch_size=1000 * 1000,
        max_request_size=4 * 1024 * 1024,
    )
    await producer.start()
    floor, after, done = Floor(ground, db, producer), "", 0
    began = time.perf_counter()
    try:
        while rows := await db.fetch(_NEXT, after, AT_ONCE):
            await floor.issue(rows, done // AT_ONCE % ground.stack.state.partitions)
            after, done = rows[-1]["household_id"], done + len(rows)
    finally:
        await producer.stop()
    assert done == households
    return time.perf_counter() - began
