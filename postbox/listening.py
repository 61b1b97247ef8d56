"""The FastStream batch subscriber: raw records, every default that would lose or double one set otherwise."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from time import monotonic

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.message import FAKE_CONSUMER
from faststream.security import SASLScram256

from postbox.broker import Broker

HINT_EVERY_S = 1.0
MANY_RECORDS = 32
GATHER_EVERY_S = 0.05
QUIET_LOOKS = 4
"""So many looks in a row that find nothing say that nothing is on its way."""
Records = tuple[ConsumerRecord, ...]
Handle = Callable[[Sequence[ConsumerRecord], AIOKafkaConsumer], Awaitable[None]]


@dataclass(frozen=True)
class Polling:
    """How a service reads: group, batch size in records, and time-outs in milliseconds.

    A batch of `MANY_RECORDS` or more waits up to `gather_ms` for those that are on their way.
    """

    broker: Broker
    client_id: str
    group_id: str
    batch_records: int
    batch_timeout_ms: int
    session_timeout_ms: int
    max_poll_interval_ms: int
    gather_ms: int = 0


class Listener:
    """One consumer for all topics of a service; a batch is committed before the next is polled."""

    def __init__(self, topics: Sequence[str], polling: Polling, handle: Handle) -> None:
        self._handle = handle
        self._polling = polling
        self._hinted = 0.0
        self._broker = KafkaBroker(
            polling.broker.address,
            security=_security(polling.broker),
            client_id=polling.client_id,
            consumer_only=True,
            allow_auto_create_topics=False,
            apply_types=False,
            graceful_timeout=15.0,
            logger=None,
        )
        self._subscriber = self._broker.subscriber(
            *topics,
            batch=True,
            group_id=polling.group_id,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            max_records=polling.batch_records,
            batch_timeout_ms=polling.batch_timeout_ms,
            session_timeout_ms=polling.session_timeout_ms,
            heartbeat_interval_ms=polling.session_timeout_ms // 3,
            max_poll_interval_ms=polling.max_poll_interval_ms,
            partition_assignment_strategy=(RangePartitionAssignor,),
            fetch_max_wait_ms=100,
            parser=_parse,
            decoder=_decode,
        )
        self._subscriber(self._consume)

    @property
    def consumer(self) -> AIOKafkaConsumer | None:
        """The consumer, while it runs."""
        return self._subscriber.consumer

    async def start(self) -> None:
        """Join the group and begin to poll."""
        await self._broker.start()

    async def stop(self) -> None:
        """Finish the batch in hand and leave the group."""
        await self._broker.stop()

    async def _consume(self, records: Records) -> None:
        consumer = self._subscriber.consumer
        if consumer is None:
            return
        if len(records) >= MANY_RECORDS:
            records = (*records, *await self._gather(consumer, self._polling.batch_records - len(records)))
        await self._handle(records, consumer)
        # Committed offsets only tell monitors, and a new owner, where to look first.
        if monotonic() - self._hinted >= HINT_EVERY_S:
            self._hinted = monotonic()
            with suppress(KafkaError):
                await consumer.commit()

    async def _gather(self, consumer: AIOKafkaConsumer, most: int) -> list[ConsumerRecord]:
        """What comes while a busy service waits a little: many cost one batch little more than few."""
        gathered: list[ConsumerRecord] = []
        until, quiet = monotonic() + self._polling.gather_ms / 1000, 0
        with suppress(KafkaError):
            while len(gathered) < most and quiet < QUIET_LOOKS and (left := until - monotonic()) > 0:
                await asyncio.sleep(min(left, GATHER_EVERY_S))
                found = await consumer.getmany(max_records=most - len(gathered))
                gathered.extend(chain.from_iterable(found.values()))
                quiet = 0 if found else quiet + 1
        return gathered


def _security(broker: Broker) -> SASLScram256 | None:
    return None if broker.user is None else SASLScram256(broker.user, broker.password, use_ssl=False)


async def _parse(records: Records) -> KafkaMessage:
    # FastStream's own parser decodes headers, and one that is null or not UTF-8 would lose the whole batch.
    first = records[0]
    return KafkaMessage(
        body=b"",
        headers={},
        raw_message=records,
        message_id=f"{first.topic}-{first.partition}-{first.offset}",
        correlation_id="batch",
        consumer=FAKE_CONSUMER,
    )


async def _decode(message: KafkaMessage) -> Records:
    return message.raw_message
