"""What the publisher leaves behind where there is no broker."""

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError

from postbox.outbox import Publisher
from tonle.stack.process import free_port


async def test_a_producer_that_finds_no_broker_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[AIOKafkaProducer] = []
    stop = AIOKafkaProducer.stop

    async def noted(producer: AIOKafkaProducer) -> None:
        closed.append(producer)
        await stop(producer)

    monkeypatch.setattr(AIOKafkaProducer, "stop", noted)
    made: list[AIOKafkaProducer] = []

    def make() -> AIOKafkaProducer:
        made.append(AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{free_port()}"))
        return made[0]

    pool: asyncpg.Pool = asyncpg.create_pool()
    with pytest.raises(KafkaConnectionError):
        await Publisher(pool, make, "", frozenset()).start()
    assert closed == made
