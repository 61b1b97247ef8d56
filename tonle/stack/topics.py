"""Creates every topic of the flow in one call."""

import asyncio
import time
from collections.abc import Sequence

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from contracts import topics
from contracts.topics import Topic
from postbox.broker import Broker
from tonle.stack.errors import StackError

SERVICES = ("registration", "eligibility", "payments", "notifications")
PARTNERS = ("wing",)
BANKS = ("acleda",)  # partners told by files
CALLED = ("truemoney",)  # partners told over HTTP
SERVED = BANKS + CALLED  # payments reads their topic for them
MINISTRIES = ("health", "labour", "planning")
MESSAGE_BYTES_MAX = 1024 * 1024
DEAD_LETTER_BYTES_MAX = 4 * MESSAGE_BYTES_MAX  # a dead letter is the message and its reasons
VISIBLE_S_MAX = 30
_ALREADY_EXISTS = 36


def flow(partners: Sequence[str] = PARTNERS) -> list[Topic]:
    """Every topic with a contract, those of each partner included."""
    between = (topics.partner_instruction, topics.partner_report)
    served = (topics.partner_instruction(name, "payments") for name in SERVED)
    return [*topics.TOPICS, *(topic(partner) for partner in partners for topic in between), *served]


def plan(*, prefix: str, partitions: int, partners: Sequence[str] = PARTNERS) -> list[NewTopic]:
    """All topics with their settings: business topics never expire, the key topic is compacted.

    What somebody outside reads or writes is kept uncompressed: not every client knows our codec.
    """
    business = [
        NewTopic(
            f"{prefix}{topic.name}",
            partitions,
            1,
            topic_configs={
                "cleanup.policy": "compact" if topic.compacted else "delete",
                "retention.ms": "-1",
                "max.message.bytes": str(MESSAGE_BYTES_MAX),
                "compression.type": "producer" if _is_ours(topic) else "uncompressed",
            },
        )
        for topic in flow(partners)
    ]
    dead_letters = [
        NewTopic(
            f"{prefix}{topics.dead_letter(service)}",
            1,
            1,
            topic_configs={"retention.ms": "-1", "max.message.bytes": str(DEAD_LETTER_BYTES_MAX)},
        )
        for service in SERVICES
    ]
    return business + dead_letters


def _is_ours(topic: Topic) -> bool:
    return {topic.producer, *topic.consumers} <= {*SERVICES}


async def create(
    broker: Broker, *, prefix: str = "", partitions: int = 4, partners: Sequence[str] = PARTNERS
) -> list[str]:
    """Create what does not exist yet, wait until all can be written to, and return all their names.

    A topic that exists keeps its partitions: `partitions` is for new ones. Raises `StackError`.
    """
    wanted = plan(prefix=prefix, partitions=partitions, partners=partners)
    admin = AIOKafkaAdminClient(**broker.options)
    await admin.start()
    try:
        answer = await admin.create_topics(wanted)
        for name, code, *text in answer.topic_errors:
            if code not in (0, _ALREADY_EXISTS):
                raise StackError(f"Kafka refused to create {name}: {text}.", "See Kafka's log.")
        names = [topic.name for topic in wanted]
        await _wait_until_visible(admin, names)
        return names
    finally:
        await admin.close()


async def delete(broker: Broker, names: Sequence[str]) -> None:
    """Delete topics; for tests, whose topics would pile up in the session's broker."""
    admin = AIOKafkaAdminClient(**broker.options)
    await admin.start()
    try:
        await admin.delete_topics(list(names))
    finally:
        await admin.close()


async def _wait_until_visible(admin: AIOKafkaAdminClient, names: Sequence[str]) -> None:
    deadline = time.monotonic() + VISIBLE_S_MAX
    while True:
        found = await admin.describe_topics(list(names))
        if all(t["error_code"] == 0 and all(p["leader"] >= 0 for p in t["partitions"]) for t in found):
            return
        if time.monotonic() > deadline:
            raise StackError("Kafka created the topics but does not show them.", "See Kafka's log.")
        await asyncio.sleep(0.05)
