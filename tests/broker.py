"""Tests send as anybody and read everything: they are the broker's admin."""

from dataclasses import replace

import asyncpg
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaConnectionError

from postbox.broker import Broker
from postbox.service import ServiceSettings
from tests.waiting import until
from tonle.checking import told


def as_admin(settings: ServiceSettings) -> dict[str, str]:
    """What a client is told to be the admin of the broker that these settings name."""
    return admin(settings).options


async def unheard(*_: object, **__: object) -> int:
    """What publishing does while the broker is away."""
    raise KafkaConnectionError


async def all_published(db: asyncpg.Connection) -> bool:
    """Whether an outbox is empty."""
    return bool(await db.fetchval("select not exists (select from outbox where published_at is null)"))


async def published(db: asyncpg.Connection) -> None:
    """Wait until an outbox is empty: what was done is told a moment after its tables show it."""
    await until(lambda: all_published(db))


async def everything(settings: ServiceSettings, db: asyncpg.Connection, topic: str) -> list[ConsumerRecord]:
    """All that `topic`, without its prefix, holds once the outbox is empty, each partition in order."""
    await published(db)
    return await whole(admin(settings), settings.topic_prefix + topic)


async def whole(broker: Broker, topic: str) -> list[ConsumerRecord]:
    """All that a topic holds now, each partition in order."""
    return [record async for batch in told.whole(broker, topic) for record in batch]


def admin(settings: ServiceSettings) -> Broker:
    """The broker that these settings name, as its admin."""
    mine = settings.broker
    assert mine.password_file is not None
    return replace(mine, user="admin", password_file=mine.password_file.with_name("kafka-admin.password"))
