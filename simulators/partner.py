"""A payment partner on plain Kafka, as a process of its own: `python -m simulators.partner`.

Reads its instruction topic, decrypts and verifies, keeps its own ledger, and reports back, signed. It shares
nothing with payments but the contracts, so it can stand for any partner in tests and in the demo.
"""

import asyncio
import gc
import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.producer.message_accumulator import BatchBuilder
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.payment import PaymentInstruction
from contracts.topics import partner_instruction, partner_report
from contracts.wire import Received, Record, WireError
from simulators.partner_behaviour import Behaviour
from simulators.partner_ledger import AT_ONCE, Ledger, Told
from simulators.partner_letters import Letters, NotForUs
from simulators.partner_reports import Letter

POLL_MS = 100
"""How long to wait for instructions before looking at what has become due."""


class Settings(BaseSettings):
    """`TONLE_…` environment variables; `secrets` is the folder with the keys (JWK files).

    `partner_behaviour` is a `Behaviour` in JSON, for instance `{"fail": 0.1, "twice": 0.05}`;
    `partner_bundle_most` is how many reports it signs together.
    """

    model_config = SettingsConfigDict(env_prefix="TONLE_", extra="ignore")

    kafka: str
    kafka_user: str | None = None
    kafka_password_file: Path | None = None
    data_dir: Path
    secrets: Path
    topic_prefix: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    partner: str = "wing"
    partner_behaviour: Behaviour = Behaviour()
    partner_bundle_most: int = 100


class Partner:
    """The loop: take what was told, settle what is due, say what is to be said."""

    def __init__(self, settings: Settings) -> None:
        name = settings.partner
        self.ledger = Ledger(
            settings.data_dir / f"partner-{name}.sqlite",
            name,
            partner_report(name),
            settings.partner_behaviour,
            settings.partner_bundle_most,
        )
        self._behaviour = settings.partner_behaviour
        self.ready = False
        self._letters = Letters(name, settings.secrets)
        self._instructions = settings.topic_prefix + partner_instruction(name).name
        self._reports = settings.topic_prefix + partner_report(name).name
        client = {**_login(settings), "bootstrap_servers": settings.kafka, "client_id": f"partner-{name}"}
        self._consumer = AIOKafkaConsumer(
            **client, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=100
        )
        self._producer = AIOKafkaProducer(
            **client, acks="all", enable_idempotence=True, linger_ms=2, max_batch_size=256 * 1024
        )

    async def run(self) -> None:
        """Until cancelled."""
        await self._consumer.start()
        await self._producer.start()
        try:
            await self._stand()
            while letters := self.ledger.unsent():
                await self._say(letters)
            self.ready = True
            while True:
                if self._behaviour.is_down(time.time()):
                    await asyncio.sleep(POLL_MS / 1000)
                else:
                    await self._work()
        finally:
            await self._producer.stop()
            await self._consumer.stop()
            self.ledger.close()

    async def _stand(self) -> None:
        # Where it stands is in its own ledger; it needs no consumer group.
        stood = self.ledger.positions()
        found = await self._producer.partitions_for(self._instructions)
        places = [TopicPartition(self._instructions, number) for number in sorted(found)]
        self._consumer.assign(places)
        for place in places:
            self._consumer.seek(place, stood.get(place.partition, 0))

    async def _work(self) -> None:
        """Do what was told, settle what is due, and say both."""
        batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=AT_ONCE)
        if batches:
            told = [self._read(place.partition, records) for place, records in batches.items()]
            await self._say(self.ledger.take(told, datetime.now(UTC)))
        while settled := self.ledger.settle(datetime.now(UTC)):
            await self._say(settled)

    def _read(self, partition: int, records: Sequence[ConsumerRecord]) -> Told:
        told: list[Received[PaymentInstruction]] = []
        refused: list[tuple[int, int, str]] = []
        for record in records:
            try:
                for item, each in enumerate(self._letters.read(record)):
                    if isinstance(each, WireError):
                        refused.append((record.offset, item, type(each).__name__))
                    else:
                        told.append(each)
            except (NotForUs, WireError) as error:
                refused.append((record.offset, 0, type(error).__name__))
        return Told(partition, told, refused, records[-1].offset + 1)

    async def _say(self, letters: Sequence[Letter]) -> None:
        if not letters:
            return
        by_partition: dict[int, list[Record]] = {}
        now = datetime.now(UTC)
        for letter in letters:
            by_partition.setdefault(letter.partition, []).append(self._letters.write(letter, now))
        await asyncio.gather(*(self._send(*place) for place in by_partition.items()))
        self.ledger.sent(letters[-1].number)

    async def _send(self, partition: int, records: Sequence[Record]) -> None:
        # Whole batches cost a third of what `send` costs per record; those of one partition stay in order.
        sent = []
        batch = self._producer.create_batch()
        for record in records:
            if not _fits(batch, record):
                sent.append(await self._producer.send_batch(batch, self._reports, partition=partition))
                batch = self._producer.create_batch()
                _fits(batch, record)
        sent.append(await self._producer.send_batch(batch, self._reports, partition=partition))
        await asyncio.gather(*sent)


def _fits(batch: BatchBuilder, record: Record) -> bool:
    """Append a record to a batch, if there is room in it."""
    put = batch.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers))
    return put is not None


def web_app(partner: Partner) -> web.Application:
    """What can be asked of the partner over HTTP: whether it works, a payment, and sums."""

    async def ready(_: web.Request) -> web.Response:
        return web.json_response({"status": "ready"}, status=200 if partner.ready else 503)

    async def ledger(request: web.Request) -> web.Response:
        found = partner.ledger.shown(request.query.get("payment_id", ""))
        return web.json_response(found, status=200 if found else 404)

    async def summary(_: web.Request) -> web.Response:
        return web.json_response(partner.ledger.summary())

    app = web.Application()
    app.add_routes(
        [web.get("/health/ready", ready), web.get("/ledger", ledger), web.get("/summary", summary)]
    )
    return app


def _login(settings: Settings) -> dict[str, str]:
    if settings.kafka_user is None or settings.kafka_password_file is None:
        return {}
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": settings.kafka_user,
        "sasl_plain_password": settings.kafka_password_file.read_text().strip(),
    }


async def main(settings: Settings) -> None:
    """Run until told to stop."""
    partner = Partner(settings)
    runner = web.AppRunner(web_app(partner), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, settings.host, settings.port).start()
    work = asyncio.create_task(partner.run())
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    work.add_done_callback(lambda _: stopping.set())
    # As the services do: what lives long is never looked at again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    await stopping.wait()
    if not work.done():
        work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await runner.cleanup()
    if not work.cancelled():
        work.result()


if __name__ == "__main__":
    uvloop.run(main(Settings()))
