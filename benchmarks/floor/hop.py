"""A bare process: positions, outbox, keys, and the loop around what it decides.

Each batch is one transaction that claims its positions; its records are one outbox row per source partition,
published after the commit and dropped with the next. What a crash left is published at the next start, and
consumers know it by its natural key. Not here: holds, parking, gaps in the log, replay, metrics, traces.
"""

import asyncio
import gc
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

import asyncpg
import msgpack
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.floor.wire import Event, Headers, M, Out, Outgoing
from contracts import wire
from contracts.household import HouseholdKeys, KeyPurpose
from contracts.topics import HOUSEHOLD_KEYS, Topic
from postbox import packing  # noqa: F401 - sets the level of Zstandard, for which aiokafka has no option
from postbox.broker import Broker
from postbox.listening import Listener, Polling
from vault.master import MasterKey

SCHEMA = """
create table if not exists position (
    topic text, partition int, next_offset bigint not null, told_offset bigint, primary key (topic, partition)
);
create table if not exists outbox (
    id bigint generated always as identity primary key, lane text not null, messages bytea not null
);
alter table outbox alter column messages set storage external;
create table if not exists household_key (
    key_id text primary key, household_id text not null, wrapped bytea not null
);
"""
Ciphers = Mapping[str, AESGCM]
Work = Callable[[list[Event[M]], Ciphers], Awaitable[Outgoing]]


class Service:
    """A process's connection, producer and master key; `settings` as the stack gives them to services."""

    db: asyncpg.Connection
    producer: AIOKafkaProducer

    def __init__(self, name: str, schema: str) -> None:
        self.name = name
        self.settings = {key.removeprefix("TONLE_").lower(): value for key, value in os.environ.items()}
        # No rule of the flow knows the groups of this prototype.
        admin = Path(self.settings["kafka_password_file"]).with_name("kafka-admin.password")
        self.broker = Broker(self.settings["kafka"], "admin", admin)
        self.master = MasterKey.from_file(Path(self.settings["master_key_file"]))
        self._schema = SCHEMA + schema
        self._published: list[int] = []

    async def start(self) -> None:
        """Connect, make the tables, publish what a crash left."""
        self.db = await self.connect()
        await self.db.execute(self._schema)
        self.producer = AIOKafkaProducer(
            **self.broker.options,
            enable_idempotence=True,
            compression_type="zstd",
            max_batch_size=1000 * 1000,
            max_request_size=4 * 1024 * 1024,
        )
        await self.producer.start()
        for row in await self.db.fetch("select id, messages from outbox order by id"):
            left = msgpack.unpackb(row["messages"], use_list=False, strict_map_key=False)
            await self.publish([(row["id"], left)])

    async def connect(self) -> asyncpg.Connection:
        """A connection to the service's own database."""
        return await asyncpg.connect(self.settings["database"])

    async def keep(self, lanes: Mapping[str, Outgoing]) -> list[tuple[int, Outgoing]]:
        """Put records in the outbox, one row a lane, and drop what was published before; in a transaction."""
        if self._published:
            await self.db.execute("delete from outbox where id = any($1)", self._published)
            self._published = []
        rows = await self.db.fetch(
            "insert into outbox (lane, messages) select * from unnest($1::text[], $2::bytea[]) returning id",
            list(lanes),
            [msgpack.packb(outgoing) for outgoing in lanes.values()],
        )
        return [(row["id"], outgoing) for row, outgoing in zip(rows, lanes.values(), strict=True)]

    async def publish(self, rows: Iterable[tuple[int, Outgoing]]) -> None:
        """Send these rows' records; they are dropped with the next batch's transaction."""
        sent = []
        for row_id, outgoing in rows:
            for (topic, partition), records in outgoing.items():
                sent += await self._send(topic, partition, records)
            self._published.append(row_id)
        await asyncio.gather(*sent)

    async def _send(
        self, topic: str, partition: int, records: Sequence[Out]
    ) -> "list[asyncio.Future[object]]":
        content = wire.JOSE if topic.startswith("partner.") else wire.JSON
        headers, sent = Headers(topic, self.name, content), []
        batch = self.producer.create_batch()
        for record in records:
            key, value, said = record[0], record[1], headers.of(record)
            if batch.append(timestamp=None, key=key, value=value, headers=said) is None:
                sent.append(await self.producer.send_batch(batch, topic, partition=partition))
                batch = self.producer.create_batch()
                batch.append(timestamp=None, key=key, value=value, headers=said)
        return [*sent, await self.producer.send_batch(batch, topic, partition=partition)]


