"""A simulated gateway as a process, and notifications on their own topics and database."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from contracts import topics, wire
from contracts.household import (
    AreaType,
    Channel,
    DataKey,
    HouseholdKeys,
    HouseholdRegistered,
    KeyPurpose,
    KeyState,
    Level,
    Payee,
)
from contracts.model import Contract
from contracts.payment import PaymentIssued, PaymentState, PaymentUpdated
from contracts.sealed import Sealed
from contracts.topics import Topic
from contracts.wire import Cause, M, Received, Record
from services.notifications import app
from tests.broker import all_published, as_admin, everything
from tests.processes import service_process
from tests.waiting import until
from tonle.stack.process import free_port
from tonle.stack.secrets import Secrets
from vault.master import MasterKey
from vault.sealing import Keys, new_key

USER, PASSWORD, SENDER = "tonle", "s3cr&et1", "TONLE"
PHONE = "+85512345678"
TRACE = "00-11111111111111111111111111111111-2222222222222222-01"


def phone_of(household: str) -> str:
    """The number of a household: `h-1` has the one that tests name."""
    number = int(household.removeprefix("h-"))
    return f"+855{12345677 + number}"


@dataclass
class Gateway:
    """The simulator as a process; `misbehaviour` are its TONLE_GATEWAY_… settings."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.password_file.write_text(PASSWORD)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def password_file(self) -> Path:
        return self.folder / "gateway.password"

    async def start(self, **misbehaviour: object) -> None:
        environment = os.environ | {
            "TONLE_DATA_DIR": str(self.folder),
            "TONLE_PORT": str(self.port),
            "TONLE_GATEWAY_USER": USER,
            "TONLE_GATEWAY_PASSWORD_FILE": str(self.password_file),
            **{f"TONLE_GATEWAY_{name.upper()}": str(value) for name, value in misbehaviour.items()},
        }
        command = (sys.executable, "-m", "simulators.gateway")
        self.process = await asyncio.create_subprocess_exec(*command, env=environment)
        await until(self._answers)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            await self.process.wait()
            self.process = None

    async def inbox(self, **query: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = (await self._get("/inbox", **{"last": "100000", **query})).json()
        return found

    async def handset(self, sender: str, to: str, text: str, part: str = "") -> bool:
        """Somebody writes to us, by SMPP; `part`: which of a long SMS it is, `udh8:REFERENCE:NUMBER:OF`.

        Whether anybody was bound who hears it.
        """
        answer = await self._get("/handset", **{"from": sender, "to": to, "text": text, "part": part})
        return bool(answer.json()["told"])

    async def summary(self) -> dict[str, int]:
        found: dict[str, int] = (await self._get("/summary")).json()
        return found

    async def _get(self, path: str, **query: str) -> httpx.Response:
        async with httpx.AsyncClient(verify=False, base_url=self.url, timeout=60) as client:
            return (await client.get(path, params=query)).raise_for_status()

    async def _answers(self) -> bool:
        try:
            await self._get("/health/ready")
        except httpx.TransportError:
            return False
        return True


@pytest_asyncio.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway that is not started yet."""
    made = Gateway(tmp_path / "gateway")
    yield made
    await made.end(signal.SIGKILL)


@dataclass
class Scene:
    """What a test tells notifications, and what it sees of it."""

    settings: app.Settings
    producer: AIOKafkaProducer
    db: asyncpg.Connection
    master: MasterKey
    admin_token: str
    keys: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    url: str = ""

    async def household(self, household: str, state: KeyState = KeyState.ACTIVE) -> None:
        """Announce a household's payee key, or that it is destroyed."""
        key_id, key = self._key(household)
        active = state is KeyState.ACTIVE
        payee = DataKey(
            key_id=key_id,
            purpose=KeyPurpose.PAYEE,
            state=state,
            master_key_id=self.master.id if active else None,
            wrapped=self.master.wrap(key, bound_to=f"{household}/{key_id}") if active else None,
        )
        data = HouseholdKeys(household_id=household, keys=(payee,))
        await self._emit(topics.HOUSEHOLD_KEYS, data, f"{household}/{state}", household)

    async def issue(self, household: str, number: int = 1, **payee: Any) -> str:
        """A payment a partner has ready, to a household whose payee differs from the usual one as told.

        Gives its id. Each household has a number of its own, unless told.
        """
        await self.register(household, number, **payee)
        payment_id = f"{household}-{number}"
        data = payment(payment_id, household, Sealed(key_id="k-1", blob=bytes(32)))
        await self._emit(topics.PAYMENT_ISSUED, data, payment_id, household, 2 * number)
        await self.report(household, number)
        return payment_id

    async def register(
        self, household: str, revision: int = 1, channel: Channel = Channel.FILE, **payee: object
    ) -> None:
        """A revision of a household, its payee sealed."""
        topic = topics.HOUSEHOLD_REGISTERED
        event_id = wire.event_id(topic, household, revision)
        usual = {"person_id": f"p-{household}", "name_km": "សុខ", "name_latin": "Sok"}
        to = Payee.model_validate({**usual, "phone": phone_of(household), **payee})
        key_id, key = self._key(household)
        keys = Keys({})
        keys.add(key_id, key)
        blob = keys.seal(key_id, wire.dump(to), event_id=event_id, event_type=topic.name)
        data = HouseholdRegistered(
            household_id=household,
            revision=revision,
            commune="010203",
            area_type=AreaType.RURAL,
            level=Level.POOR_1,
            registered_by="office",
            channel=channel,
            persons=Sealed(key_id="k-2", blob=bytes(32)),
            payee=Sealed(key_id=key_id, blob=blob),
        )
        await self._emit(topic, data, event_id, household, revision)

    async def report(
        self, household: str, number: int = 1, state: PaymentState = PaymentState.ACCEPTED
    ) -> None:
        """What became of a payment."""
        sequence = 2 * number + 1 + 2 * (state is not PaymentState.ACCEPTED)
        data = PaymentUpdated(
            payment_id=f"{household}-{number}",
            household_id=household,
            cycle_id="covid-19-cash-transfer-2023-06",
            state=state,
            amount=176_000,
            partner="wing",
        )
        event_id = wire.event_id(topics.PAYMENT_UPDATED, household, sequence)
        await self._emit(topics.PAYMENT_UPDATED, data, event_id, household, sequence)

    async def send(self, record: Record) -> None:
        """Put a record on its topic, under this test's prefix."""
        await self.producer.send_and_wait(
            self.settings.topic_prefix + record.topic,
            value=record.value,
            key=record.key,
            headers=list(record.headers),
        )

    async def states(self) -> dict[str, int]:
        """How many SMS are in each state."""
        return {row[0]: row[1] for row in await self.db.fetch("select state, count(*) from sms group by 1")}

    async def ended(self, count: int) -> bool:
        """Whether that many SMS have ended, and all is published."""
        left = "select count(*) filter (where state not in ('queued', 'sending')) from sms"
        return (await self.db.fetchval(left), await all_published(self.db)) == (count, True)

    async def on(self, topic: Topic, contract: type[M]) -> list[Received[M]]:
        """Every event a topic holds once the outbox is empty."""
        found = await everything(self.settings, self.db, topic.name)
        return [wire.decode(contract, topic.name, r.key, r.value, r.headers) for r in found]

    async def get(self, path: str, **query: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.admin_token}"}
        async with httpx.AsyncClient(verify=False, base_url=self.url, headers=headers, timeout=60) as client:
            return await client.get(path, params=query)

    @asynccontextmanager
    async def running(self, **changes: object) -> AsyncIterator[None]:
        """The service in this process, with settings changed as told."""
        service = app.service(self.settings.model_copy(update=changes))
        async with service.running():
            self.url = service.url
            yield

    @asynccontextmanager
    async def process(self, **changes: object) -> AsyncIterator[asyncio.subprocess.Process]:
        """The service as a process of its own, killed in the end."""
        async with service_process("services.notifications.app", self.settings, **changes) as process:
            yield process

    def _key(self, household: str) -> tuple[str, bytes]:
        return self.keys.setdefault(household, new_key())

    async def _emit(self, topic: Topic, data: Contract, id: str, key: str, sequence: int = 1) -> None:
        cause = Cause("request-1", "request-1", TRACE)
        now = datetime.now(UTC)
        await self.send(wire.emit(topic, data, id=id, key=key, sequence=sequence, time=now, cause=cause))


def payment(payment_id: str, household: str, payee: Sealed) -> PaymentIssued:
    return PaymentIssued(
        payment_id=payment_id,
        programme="covid-19-cash-transfer",
        period="2023-06",
        household_id=household,
        purpose="social-transfer",
        attempt=1,
        cycle_id="covid-19-cash-transfer-2023-06",
        amount=176_000,
        partner="wing",
        commune="010203",
        revision=1,
        decision_id="d-1",
        withdraw_until=datetime.now(UTC).date() + timedelta(days=30),
        payee=payee,
    )


@pytest_asyncio.fixture
async def scene(
    gateway: Gateway, secrets: Secrets, service_settings: Callable[..., Awaitable[app.Settings]]
) -> AsyncIterator[Scene]:
    settings = await service_settings(
        app.Settings,
        "notifications",
        app.MIGRATIONS,
        gateway_url=gateway.url,
        gateway_user=USER,
        gateway_password_file=gateway.password_file,
        sms_sender=SENDER,
        sms_timeout_s=1.0,
        park_retry_s=0.05,
        relay_older_than_s=0.2,
        sample_ratio=1.0,
        sms_quiet_hours="none",
    )
    producer = AIOKafkaProducer(**as_admin(settings))
    await producer.start()
    db = await asyncpg.connect(settings.database)
    master = MasterKey.from_file(secrets.master_key)
    yield Scene(settings, producer, db, master, secrets.admin_token)
    await db.close()
    await producer.stop()
