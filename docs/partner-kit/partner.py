"""A payment partner with stock libraries: `pip install aiokafka cloudevents joserfc`; see ../partners.md."""

import asyncio
import json
import sqlite3
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from joserfc import jwe, jws
from joserfc.jwe import JWERegistry
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry
from joserfc.registry import HeaderParameter

US = json.loads(
    Path(sys.argv[1]).read_text()
)  # name, topic_prefix, keys, books, and kafka: a client's options
TOLD, SAID = (f"{US['topic_prefix']}partner.{US['name']}.{kind}.v1" for kind in ("instruction", "report"))
SIGNED = JWSRegistry({"exp": HeaderParameter("Expiration Time", "int")}, algorithms=["Ed25519"])
SEALED = JWERegistry(algorithms=["ECDH-ES+A256KW", "A256GCM"])
FILES = (f"{US['name']}-sign", f"{US['name']}-encrypt", "payments.pub")
OURS, OPENS, TONLE = (OKPKey.import_key(json.loads(Path(US["keys"], f"{f}.jwk").read_text())) for f in FILES)
BOOKS = sqlite3.connect(US["books"], isolation_level=None)
BOOKS.execute("create table if not exists paid (payment_id text primary key, status text)")
BOOKS.execute("create table if not exists stood (partition integer primary key, next_offset integer)")


def told(record: ConsumerRecord) -> list[CloudEvent]:
    """One instruction or a batch, sealed to us and signed by Tonle: all else raises, and is never paid."""
    event = from_kafka(KafkaMessage(dict(record.headers), record.key, record.value), JSONFormat())
    sealed = jwe.decrypt_compact(event.get_data(), OPENS, registry=SEALED)
    token = jws.deserialize_compact(sealed.plaintext, TONLE, registry=SIGNED)
    if token.headers().get("cty") == "cloudevents-batch+json":
        return [JSONFormat().read(None, json.dumps(each)) for each in json.loads(token.payload)]
    return [CloudEvent(event.get_attributes(), json.loads(token.payload))]


def report(event: CloudEvent) -> CloudEvent:
    """Pay each payment id once, however often it is told; all is answered from the books."""
    asked, now, household = event.get_data(), datetime.now(UTC), event.get_extension("partitionkey")
    if asked["kind"] == "pay":  # the money moves in one transaction with this row, or is asked for by its id
        BOOKS.execute("insert or ignore into paid values (?, 'settled')", (asked["payment_id"],))
    row = BOOKS.execute("select status from paid where payment_id = ?", (asked["payment_id"],)).fetchone()
    said = {name: asked[name] for name in ("payment_id", "instruction_id", "partner", "amount", "currency")}
    said |= {"status": row[0] if row else "not_found", "occurred_at": now.isoformat()}
    said["report_id"] = f"{asked['payment_id']}/{asked['instruction_id']}/{said['status']}"  # the same again
    about = {"id": said["report_id"], "type": f"partner.{US['name']}.report.v1", "time": now}
    about |= {"source": f"/tonle/{US['name']}", "specversion": "1.0", "partitionkey": household}
    return CloudEvent(about | {"datacontenttype": "application/json"}, said)


def signed(reports: list[CloudEvent]) -> str:
    """Reports as one batch under our signature, which holds for a day."""
    header = {"alg": "Ed25519", "exp": int(time.time()) + 86_400, "cty": "cloudevents-batch+json"}
    batch = b"[" + b",".join(map(JSONFormat().write, reports)) + b"]"
    return jws.serialize_compact(header, batch, OURS, registry=SIGNED)


async def main() -> None:
    """Catch up from where our books stand, then go on for ever."""
    consumer, producer = AIOKafkaConsumer(**US["kafka"]), AIOKafkaProducer(**US["kafka"], acks="all")
    await asyncio.gather(consumer.start(), producer.start())
    stood = dict(BOOKS.execute("select partition, next_offset from stood"))
    consumer.assign([TopicPartition(TOLD, number) for number in await producer.partitions_for(TOLD)])
    for place in consumer.assignment():
        consumer.seek(place, stood.get(place.partition, 0))
    while True:
        record = await consumer.getone()
        batch = signed([report(event) for event in told(record)])
        await producer.send_and_wait(SAID, batch.encode(), record.key)
        BOOKS.execute("insert or replace into stood values (?, ?)", (record.partition, record.offset + 1))


if __name__ == "__main__":
    asyncio.run(main())
