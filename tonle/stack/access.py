"""Who may do what on the broker: its users, and their rules as `contracts/topics.py` has them. Pure."""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from contracts import topics
from tonle.stack.topics import MINISTRIES, PARTNERS, SERVICES, flow

ADMIN = "admin"  # may do everything; the broker itself, the stack, and nobody else
AUDITOR = "auditor"  # reads every topic; `tonle topics` and `tonle check`
EVERY = "*"


class Resource(IntEnum):
    """Kafka's own numbers."""

    TOPIC = 2
    GROUP = 3


class Operation(IntEnum):
    """Kafka's own numbers. Reading and writing imply describing."""

    READ = 3
    WRITE = 4
    DESCRIBE = 8


class Rule(NamedTuple):
    """One user may do one thing with one topic or group; what no rule allows is refused."""

    user: str
    operation: Operation
    resource: Resource
    name: str


def partner(name: str) -> str:
    """The user that a payment partner is."""
    return f"partner-{name}"


def ministry(name: str) -> str:
    """The user that a ministry is, which households are referred to."""
    return f"{topics.MINISTRY}-{name}"


def users(partners: Sequence[str] = PARTNERS) -> tuple[str, ...]:
    """Everybody the broker lets in."""
    return (ADMIN, AUDITOR, *SERVICES, *map(partner, partners), *map(ministry, MINISTRIES))


def rules(prefix: str, partners: Sequence[str] = PARTNERS) -> frozenset[Rule]:
    """A topic's producer writes it and its consumers read it, each service as one group; no one else may.

    A service also writes its own dead letters. The auditor reads all and writes nothing.
    """
    known: dict[str, tuple[str, ...]] = {topics.MINISTRY: tuple(map(ministry, MINISTRIES))}
    known.update({name: (partner(name),) for name in partners})
    known.update({name: (name,) for name in SERVICES})
    found = set()
    for topic in flow(partners):
        name = prefix + topic.name
        found |= {Rule(user, Operation.WRITE, Resource.TOPIC, name) for user in known[topic.producer]}
        found.add(Rule(AUDITOR, Operation.READ, Resource.TOPIC, name))
        for consumer in topic.consumers:
            found |= {Rule(user, Operation.READ, Resource.TOPIC, name) for user in known[consumer]}
            if consumer in SERVICES:  # a partner or ministry needs no group
                found.add(Rule(consumer, Operation.READ, Resource.GROUP, prefix + consumer))
    for service in SERVICES:
        name = prefix + topics.dead_letter(service)
        found.add(Rule(service, Operation.WRITE, Resource.TOPIC, name))
        found.add(Rule(AUDITOR, Operation.READ, Resource.TOPIC, name))
    found.add(Rule(AUDITOR, Operation.DESCRIBE, Resource.GROUP, EVERY))
    return frozenset(found)
