"""A payment partner on plain Kafka, as a process of its own: `python -m simulators.partner`.

Reads its instruction topic, decrypts and verifies, keeps its own ledger, and reports back, signed. It shares
nothing with payments but the contracts, so it can stand for any partner in tests and in the demo.
"""

import asyncio
import json
import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwe import JWERegistry
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry
from joserfc.registry import HeaderParameter
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.payment import InstructionKind, PaymentInstruction
from contracts.topics import partner_instruction, partner_report
from contracts.wire import JOSE, Received, Record, WireError, emit_bytes, envelope, load
from simulators.partner_ledger import AT_ONCE, Behaviour, Ledger, Report

_SIGNATURES = JWSRegistry({"exp": HeaderParameter("Expiration Time", "int")}, algorithms=["Ed25519"])
_ENCRYPTION = JWERegistry(algorithms=["ECDH-ES+A256KW", "A256GCM"])
_REPORT_HOLDS_S = 86_400


class Settings(BaseSettings):
    """`TONLE_…` environment variables; `secrets` is the folder with the keys (JWK files)."""

    model_config = SettingsConfigDict(env_prefix="TONLE_", extra="ignore")

    kafka: str
    data_dir: Path
    secrets: Path
    topic_prefix: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    partner: str = "wing"
    partner_seed: int = 0
    partner_fail_share: float = 0.01
    partner_drop_share: float = 0.0
    partner_settle_after_s: float = 0.0


class Letters:
    """How this partner reads and signs: our instructions are for it alone, its reports are its own."""

    def __init__(self, partner: str, secrets: Path) -> None:
        self._partner = partner
        self._instructions, self._reports = partner_instruction(partner), partner_report(partner)
        self._open_with = _key(secrets / f"{partner}-encrypt.jwk")
        self._verify_with = _key(secrets / "payments.pub.jwk")
        self._sign_with = _key(secrets / f"{partner}-sign.jwk")

    def read(self, record: ConsumerRecord) -> Received[PaymentInstruction]:
        """An instruction. Raises `WireError` or `JoseError` for what is not ours, or not for this partner."""
        signed = jwe.decrypt_compact(record.value, self._open_with, registry=_ENCRYPTION).plaintext
        token = jws.deserialize_compact(signed or b"", self._verify_with, registry=_SIGNATURES)
        told = envelope(
            load(PaymentInstruction, token.payload), self._instructions.name, record.key, record.headers
        )
        if told.data.partner != self._partner or told.data.kind is InstructionKind.UNRECOGNISED:
            raise WireError("an instruction for another partner, or of an unknown kind")
        return told

    def write(self, report: Report, now: datetime) -> Record:
        """A report as a record, under the key of its instruction."""
        header = {"alg": "Ed25519", "exp": int(now.timestamp()) + _REPORT_HOLDS_S}
        token = jws.serialize_compact(header, report.content, self._sign_with, registry=_SIGNATURES)
        return emit_bytes(
            self._reports,
            token.encode(),
            JOSE,
            id=report.report_id,
            key=report.household_id,
            sequence=report.number,
            time=now,
            cause=report.cause,
        )


class Partner:
    """The loop: take what was told, settle what is due, say what is to be said."""

    def __init__(self, settings: Settings) -> None:
        name = settings.partner
        self.ledger = Ledger(
            settings.data_dir / f"partner-{name}.sqlite",
            name,
            partner_report(name),
            Behaviour(
                settings.partner_seed,
                settings.partner_fail_share,
                settings.partner_drop_share,
                settings.partner_settle_after_s,
            ),
        )
        self.ready = False
        self._letters = Letters(name, settings.secrets)
        self._prefix = settings.topic_prefix
        self._topic = settings.topic_prefix + partner_instruction(name).name
        client = {"bootstrap_servers": settings.kafka, "client_id": f"partner-{name}"}
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
            self.ready = True
            while True:
                batches = await self._consumer.getmany(timeout_ms=20, max_records=AT_ONCE)
                for place, records in batches.items():
                    self._take(place.partition, records)
                await self._speak()
        finally:
            await self._producer.stop()
            await self._consumer.stop()
            self.ledger.close()

    async def _stand(self) -> None:
        # Where it stands is in its own ledger; it needs no consumer group.
        stood = self.ledger.positions()
        found = await self._producer.partitions_for(self._topic)
        places = [TopicPartition(self._topic, number) for number in sorted(found)]
        self._consumer.assign(places)
        for place in places:
            self._consumer.seek(place, stood.get(place.partition, 0))

    def _take(self, partition: int, records: Sequence[ConsumerRecord]) -> None:
        told: list[Received[PaymentInstruction]] = []
        refused: list[tuple[int, int, str]] = []
        for record in records:
            try:
                told.append(self._letters.read(record))
            except (JoseError, WireError, ValueError) as error:
                refused.append((partition, record.offset, type(error).__name__))
        self.ledger.take(told, refused, {partition: records[-1].offset + 1}, datetime.now(UTC))

    async def _speak(self) -> None:
        while self.ledger.settle(datetime.now(UTC)):
            pass
        while reports := self.ledger.unsent():
            now = datetime.now(UTC)
            sending = []
            for report in reports:
                record = self._letters.write(report, now)
                sending.append(
                    await self._producer.send(
                        self._prefix + record.topic,
                        value=record.value,
                        key=record.key,
                        headers=list(record.headers),
                    )
                )
            await asyncio.gather(*sending)
            self.ledger.sent(report.number for report in reports)


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


def _key(path: Path) -> OKPKey:
    return OKPKey.import_key(json.loads(path.read_text()))


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
    await stopping.wait()
    if not work.done():
        work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await runner.cleanup()
    if not work.cancelled():
        work.result()


if __name__ == "__main__":
    uvloop.run(main(Settings()))
