"""Complaints through registration and notifications, on both databases, in every order and however often."""

import random
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asyncpg
import pytest
import pytest_asyncio

from contracts import topics, wire
from contracts.grievance import GrievanceOpened, GrievanceUpdated
from contracts.message import MessageKind, MessageReceived
from contracts.model import Contract
from contracts.wire import Cause, Received, Record
from postbox.callers import Caller
from postbox.message import Batch
from services.notifications import answers, store_messages
from services.notifications import app as notifications
from services.notifications.options import template_files
from services.notifications.store_messages import Message
from services.notifications.telling_complaints import Complaints
from services.notifications.wording import load
from services.registration import app as registration
from services.registration import complaints, handlers
from services.registration.complaints import Move
from services.registration.grievances import Verb
from services.registration.office import Office
from tests.conftest import MakeDatabase
from tonle.stack.secrets import Secrets
from vault import keyring
from vault.master import MasterKey

pytestmark = pytest.mark.stack

SEED, DRAWS = 20261129, 25
AT = datetime(2026, 1, 5, tzinfo=UTC)
STEPS = (Verb.ACKNOWLEDGE, Verb.TAKE, Verb.RESOLVE)
CLERK = Caller("clerk", frozenset({"household.grievances"}), "")
CONTRACTS: dict[str, type[Contract]] = {
    topics.GRIEVANCE_OPENED.name: GrievanceOpened,
    topics.GRIEVANCE_UPDATED.name: GrievanceUpdated,
}


@dataclass
class Town:
    """What both services keep, and the topics between them."""

    office: Office
    teller: Complaints
    registration: asyncpg.Connection
    notifications: asyncpg.Connection
    logs: dict[str, list[Received[Contract]]] = field(default_factory=dict)

    async def begin(self, messages: int) -> None:
        """So many complaints came by SMS: each was written down before its event was published."""
        self.logs = {topic.name: [] for topic in (topics.MESSAGE_RECEIVED, *_GRIEVANCES)}
        for number in range(messages):
            message_id = wire.uuid5(f"message/{number}")
            sender = answers.seal(self.teller.master, message_id, f"+8551234567{number}")
            kept = Message(message_id, "complaint", None, sender, None, "en", AT)
            await store_messages.add(self.notifications, kept)
            said = MessageReceived(message_id=message_id, kind=MessageKind.COMPLAINT)
            topic = topics.MESSAGE_RECEIVED
            self.logs[topic.name].append(
                Received(
                    said, wire.event_id(topic, message_id), topic.name, message_id, AT, 1, message_id, ""
                )
            )

    async def handle(self, topic: str, events: Sequence[Received[Contract]]) -> None:
        """One batch of one topic, by the service that listens."""
        batch: Batch[Received[Contract]] = Batch(list(events), AT)
        if topic == topics.MESSAGE_RECEIVED.name:
            told = await handlers.open_grievances(self.office, batch, self.registration)  # type: ignore[arg-type]
            self._publish(told)
        else:
            await self.teller.tell(batch, self.notifications)  # type: ignore[arg-type]
        assert batch.parked == []

    async def work(self, chance: random.Random) -> bool:
        """The office takes the next step with one of its grievances; whether there was one."""
        query = "select number, sequence from grievance where sequence <= $1 order by message_id"
        rows = await self.registration.fetch(query, len(STEPS))
        if not rows:
            return False
        number, done = chance.choice(rows)
        step = Move(number, STEPS[done - 1], "looked into", CLERK, AT, Cause("c", "c", ""))
        _, told = await complaints.move(self.registration, self.office.rulebook, step)
        self._publish(told)
        return True

    async def digest(self) -> object:
        """Grievances but for their numbers, which go by who comes first, and the SMS there are of them."""
        query = "select message_id, state, sequence from grievance order by 1"
        kept = [tuple(row) for row in await self.registration.fetch(query)]
        sms = await self.notifications.fetch("select sms_id, state from sms order by 1")
        return kept, [tuple(row) for row in sms]

    def _publish(self, told: Sequence[Record]) -> None:
        for each in told:
            event = wire.decode(CONTRACTS[each.topic], each.topic, each.key, each.value, each.headers)
            self.logs[each.topic].append(event)


_GRIEVANCES = (topics.GRIEVANCE_OPENED, topics.GRIEVANCE_UPDATED)


@pytest_asyncio.fixture
async def town(database: MakeDatabase, secrets: Secrets, tmp_path: object) -> AsyncIterator[Town]:
    master = MasterKey.from_file(secrets.master_key)
    ours = await asyncpg.connect(await database("notifications", notifications.MIGRATIONS))
    theirs = await asyncpg.connect(
        await database("registration", [keyring.MIGRATIONS, registration.MIGRATIONS])
    )
    office = Office(master, {}, registration.rulebook(), secrets.folder, 1, 1, 1)
    yield Town(office, Complaints(master, load(template_files()), None, ()), theirs, ours)
    await ours.close()
    await theirs.close()


async def in_order(town: Town, chance: random.Random) -> None:
    """Each topic whole and once, every step taken."""
    await town.handle(topics.MESSAGE_RECEIVED.name, town.logs[topics.MESSAGE_RECEIVED.name])
    while await town.work(chance):
        pass
    for topic in _GRIEVANCES:
        await town.handle(topic.name, town.logs[topic.name])


async def at_random(town: Town, chance: random.Random) -> None:
    """Batches of any size from any topic, what came before mixed in, and steps of the office in between."""
    done = dict.fromkeys(town.logs, 0)
    while await town.work(chance) if chance.random() < 0.4 else _undone(town, done):
        topic = chance.choice([*town.logs])
        log = town.logs[topic]
        again = chance.sample(log[: done[topic]], k=chance.randint(0, min(3, done[topic])))
        new = log[done[topic] : done[topic] + chance.randint(0, 3)]
        done[topic] += len(new)
        await town.handle(topic, [*again, *new])
    while await town.work(chance) or _undone(town, done):
        for topic in _undone(town, done):
            new = town.logs[topic][done[topic] :]
            done[topic] += len(new)
            await town.handle(topic, new)


def _undone(town: Town, done: dict[str, int]) -> list[str]:
    return [topic for topic, log in town.logs.items() if done[topic] < len(log)]


async def test_every_interleaving_opens_each_complaint_once_and_tells_each_step_once(town: Town) -> None:
    sys.stdout.write(f"seed {SEED}\n")
    chance, digests = random.Random(SEED), list[object]()
    for draw in range(DRAWS):
        ours, theirs = town.notifications.transaction(), town.registration.transaction()
        await ours.start()
        await theirs.start()
        await town.begin(3)
        await (at_random if draw else in_order)(town, chance)
        digests.append(await town.digest())
        await ours.rollback()
        await theirs.rollback()
    kept, sms = digests[0]  # type: ignore[misc]
    assert [each[1:] for each in kept] == [("resolved", 4)] * 3  # type: ignore[has-type]
    # Opened, acknowledged and resolved are told; who works on it is not.
    assert len(sms) == 9  # type: ignore[has-type]
    assert [each for each in digests if each != digests[0]] == []
