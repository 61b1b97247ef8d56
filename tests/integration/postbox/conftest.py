"""A counting service on its own topics and database."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
import httpx
import pytest_asyncio
from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from postbox.service import Service, ServiceSettings
from tests.broker import admin, all_published, as_admin, whole
from tests.faults import counting
from tonle.stack.secrets import Secrets
from tonle.stack.supervisor import Stack

Headers = Sequence[tuple[str, bytes | None]]
TOPICS = (counting.ADDED, counting.ANSWERED, counting.COUNTED, "counting.dead-letter.v1")


@dataclass
class Scene:
    """What a test does with the service and sees of it."""

    settings: ServiceSettings
    producer: AIOKafkaProducer
    db: asyncpg.Connection
    admin_token: str
    sent: int = 0
    service: Service = field(init=False)

    async def send(
        self,
        value: bytes | None,
        key: bytes | None = b"k",
        headers: Headers = (),
        topic: str = counting.ADDED,
    ) -> None:
        await self.producer.send_and_wait(
            self.settings.topic_prefix + topic, value=value, key=key, headers=list(headers)
        )
        self.sent += topic == counting.ADDED

    async def add(self, id: int, amount: int = 1, key: str = "k", **more: object) -> None:
        await self.send(json.dumps({"id": id, "amount": amount, **more}).encode(), key.encode())

    @asynccontextmanager
    async def running(self, *, holds: bool = True) -> AsyncIterator[Service]:
        self.service = counting.build(self.settings, holds=holds)
        async with self.service.running() as service:
            yield service

    async def all_done(self) -> bool:
        done = await self.db.fetchval(
            "select coalesce(sum(next_offset), 0) from position where topic like '%' || $1", counting.ADDED
        )
        return bool(done == self.sent) and await all_published(self.db)

    async def effects(self) -> list[int]:
        return [row["id"] for row in await self.db.fetch("select id from effect order by id")]

    async def parked(self) -> list[tuple[str, str]]:
        rows = await self.db.fetch("select handling, reason from parked order by id")
        return [(row["handling"], row["reason"]) for row in rows]

    async def on(self, topic: str) -> list[ConsumerRecord]:
        """Everything a topic holds now."""
        return await whole(admin(self.settings), self.settings.topic_prefix + topic)

    async def call(self, method: str, path: str, body: object = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.admin_token}"}
        async with httpx.AsyncClient(
            verify=False, base_url=self.service.url, headers=headers, timeout=60
        ) as client:
            return await client.request(method, path, json=body)


@pytest_asyncio.fixture
async def scene(
    stack: Stack,
    secrets: Secrets,
    topic_prefix: str,
    service_settings: Callable[..., Awaitable[ServiceSettings]],
) -> AsyncIterator[Scene]:
    settings = await service_settings(
        ServiceSettings,
        "registration",
        [counting.MIGRATIONS],
        park_retry_s=0.05,
        relay_older_than_s=0.2,
        watch_every_s=0.2,
        kafka_user="admin",  # no service has the counting topics
        kafka_password_file=secrets.kafka_password_file("admin"),
    )
    admin = AIOKafkaAdminClient(**as_admin(settings))
    await admin.start()
    names = [topic_prefix + topic for topic in TOPICS]
    large = {"max.message.bytes": str(4 * 1024 * 1024)}
    await admin.create_topics([NewTopic(name, 2, 1, topic_configs=large) for name in names])
    producer = AIOKafkaProducer(**as_admin(settings), max_request_size=4 * 1024 * 1024)
    await producer.start()
    db = await asyncpg.connect(settings.database)
    yield Scene(settings, producer, db, secrets.admin_token_file.read_text().strip())
    await db.close()
    await producer.stop()
    await admin.delete_topics(names)
    await admin.close()
