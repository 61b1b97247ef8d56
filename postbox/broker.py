"""How a client reaches the broker, by which user it is known, and how it leaves."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient


@dataclass(frozen=True)
class Broker:
    """`password_file` holds the password of `user`; without a user the broker must ask for none."""

    address: str
    user: str | None = None
    password_file: Path | None = None

    @property
    def options(self) -> dict[str, str]:
        """Keyword arguments of every aiokafka client. Raises OSError where the password can't be read."""
        if self.user is None:
            return {"bootstrap_servers": self.address}
        return {
            "bootstrap_servers": self.address,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-256",
            "sasl_plain_username": self.user,
            "sasl_plain_password": self.password,
        }

    @property
    def password(self) -> str:
        """The text of the file."""
        return self.password_file.read_text().strip() if self.password_file else ""


async def partition_counts(broker: Broker, topics: Sequence[str]) -> dict[str, int]:
    """How many partitions each topic has; 0 for one that does not exist. Raises KafkaError."""
    admin = AIOKafkaAdminClient(**broker.options)
    try:
        await admin.start()
        return {each["topic"]: len(each["partitions"]) for each in await admin.describe_topics(list(topics))}
    finally:
        await admin.close()


async def log_ends(broker: Broker, topic: str) -> dict[int, int]:
    """The offset that the next record of each of a topic's partitions will get. Raises KafkaError."""
    admin, consumer = AIOKafkaAdminClient(**broker.options), AIOKafkaConsumer(**broker.options)
    try:
        await admin.start()
        (described,) = await admin.describe_topics([topic])
        await consumer.start()
        places = [TopicPartition(topic, each["partition"]) for each in described["partitions"]]
        return {place.partition: end for place, end in (await consumer.end_offsets(places)).items()}
    finally:
        await admin.close()
        await stop(consumer)


async def stop(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Stop a client in a task of its own: where one of aiokafka's tasks had not begun, its cancellation comes
    out of `stop()`, and would end the caller's task as if that had been cancelled.
    """
    stopping = asyncio.create_task(client.stop())
    await asyncio.wait({stopping})
    if not stopping.cancelled():
        stopping.result()
