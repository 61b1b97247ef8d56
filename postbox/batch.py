"""The loop: consume a batch, decide in one transaction, and hand over what it says to be published."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from postbox import outbox, parking, positions
from postbox.courier import Courier
from postbox.errors import BEHIND, handling_of, is_transient, reason_of
from postbox.message import Batch, Connection, Event, Outgoing, Raw, Subscription
from postbox.parking import Set
from postbox.positions import Place, Position
from postbox.reading import Message, read_all, set_aside, shares, tables_first
from postbox.telemetry import Metrics, Tracing

log = logging.getLogger(__name__)

AHEAD_S_MOST = 5.0
AHEAD_RECORDS_MOST = 5000
# A stopped process must not block its successor: the server ends its transaction before others give up.
GUARDS = {"idle_in_transaction_session_timeout": "8000", "lock_timeout": "12000", "application_name": "loop"}


@dataclass(frozen=True)
class Limits:
    """How long the loop waits and tries, in seconds; every wait is bounded."""

    retry_s: float = 1.0
    deadline_s: float = 900.0
    backoff_s_max: float = 5.0
    stall_s: float = 20.0


@dataclass(slots=True)
class Work:
    """What one transaction did: where its partitions stand, what is set aside, and what goes out."""

    positions: dict[Place, Position] = field(default_factory=dict)
    seeks: dict[Place, int] = field(default_factory=dict)
    stops: dict[Place, str] = field(default_factory=dict)
    outgoing: list[Outgoing] = field(default_factory=list)
    sets: list[Set] = field(default_factory=list)
    holds: dict[str, str] = field(default_factory=dict)
    handled: dict[str, int] = field(default_factory=dict)
    wakes: set[str] = field(default_factory=set)
    written: outbox.Written = field(default_factory=dict)
    lanes: set[str] = field(default_factory=set)
    anyone_held: bool = False


@dataclass(frozen=True)
class Tools:
    """What the loop and the replayer work with."""

    service: str
    subscriptions: Mapping[str, Subscription]
    dsn: str
    courier: Courier
    tracing: Tracing
    metrics: Metrics
    limits: Limits
    wake: Callable[[str], None]

    def dead_letters(self, letters: Iterable[tuple[Raw, int, str]]) -> list[Outgoing]:
        """Records, the number of the message in each, and reasons as dead letters of this service.

        Messages of one record share a letter where they share the reason, too.
        """
        now = datetime.now(UTC)
        topic = f"{self.service}.dead-letter.v1"
        found: dict[tuple[str, int, int, str], tuple[Raw, list[int]]] = {}
        for record, item, reason in letters:
            same = (record.topic, record.partition, record.offset, reason)
            _, items = found.setdefault(same, (record, []))
            items += [item] if item else []
        return [
            parking.dead_letter(topic, record, items, reason, now)
            for (*_, reason), (record, items) in found.items()
        ]


class Loop:
    """Handles the records of one service's subscriptions, exactly once in effect.

    Positions in the database are the truth; Kafka's committed offsets are a hint. A zombie finds its work
    done, or does it once. What a batch says goes out beside the transactions of the next ones.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._tables = {topic for topic, to in tools.subscriptions.items() if to.compacted}
        self._order = {topic: index for index, topic in enumerate(tools.subscriptions)}
        self._db: asyncpg.Connection | None = None
        self._sought: dict[Place, int] = {}
        self._publish_too: set[str] = set()

    async def close(self) -> None:
        """Close the loop's own connection."""
        if self._db is not None and not self._db.is_closed():
            await self._db.close(timeout=5)

    async def handle(self, polled: Sequence[ConsumerRecord], consumer: AIOKafkaConsumer) -> None:
        """Do one polled batch: effects, positions and outbox; publication follows by itself. Does not raise.

        What fails for a passing reason is tried again with a bounded backoff; if that does not help within
        `stall_s`, the partitions are rewound and polled again, so that the group keeps this member.
        """
        # Tables refer to nothing: where nothing else was polled, the broker need not be asked where they end.
        refers = any(each.topic not in self._tables for each in polled)
        ahead = await self._read_ahead(consumer) if refers else []
        astray: set[Place] = set()
        for records in shares(tables_first(polled, ahead, self._tables)):
            left = [each for each in records if (each.topic, each.partition) not in astray]
            if not left:
                continue
            work = await self._do(left, consumer)
            if work is None:
                return
            # What follows a gap in the same poll is as stale: taken, it would jump over what is sought.
            astray |= work.seeks.keys() | work.stops.keys()

    async def _do(self, records: Sequence[ConsumerRecord], consumer: AIOKafkaConsumer) -> Work | None:
        """One transaction; None where it was given up for now."""
        metrics, limits = self._tools.metrics, self._tools.limits
        wait, waited = 0.05, 0.0
        while True:
            try:
                with metrics.seconds.time():
                    work = await self._attempt(records)
                break
            except Exception as error:
                # The commit may have happened: its lanes are published even if the next try finds all done.
                self._publish_too |= {*outbox.LOOP_LANES}
                metrics.retries.labels(type(error).__name__).inc()
                metrics.stalled.set(1)
                log.warning("batch failed, trying again", exc_info=error)
                if waited >= limits.stall_s:
                    _rewind(consumer, records)
                    return None
                await asyncio.sleep(wait)
                waited, wait = waited + wait, min(wait * 2, limits.backoff_s_max)
        metrics.stalled.set(0)
        for topic, count in work.handled.items():
            metrics.handled.labels(topic).inc(count)
        self._turn(consumer, work)
        if work.written or self._publish_too:
            self._tools.courier.take(work.lanes | self._publish_too, work.written)
            self._publish_too = set()
            await self._tools.courier.until_room()
        return work

    async def _read_ahead(self, consumer: AIOKafkaConsumer) -> list[ConsumerRecord]:
        """What is there of compacted topics: each is a table that events refer to, so it is read first.

        What does not come in time is left: who needs it waits for it.
        """
        ahead: list[ConsumerRecord] = []
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(AHEAD_S_MOST):
                tables = await self._behind(consumer)
                while tables and len(ahead) < AHEAD_RECORDS_MOST:
                    for records in (await consumer.getmany(*tables, timeout_ms=50)).values():
                        ahead.extend(records)
                    tables = {
                        table: end for table, end in tables.items() if await consumer.position(table) < end
                    }
        return ahead

    async def _behind(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        """Partitions of compacted topics that are not read to their end, and where that is."""
        tables = [place for place in consumer.assignment() - consumer.paused() if place.topic in self._tables]
        ends: dict[TopicPartition, int] = await consumer.end_offsets(tables) if tables else {}
        return {place: end for place, end in ends.items() if await consumer.position(place) < end}

    async def _attempt(self, records: Sequence[ConsumerRecord]) -> Work:
        try:
            return await self._transact(records, singly=False)
        except Exception as error:
            if is_transient(error):
                raise
            log.warning("batch failed for good, trying its messages one by one", exc_info=error)
            return await self._transact(records, singly=True)

    async def _transact(self, records: Sequence[ConsumerRecord], *, singly: bool) -> Work:
        db = await self._connection()
        work = Work()
        async with db.transaction():
            fresh = await self._claim(db, records, work)
            # With the positions locked: who held a key of these partitions before us has committed.
            work.anyone_held = not self._tables.issuperset(fresh) and await parking.is_any_held(db)
            for topic in sorted(fresh, key=self._order.__getitem__):
                await self._topic(db, self._tools.subscriptions[topic], fresh[topic], work, singly=singly)
            if work.sets:
                await self._set_aside(db, work)
            await positions.stop(db, work.stops)
            if work.positions:
                await positions.advance(db, work.positions)
                lanes = outbox.lanes_of(work.outgoing)
                work.lanes = {lane.name for lane in lanes}
                work.written = await outbox.write_lanes(db, lanes)
        return work

    async def _claim(
        self, db: Connection, records: Sequence[ConsumerRecord], work: Work
    ) -> dict[str, list[ConsumerRecord]]:
        by_place = _by_place(records)
        fresh: dict[str, list[ConsumerRecord]] = {}
        for place, position in (await positions.lock(db, by_place)).items():
            left = self._left(place, by_place[place], position, work)
            if left:
                fresh.setdefault(place.topic, []).extend(left)
                last = left[-1]
                work.positions[place] = Position(last.offset + 1, positions.checksum(last))
        return fresh

    def _left(
        self, place: Place, records: list[ConsumerRecord], position: Position, work: Work
    ) -> list[ConsumerRecord]:
        left, gap = positions.undone(records, position)
        self._tools.metrics.absorbed.labels("position").inc(len(records) - len(left))
        if position.stopped is not None:
            work.stops[place] = position.stopped
        elif positions.is_another_log(records, position):
            work.stops[place] = f"its log was cut short below offset {position.next_offset} and written on"
        elif gap and self._sought.get(place) != position.next_offset:
            work.seeks[place] = position.next_offset  # a stale prefetch must not jump ahead
        elif gap and place.topic not in self._tables:
            work.stops[place] = f"its log lacks offset {position.next_offset}, which was not done yet"
        else:
            return left
        return []

    async def _topic(
        self, db: Connection, to: Subscription, records: Sequence[Raw], work: Work, *, singly: bool
    ) -> None:
        messages = read_all(to, records)
        held = await self._held(db, to, messages) if work.anyone_held else set[str]()
        events: list[Event] = []
        sources: list[Message] = []
        for message in messages:
            if held and message.key in held:
                work.sets.append(set_aside(message, "behind", BEHIND))
            elif isinstance(message.event, Exception):
                self._park(work, to, message, message.event, held)
            else:
                events.append(message.event)
                sources.append(message)
        work.handled[to.topic] = len(events)
        if not events:
            return
        with self._tools.tracing.batch(to.topic, events):
            if singly:
                await self._one_by_one(db, to, list(zip(events, sources, strict=True)), work, held)
                return
            batch = Batch(events, datetime.now(UTC), holds=to.holds)
            work.outgoing.extend(await to.handler(batch, db))
            self._take_rest(work, to, batch, sources)
            self._tools.metrics.absorbed.labels("sequence").inc(batch.known)

    async def _held(self, db: Connection, to: Subscription, messages: Sequence[Message]) -> set[str]:
        # A table is what others wait for; it never waits itself.
        if to.compacted:
            return set()
        return await parking.held(db, sorted({each.key for each in messages if each.key}))

    async def _one_by_one(
        self,
        db: Connection,
        to: Subscription,
        pairs: Sequence[tuple[Event, Message]],
        work: Work,
        held: set[str],
    ) -> None:
        for event, message in pairs:
            if event.key in held:
                work.sets.append(set_aside(message, "behind", BEHIND))
                continue
            batch = Batch([event], datetime.now(UTC), holds=to.holds)
            try:
                async with db.transaction():
                    outgoing = await to.handler(batch, db)
            except Exception as error:
                if is_transient(error):
                    raise
                self._park(work, to, message, error, held)
                continue
            work.outgoing.extend(outgoing)
            self._take_rest(work, to, batch, [message])
            self._tools.metrics.absorbed.labels("sequence").inc(batch.known)
            held |= work.holds.keys() & {event.key}

    def _take_rest(
        self, work: Work, to: Subscription, batch: Batch[Event], sources: Sequence[Message]
    ) -> None:
        work.wakes |= batch.wakes
        for parked in sorted(batch.parked, key=lambda each: each.index):
            event = batch.messages[parked.index]
            work.sets.append(set_aside(sources[parked.index], parked.handling, parked.reason))
            self._tools.metrics.parked.labels(to.topic, parked.handling).inc()
            if to.key_is_held(parked.handling):
                work.holds.setdefault(event.key, parked.reason)

    def _park(self, work: Work, to: Subscription, message: Message, error: Exception, held: set[str]) -> None:
        key, handling = message.key, handling_of(error)
        if isinstance(error, asyncpg.UniqueViolationError):
            self._tools.metrics.absorbed.labels("unique key").inc()
        work.sets.append(set_aside(message, handling, reason_of(error)))
        self._tools.metrics.parked.labels(to.topic, handling).inc()
        if key is None:
            log.error("a message with an unusable key was parked; it holds nobody back")
        elif to.key_is_held(handling):
            work.holds.setdefault(key, reason_of(error))
            held.add(key)

    async def _set_aside(self, db: Connection, work: Work) -> None:
        limits = self._tools.limits
        await parking.park(db, work.sets, retry_s=limits.retry_s, deadline_s=limits.deadline_s)
        await parking.hold(db, work.holds)
        dead = [(each.record, each.item, each.reason) for each in work.sets if each.handling == "park"]
        work.outgoing.extend(self._tools.dead_letters(dead))

    def _turn(self, consumer: AIOKafkaConsumer, work: Work) -> None:
        self._sought = {p: at for p, at in self._sought.items() if p not in work.positions} | work.seeks
        _seek(consumer, work.seeks)
        for job in work.wakes:
            self._tools.wake(job)
        for place, reason in work.stops.items():
            pause(consumer, place, reason)

    async def _connection(self) -> asyncpg.Connection:
        if self._db is None or self._db.is_closed():
            self._db = await asyncpg.connect(self._tools.dsn, server_settings=GUARDS, command_timeout=60)
        return self._db


def pause(consumer: AIOKafkaConsumer, place: Place, reason: str) -> None:
    """Fetch a partition no more, until a person has looked."""
    with suppress(IllegalStateError):
        consumer.pause(TopicPartition(*place))
    log.critical("%s/%d is stopped: %s; see `tonle recover --help`", *place, reason)


def _rewind(consumer: AIOKafkaConsumer, records: Sequence[ConsumerRecord]) -> None:
    _seek(consumer, {place: together[0].offset for place, together in _by_place(records).items()})


def _seek(consumer: AIOKafkaConsumer, offsets: Mapping[Place, int]) -> None:
    for place, offset in offsets.items():
        with suppress(IllegalStateError):  # no longer ours: its next owner reads the position itself
            consumer.seek(TopicPartition(*place), offset)


def _by_place(records: Sequence[ConsumerRecord]) -> dict[Place, list[ConsumerRecord]]:
    found: dict[tuple[str, int], list[ConsumerRecord]] = {}
    for record in records:
        found.setdefault((record.topic, record.partition), []).append(record)
    return {Place(*place): together for place, together in found.items()}
