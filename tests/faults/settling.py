"""Waiting until nothing is on its way any more, and counting what would be left in limbo."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from contracts import topics
from postbox.errors import DATABASE_AWAY
from tests.faults.plan import LISTENING, SERVICES
from tests.faults.world import World
from tonle.stack.topics import PARTNERS

STILL_S_MAX = 120.0
OVERALL_S_MAX = 900.0
_EVERYWHERE = {
    "unpublished": "select coalesce(sum(message_count), 0) from outbox where published_at is null",
    "set aside": "select count(*) from parked where handling <> 'park'",
    "held": "select count(*) from hold where not exists (select from parked p where p.key = hold.key)",
    "stopped": "select count(*) from position where stopped is not null",
}
_OF = {
    "registration": {"imports": "select count(*) from import where state in ('waiting', 'running')"},
    "eligibility": {"caseloads": "select count(*) from caseload where finished_at is null"},
    "payments": {
        "payments": "select count(*) from payment where state in ('issued', 'accepted', 'unknown')",
        "neither paid nor waiting": "select count(*) from every_decision d where outcome = 'eligible'"
        " and cycle_id is not null and waiting is null"
        " and not exists (select from payment p where p.household_id = d.household_id"
        " and p.programme = d.programme and p.period = d.period)",
    },
    "notifications": {"sms": "select count(*) from sms where state in ('queued', 'sending')"},
}


async def limbo(world: World) -> dict[str, int]:
    """What is neither handled, parked nor waiting, by kind; empty when all is at rest."""
    found = {f"{service}: not read": count for service, count in (await _unread(world)).items()}
    for service in SERVICES:
        db = await world.connect(service)
        try:
            for what, query in {**_EVERYWHERE, **_OF[service]}.items():
                found[f"{service}: {what}"] = int(await db.fetchval(query))
        finally:
            await db.close()
    return {name: count for name, count in found.items() if count}


async def settle(world: World, say: Callable[[str], None]) -> dict[str, int]:
    """Until all is at rest, or nothing has moved for a while; returns what is left."""
    before: Mapping[str, int] = {}
    began = moved = time.monotonic()
    while True:
        left: dict[str, int] = {"not known": 1}
        with suppress(*DATABASE_AWAY, KafkaError):
            left = await limbo(world)
        now = time.monotonic()
        if left != before:
            moved, before = now, left
            say(", ".join(f"{name} {count}" for name, count in left.items()) or "at rest")
        if not left or now - moved > STILL_S_MAX or now - began > OVERALL_S_MAX:
            return left
        await asyncio.sleep(1)


async def _unread(world: World) -> dict[str, int]:
    """Records behind which a service's positions stand."""
    consumer = AIOKafkaConsumer(**world.broker.options, group_id=None)
    await consumer.start()
    try:
        unread = {}
        for service in LISTENING:
            db = await world.connect(service)
            rows = await db.fetch("select topic, partition, next_offset from position")
            await db.close()
            stood = {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}
            places = [
                TopicPartition(topic, partition)
                for topic in _read_by(service)
                for partition in range(world.state.partitions)
            ]
            ends = await consumer.end_offsets(places)
            unread[service] = sum(max(0, end - stood.get(place, 0)) for place, end in ends.items())
        return unread
    finally:
        await consumer.stop()


def _read_by(service: str) -> list[str]:
    reports = [topics.partner_report(partner).name for partner in PARTNERS] if service == "payments" else []
    return [*(topic.name for topic in topics.TOPICS if service in topic.consumers), *reports]
