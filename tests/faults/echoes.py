"""Duplicates and delays: old records of business topics come again at the end of their log, byte for byte."""

import asyncio
from collections.abc import Sequence
from random import Random

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from postbox.broker import Broker

AT_ONCE = (1, 25)
PAUSE_S = (0.2, 1.2)


class Echoes:
    """Repeats records, seeded, until cancelled; `count` is how many came again."""

    def __init__(self, kafka: Broker, topics: Sequence[str], seed: int) -> None:
        self.count = 0
        self._kafka = kafka
        self._topics = topics
        self._random = Random(f"echoes/{seed}")

    async def run(self) -> None:
        """While the broker is away it waits."""
        while True:
            consumer = AIOKafkaConsumer(**self._kafka.options, group_id=None, enable_auto_commit=False)
            producer = AIOKafkaProducer(**self._kafka.options, acks="all", request_timeout_ms=5000)
            try:
                await consumer.start()
                await producer.start()
                while True:
                    await self._repeat(consumer, producer)
                    await asyncio.sleep(self._random.uniform(*PAUSE_S))
            except (KafkaError, OSError, TimeoutError):
                await asyncio.sleep(1)
            finally:
                await asyncio.gather(consumer.stop(), producer.stop(), return_exceptions=True)

    async def _repeat(self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        topic = self._random.choice(self._topics)
        partitions = sorted(await producer.partitions_for(topic))
        place = TopicPartition(topic, self._random.choice(partitions))
        most = self._random.randint(*AT_ONCE)
        async with asyncio.timeout(10):
            end = (await consumer.end_offsets([place]))[place]
            if not end:
                return
            consumer.assign([place])
            consumer.seek(place, self._random.randrange(end))
            found = await consumer.getmany(place, timeout_ms=500, max_records=most)
            for record in found.get(place, []):
                await producer.send_and_wait(
                    topic, record.value, record.key, partition=place.partition, headers=list(record.headers)
                )
                self.count += 1
