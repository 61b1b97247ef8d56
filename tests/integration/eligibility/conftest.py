"""Eligibility on real topics and a real database, with registration and payments played by the test."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
import httpx
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from contracts import topics, wire
from contracts.eligibility import EligibilityScored
from contracts.household import DataKey, HouseholdKeys, KeyPurpose, KeyState
from contracts.wire import Cause, Received, Record
from postbox.service import Service
from services.eligibility import app
from services.eligibility.app import EligibilitySettings
from tests.broker import all_published, as_admin, everything
from tests.conftest import MakeSettings
from tests.unit.eligibility.samples import START, TRACE, Event, Sealer, key_of
from tonle.stack.secrets import Secrets
from vault.master import MasterKey

_TOPICS = {
    each.name: each
    for each in (
        topics.HOUSEHOLD_REGISTERED,
        topics.HOUSEHOLD_EXITED,
        topics.CYCLE_CHANGED,
        topics.CONDITION_REPORTED,
    )
}


@dataclass
class Scene:
    """What a test tells eligibility, and what it sees of it."""

    settings: EligibilitySettings
    producer: AIOKafkaProducer
    db: asyncpg.Connection
    master: MasterKey
    admin_token: str
    sealer: Sealer = field(default_factory=Sealer)
    service: Service = field(init=False)

    @asynccontextmanager
    async def running(self, **changes: object) -> AsyncIterator["Scene"]:
        """The service in this process, with settings changed as told."""
        async with app.service(self.settings.model_copy(update=changes)).running() as self.service:
            yield self

    def key(self, household_id: str, purpose: KeyPurpose, state: KeyState = KeyState.ACTIVE) -> DataKey:
        """A household's key as registration tells it."""
        key_id = f"{household_id}-{purpose}"
        active = state is KeyState.ACTIVE
        wrapped = self.master.wrap(key_of(key_id), bound_to=f"{household_id}/{key_id}")
        return DataKey(
            key_id=key_id,
            purpose=purpose,
            state=state,
            master_key_id=self.master.id if active else None,
            wrapped=wrapped if active else None,
        )

    async def tell_keys(
        self,
        household_id: str,
        state: KeyState = KeyState.ACTIVE,
        purposes: Sequence[KeyPurpose] = tuple(KeyPurpose),
    ) -> None:
        """Announce keys of a household."""
        keys = tuple(self.key(household_id, purpose, state) for purpose in purposes)
        topic, data = topics.HOUSEHOLD_KEYS, HouseholdKeys(household_id=household_id, keys=keys)
        known_as = wire.event_id(topic, household_id, state, *purposes)
        cause = Cause("request", "request", TRACE)
        await self.send(
            wire.emit(topic, data, id=known_as, key=household_id, sequence=1, time=START, cause=cause)
        )

    async def tell(self, *events: Event) -> None:
        """Put events on their topics, as they are."""
        for event in events:
            await self.send(
                wire.emit(
                    _TOPICS[event.type],
                    event.data,
                    id=event.id,
                    key=event.key,
                    sequence=event.sequence,
                    time=event.time,
                    cause=Cause("request", event.correlation_id, event.traceparent),
                )
            )

    async def register(self, *household_ids: str) -> None:
        """Households of the press case, with their keys."""
        for household_id in household_ids:
            await self.tell_keys(household_id)
            await self.tell(self.sealer.registered(household_id))

    async def counts(self, **expected: int) -> bool:
        """Whether the summary says this, and all is published."""
        summary = (await self.get("/summary")).json()
        published = await all_published(self.db)
        return published and {name: summary[name] for name in expected} == expected

    async def scored(self) -> list[Received[EligibilityScored]]:
        """Every event told so far, by household and sequence."""
        name = topics.ELIGIBILITY_SCORED.name
        records = await everything(self.settings, self.db, name)
        found = [wire.decode(EligibilityScored, name, r.key, r.value, r.headers) for r in records]
        return sorted(found, key=lambda each: (each.key, each.sequence))

    async def get(self, path: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.admin_token}"}
        async with httpx.AsyncClient(
            verify=False, base_url=self.service.url, headers=headers, timeout=60
        ) as client:
            return await client.get(path)

    async def post(self, path: str, body: object, token: str = "") -> httpx.Response:
        headers = {"Authorization": f"Bearer {token or self.admin_token}"}
        async with httpx.AsyncClient(
            verify=False, base_url=self.service.url, headers=headers, timeout=60
        ) as client:
            return await client.post(path, json=body)

    async def send(self, record: Record) -> None:
        """Put a record on its topic."""
        await self.producer.send_and_wait(
            self.settings.topic_prefix + record.topic,
            value=record.value,
            key=record.key,
            headers=list(record.headers),
        )


@pytest_asyncio.fixture
async def scene(secrets: Secrets, service_settings: MakeSettings) -> AsyncIterator[Scene]:
    settings = await service_settings(
        EligibilitySettings,
        "eligibility",
        app.MIGRATIONS,
        park_retry_s=0.05,
        relay_older_than_s=0.2,
        sample_ratio=1.0,
    )
    producer = AIOKafkaProducer(**as_admin(settings))
    await producer.start()
    db = await asyncpg.connect(settings.database)
    yield Scene(settings, producer, db, MasterKey.from_file(secrets.master_key), secrets.admin_token)
    await db.close()
    await producer.stop()