@dataclass(frozen=True)
class Hop(Generic[M]):
    """One step: a batch of `topic` comes, `work` decides in its transaction, `then` calls the world after it.

    `key_ids` names the keys that events are sealed with: a batch waits for those that have not come yet. Keys
    of other `purposes` are not kept.
    """

    service: Service
    topic: Topic
    contract: type[M]
    key_ids: Callable[[M], Iterable[str]]
    work: Work[M]
    then: Work[M] | None = None
    purposes: Sequence[KeyPurpose] = (KeyPurpose.PAYEE,)

    async def run(self) -> None:
        """Listen until told to stop."""
        await self.service.start()
        keys_db = await self.service.connect()

        async def take(records: Sequence[ConsumerRecord], _: AIOKafkaConsumer) -> None:
            await self._take_keys(keys_db, records)

        listeners = [self._listener(HOUSEHOLD_KEYS, take), self._listener(self.topic, self._handle)]
        for listener in listeners:
            await listener.start()
        while True:
            if all(each.consumer and each.consumer.assignment() for each in listeners):
                break
            await asyncio.sleep(0.02)
        await until_stopped(self.service)
        for listener in listeners:
            await listener.stop()

    def _listener(
        self, topic: Topic, handle: Callable[[Sequence[ConsumerRecord], AIOKafkaConsumer], Awaitable[None]]
    ) -> Listener:
        group = f"{self.service.name}/{topic.name}"
        polling = Polling(
            broker=self.service.broker,
            client_id=group,
            group_id=group,
            batch_records=1000,
            batch_timeout_ms=20,
            session_timeout_ms=10_000,
            max_poll_interval_ms=300_000,
        )
        return Listener([topic.name], polling, handle)

    async def _take_keys(self, db: asyncpg.Connection, records: Sequence[ConsumerRecord]) -> None:
        told = [wire.load(HouseholdKeys, each.value) for each in records]
        keys = [
            (key.key_id, said.household_id, key.wrapped)
            for said in told
            for key in said.keys
            if key.purpose in self.purposes
        ]
        await db.execute(
            "insert into household_key select * from unnest($1::text[], $2::text[], $3::bytea[])"
            " on conflict do nothing",
            *columns(sorted(keys), 3),
        )

    async def _ciphers(self, key_ids: list[str]) -> Ciphers:
        query = "select key_id, household_id, wrapped from household_key where key_id = any($1)"
        while True:
            rows = await self.service.db.fetch(query, key_ids)
            if len(rows) == len(key_ids):
                break
            await asyncio.sleep(0.005)
        unwrap = self.service.master.unwrap
        return {
            key_id: AESGCM(unwrap(wrapped, bound_to=f"{household_id}/{key_id}"))
            for key_id, household_id, wrapped in rows
        }

    async def _handle(self, records: Sequence[ConsumerRecord], _: AIOKafkaConsumer) -> None:
        service, db = self.service, self.service.db
        events = [Event(self.contract, record) for record in records]
        ciphers = await self._ciphers([key_id for each in events for key_id in self.key_ids(each.data)])
        async with db.transaction():
            events = await self._claim(events)
            rows = await service.keep(_lanes(await self.work(events, ciphers)))
        if self.then is not None:
            outgoing = await self.then(events, ciphers)
            async with db.transaction():
                await db.execute(
                    "update position set told_offset = next_offset where topic = $1", self.topic.name
                )
                rows = await service.keep(_lanes(outgoing))
        await service.publish(rows)

    async def _claim(self, events: Sequence[Event[M]]) -> list[Event[M]]:
        """What was not done yet; its positions are locked now, and moved behind it."""
        ends = {event.partition: event.offset + 1 for event in events}
        rows = await self.service.db.fetch(
            "insert into position as p (topic, partition, next_offset)"
            " select $1, * from unnest($2::int[], $3::bigint[]) on conflict (topic, partition)"
            " do update set next_offset = greatest(p.next_offset, excluded.next_offset)"
            " returning partition, coalesce(old.next_offset, 0)",
            self.topic.name,
            *columns(sorted(ends.items()), 2),
        )
        done = dict(map(tuple, rows))
        return [event for event in events if event.offset >= done[event.partition]]


def columns(rows: Sequence[Sequence[object]], count: int) -> list[list[object]]:
    """Rows as the arrays that `unnest` takes; there may be none."""
    return [[row[at] for row in rows] for at in range(count)]


def _lanes(outgoing: Outgoing) -> dict[str, Outgoing]:
    """By source partition: its number is that of the partition where the records go."""
    lanes: dict[str, Outgoing] = {}
    for place, records in sorted(outgoing.items()):
        lanes.setdefault(str(place[1]), {})[place] = records
    return lanes


async def until_stopped(service: Service, told: Callable[[str], Awaitable[None]] | None = None) -> None:
    """Answer on the port that the stack gave: all is ready. A line that is sent to it goes to `told`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readline()).decode().strip()
        if line and told is not None:
            await told(line)
        writer.close()

    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    server = await asyncio.start_server(answer, "127.0.0.1", int(service.settings["port"]))
    await stopping.wait()
    server.close()


def run(main: Coroutine[None, None, None]) -> None:
    """Run a process's `main`."""
    uvloop.run(main)
