"""Looks at a running stack from outside: CPU time and memory of each process, messages in each topic."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts import topics
from tonle.monitor import flow_topics
from tonle.stack.access import AUDITOR
from tonle.stack.state import StackState

MB = 1024 * 1024
HOPS = {
    "registered": topics.HOUSEHOLD_REGISTERED.name,
    "scored": topics.ELIGIBILITY_SCORED.name,
    "issued": topics.PAYMENT_ISSUED.name,
    "updated": topics.PAYMENT_UPDATED.name,
    "SMS sent": topics.SMS_SENT.name,
}
"""What a household leaves behind on its way, and the topic that counts it."""


@dataclass(frozen=True)
class Look:
    """One look, `seconds` after the watch began.

    `cpu_s` since each process began and `rss_mb` now, by process; `postgres_payments` is what PostgreSQL does
    for payments, a part of `postgres`. `messages` by topic, since there is that topic.
    """

    seconds: float
    cpu_s: Mapping[str, float]
    rss_mb: Mapping[str, float]
    messages: Mapping[str, int]


class Watch:
    """Use as an asynchronous context; a look takes milliseconds, none of them in services or database."""

    def __init__(self, stack: StackState) -> None:
        self._stack = stack
        self._began = time.monotonic()
        self._backends: dict[tuple[str, int], float] = {}
        self._consumer = AIOKafkaConsumer(**stack.kafka.broker(AUDITOR).options, group_id=None)

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        self._began = time.monotonic()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def look(self) -> Look:
        """What each process has used until now, and how far the messages are."""
        messages = await self._messages()
        cpu_s, rss_mb = dict[str, float](), dict[str, float]()
        for name, part in self._stack.parts().items():
            if part.pid is None:
                continue
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(part.pid)
                cpu_s[name] = _cpu_s(process)
                rss_mb[name] = process.memory_info().rss / MB
                if name == "postgres":
                    backends = process.children()
                    cpu_s[name] += sum(map(_cpu_s, backends))
                    cpu_s |= self._by_role(backends)
        return Look(time.monotonic() - self._began, cpu_s, rss_mb, messages)

    async def _messages(self) -> dict[str, int]:
        prefix = self._stack.topic_prefix
        places = [
            TopicPartition(prefix + topic, partition)
            for topic in flow_topics()
            for partition in range(1 if ".dead-letter." in topic else self._stack.partitions)
        ]
        counted: dict[str, int] = {}
        for place, end in (await self._consumer.end_offsets(places)).items():
            name = place.topic.removeprefix(prefix)
            counted[name] = counted.get(name, 0) + end
        return counted

    def _by_role(self, backends: Sequence[psutil.Process]) -> dict[str, float]:
        """What backends used, by the service they serve; those that have ended count as last seen."""
        for backend in backends:
            with suppress(psutil.NoSuchProcess):
                role = next(iter(" ".join(backend.cmdline()).removeprefix("postgres: ").split()), "")
                if role in self._stack.services:
                    self._backends[role, backend.pid] = _cpu_s(backend)
        used: dict[str, float] = {}
        for (role, _), cpu_s in self._backends.items():
            used[f"postgres_{role}"] = used.get(f"postgres_{role}", 0.0) + cpu_s
        return used


def used_cpu_s(looks: Sequence[Look]) -> dict[str, float]:
    """CPU seconds by process between the first and the last look."""
    return {name: used - looks[0].cpu_s.get(name, 0.0) for name, used in looks[-1].cpu_s.items()}


def whole(by_process: Mapping[str, float]) -> float:
    """The sum over processes; PostgreSQL's share by service is in PostgreSQL's own."""
    return sum(value for name, value in by_process.items() if not name.startswith("postgres_"))


def rss_mb_most(looks: Sequence[Look], name: str) -> float:
    """The most memory that a process held at any look, in megabytes."""
    return max((look.rss_mb.get(name, 0.0) for look in looks), default=0.0)


def rss_mb_growth(looks: Sequence[Look], name: str) -> float:
    """How much more a process held at most in the second half of the time than in the first; flat is 0."""
    half = (looks[0].seconds + looks[-1].seconds) / 2
    first = [look for look in looks if look.seconds <= half]
    second = [look for look in looks if look.seconds > half]
    return rss_mb_most(second, name) - rss_mb_most(first, name) if second else 0.0


def progress(looks: Sequence[Look], since: Look) -> str:
    """How many households have come how far since the first look, and per second since another."""
    first, now = looks[0], looks[-1]
    span = max(now.seconds - since.seconds, 0.001)
    return "  ".join(_hops(first, since, now, span))


def _hops(first: Look, since: Look, now: Look, span: float) -> Iterator[str]:
    for name, topic in HOPS.items():
        done = now.messages[topic] - first.messages[topic]
        yield f"{name} {done:>7,} {(now.messages[topic] - since.messages[topic]) / span:>6,.0f}/s"


def _cpu_s(process: psutil.Process) -> float:
    """Its own and its ended children's; 0 when it is gone."""
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0
