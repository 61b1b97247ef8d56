"""A payment partner with stock libraries: `pip install aiokafka cloudevents joserfc`; see ../partners.md."""

import asyncio
import json
import os
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka, to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from joserfc import jwe, jws
from joserfc.jwe import JWERegistry
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry
from joserfc.registry import HeaderParameter

PASSWORD = Path(os.environ["KAFKA_PASSWORD_FILE"]).read_text().strip()
NAME, KEYS, PREFIX = os.environ["PARTNER"], Path(os.environ["KEYS"]), os.environ.get("TOPIC_PREFIX", "")
INSTRUCTIONS, REPORTS = (f"partner.{NAME}.{kind}.v1" for kind in ("instruction", "report"))
SIGNED = JWSRegistry({"exp": HeaderParameter("Expiration Time", "int")}, algorithms=["Ed25519"])
SEALED = JWERegistry(algorithms=["ECDH-ES+A256KW", "A256GCM"])
OURS, OPENS, TONLE = (
    OKPKey.import_key(json.loads((KEYS / f"{name}.jwk").read_text()))
    for name in (f"{NAME}-sign", f"{NAME}-encrypt", "payments.pub")
)
BOOKS = sqlite3.connect(os.environ["BOOKS"], isolation_level=None)
BOOKS.executescript(
    "create table if not exists paid (payment_id text primary key, status text, amount integer);"
    "create table if not exists stood (partition integer primary key, next_offset integer);"
)


def instruction(record: object) -> dict:
    """Open it with our key, then verify Tonle's signature: what is neither raises, and is never paid."""
    event = from_kafka(KafkaMessage(dict(record.headers), record.key, record.value), JSONFormat())
    token = jwe.decrypt_compact(event.get_data(), OPENS, registry=SEALED).plaintext
    return json.loads(jws.deserialize_compact(token, TONLE, registry=SIGNED).payload)


def work(told: dict) -> str:
    """Pay each payment id once, whatever comes how often; an inquiry is answered from the books."""
    if (
        told["kind"] == "pay"
    ):  # here the money moves: in one transaction with this row, or asked for by its id
        BOOKS.execute(
            "insert or ignore into paid values (?, 'settled', ?)", (told["payment_id"], told["amount"])
        )
    row = BOOKS.execute("select status from paid where payment_id = ?", (told["payment_id"],)).fetchone()
    return row[0] if row else "not_found"


def report(told: dict, status: str, household: str) -> KafkaMessage:
    """Sign what became of it; the same words have the same id, so that sending twice is harmless."""
    now, name = datetime.now(UTC), f"{told['payment_id']}/{told['instruction_id']}/{status}"
    said = {name: told[name] for name in ("payment_id", "instruction_id", "partner", "amount")}
    said |= {"report_id": name, "status": status, "occurred_at": now.isoformat(), "currency": "KHR"}
    said["partner_reference"] = f"{NAME}-{told['payment_id'][:8]}"
    token = jws.serialize_compact(
        {"alg": "Ed25519", "exp": int(time.time()) + 86_400}, json.dumps(said), OURS, registry=SIGNED
    )
    attributes = {"id": name, "type": REPORTS, "source": f"/tonle/{NAME}", "time": now, "specversion": "1.0"}
    attributes |= {"datacontenttype": "application/jose", "subject": household, "partitionkey": household}
    return to_binary(CloudEvent(attributes, token), JSONFormat())


async def main() -> None:
    """Catch up from where our books stand, then go on for ever."""
    login = {"bootstrap_servers": os.environ["KAFKA"], "security_protocol": "SASL_PLAINTEXT"}
    login |= {"sasl_mechanism": "SCRAM-SHA-256", "sasl_plain_username": os.environ["KAFKA_USER"]}
    login["sasl_plain_password"] = PASSWORD
    consumer = AIOKafkaConsumer(**login, enable_auto_commit=False, auto_offset_reset="earliest")
    producer = AIOKafkaProducer(**login, acks="all", enable_idempotence=True)
    await asyncio.gather(consumer.start(), producer.start())
    stood = dict(BOOKS.execute("select partition, next_offset from stood"))
    partitions = await producer.partitions_for(PREFIX + INSTRUCTIONS)
    consumer.assign([TopicPartition(PREFIX + INSTRUCTIONS, number) for number in partitions])
    for place in consumer.assignment():
        consumer.seek(place, stood.get(place.partition, 0))
    while True:
        for place, records in (await consumer.getmany(timeout_ms=500)).items():
            for record in records:
                told = instruction(record)
                said = report(told, work(told), record.key.decode())
                await producer.send_and_wait(
                    PREFIX + REPORTS, said.value, record.key, headers=list(said.headers.items())
                )
            BOOKS.execute(
                "insert or replace into stood values (?, ?)", (place.partition, records[-1].offset + 1)
            )


if __name__ == "__main__":
    asyncio.run(main())
