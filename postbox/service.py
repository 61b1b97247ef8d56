"""Start and stop a service: settings, pool, migrations, broker, loop, jobs, HTTP, health."""

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import uvicorn
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from fastapi import APIRouter, FastAPI
from pydantic_settings import BaseSettings, SettingsConfigDict

from postbox import callers, migrate, operations, parking, positions, problems
from postbox.batch import Limits, Loop, Tools
from postbox.broker import Broker
from postbox.courier import Courier
from postbox.errors import DATABASE_AWAY
from postbox.listening import Listener, Polling
from postbox.message import Subscription
from postbox.outbox import Publisher, backlog, waiting_s
from postbox.recovering import Watch, rewind
from postbox.replaying import Replayer
from postbox.telemetry import Metrics, Tracing, log_to_stderr, new_traceparent

log = logging.getLogger(__name__)

UNPUBLISHED_S_MOST = 30.0
DATABASE_S_MOST = 2.0
"""Who asks how a service is does not wait longer for its database."""
STOP_S_MOST = 30.0
# Longer than clients keep a connection (httpx: 5 s): they close first, and lose no request on a closed one.
KEEP_ALIVE_S = 65
# As the loop's own, but more patient: a publication may wait for the broker within its transaction.
POOL_GUARDS = {"idle_in_transaction_session_timeout": "60000", "lock_timeout": "90000"}


class ServiceSettings(BaseSettings):
    """What every service is told, as `TONLE_…` environment variables; each extends it in its `app.py`."""

    model_config = SettingsConfigDict(env_prefix="TONLE_", extra="ignore")

    kafka: str
    kafka_user: str | None = None
    kafka_password_file: Path | None = None
    database: str
    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 0
    topic_prefix: str = ""
    admin_token_file: Path | None = None
    master_key_file: Path | None = None
    pool_size: int = 6
    batch_records: int = 1000
    batch_timeout_ms: int = 20
    gather_ms: int = 0
    session_timeout_ms: int = 10_000
    max_poll_interval_ms: int = 300_000
    relay_older_than_s: float = 2.0
    keep_published_s: float = 3_600.0
    park_retry_s: float = 1.0
    park_deadline_s: float = 900.0
    stall_s: float = 20.0
    watch_every_s: float = 5.0
    witness_every_s: float = 60.0
    sample_ratio: float = 0.01
    otlp_endpoint: str | None = None
    log_level: str = "INFO"

    @property
    def broker(self) -> Broker:
        """The broker, as this service reaches it."""
        return Broker(self.kafka, self.kafka_user, self.kafka_password_file)


@dataclass(frozen=True)
class Job:
    """Work beside the stream: `run` is called every `every_s` seconds, and at once while it returns True."""

    name: str
    run: Callable[["Service"], Awaitable[bool]]
    every_s: float = 1.0


class Service:
    """One service process. `db`, `tracing`, `courier`, `publisher` and `replayer` are there while it runs."""

    db: asyncpg.Pool
    tracing: Tracing
    courier: Courier
    publisher: Publisher
    replayer: Replayer

    def __init__(
        self,
        name: str,
        settings: ServiceSettings,
        *,
        subscriptions: Sequence[Subscription] = (),
        router: APIRouter | None = None,
        jobs: Sequence[Job] = (),
        migrations: Sequence[Path] = (),
        publish_first: Sequence[str] = (),
        prepare: Callable[["Service"], Awaitable[None]] | None = None,
        state: object = None,
    ) -> None:
        """`state` is what the service's own API and jobs need; they find it as `service.state`.

        Records of the topics in `publish_first` are on the broker before others of their outbox row.
        `prepare` runs once the database is migrated, before anything is heard; what it raises
        stops the start.
        """
        self.name = name
        self.settings = settings
        self.state = state
        self.metrics = Metrics()
        self.url = ""
        self._subscriptions = {settings.topic_prefix + each.topic: each for each in subscriptions}
        self._router = router
        self._jobs = [
            *jobs,
            Job("relay", _relay),
            Job("replay", _replay, 0.5),
            Job("watch", Service.look, settings.watch_every_s),
        ]
        self._migrations = migrations
        self._prepare = prepare
        self._publish_first = frozenset(publish_first)
        self._listener: Listener | None = None
        self._wake: dict[str, asyncio.Event] = {job.name: asyncio.Event() for job in self._jobs}

    def new_traceparent(self) -> str:
        """A trace that begins here, sampled by the service's setting."""
        return new_traceparent(self.settings.sample_ratio)

    def wake(self, job: str) -> None:
        """Let a job run now instead of at its next time."""
        self._wake[job].set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Service"]:
        """Start everything, and stop it in the opposite order."""
        settings = self.settings
        async with AsyncExitStack() as stack:
            self.db = await stack.enter_async_context(
                asyncpg.create_pool(
                    settings.database,
                    min_size=1,
                    max_size=settings.pool_size,
                    server_settings=POOL_GUARDS,
                    reset=_leave_as_is,
                )
            )
            await self._migrate()
            traces = settings.data_dir / "traces" / f"{self.name}.jsonl"
            self.tracing = Tracing(self.name, traces, settings.otlp_endpoint)
            stack.callback(self.tracing.close)
            self.publisher = await self._publisher(stack)
            self.courier = Courier(self.publisher, self.metrics)
            stack.push_async_callback(self.courier.close)
            limits = Limits(settings.park_retry_s, settings.park_deadline_s, stall_s=settings.stall_s)
            tools = Tools(
                self.name,
                self._subscriptions,
                settings.database,
                self.courier,
                self.tracing,
                self.metrics,
                limits,
                self.wake,
            )
            self.replayer = Replayer(tools, self.db)
            await self._serve(stack)
            await self._listen(stack, Loop(tools))
            self._watch = Watch(settings.broker, self.db, self._consumer, settings.witness_every_s)
            for job in self._jobs:
                task = asyncio.create_task(self._repeat(job), name=job.name)
                stack.push_async_callback(_cancel, task)
            yield self

    async def _migrate(self) -> None:
        async with self.db.acquire() as db:
            await migrate.apply_all(db, self._migrations)
        if self._prepare is not None:
            await self._prepare(self)

    async def unready(self) -> list[str]:
        """Why the service can't work now; empty when it can."""
        reasons = []
        try:
            async with asyncio.timeout(DATABASE_S_MOST), self.db.acquire() as db:
                for place, position in (await positions.read_all(db)).items():
                    if position.stopped:
                        reasons.append(
                            f"partition {place.topic}/{place.partition} is stopped: {position.stopped}"
                        )
                waited_s = await waiting_s(db)
            if waited_s > UNPUBLISHED_S_MOST:
                reasons.append(f"messages wait to be published since {waited_s:.0f} s: is Kafka there?")
        except DATABASE_AWAY:
            reasons.append("the database does not answer")
        if self.metrics.is_stalled():
            reasons.append("batches fail and are tried again")
        consumer = self._consumer()
        if self._subscriptions and (consumer is None or not consumer.assignment()):
            reasons.append("no partition is assigned yet")
        return reasons

    async def look(self) -> bool:
        """Compare the positions with the logs (the job `watch`)."""
        await self._watch.look()
        return False

    async def measure(self) -> None:
        """Bring the gauges that are read from the database up to date; they say nothing while it is away."""
        try:
            async with asyncio.timeout(DATABASE_S_MOST), self.db.acquire() as db:
                outgoing, parked = await backlog(db), await parking.counts(db)
                places = await positions.read_all(db)
        except DATABASE_AWAY:
            self.metrics.forget_the_database()
            return
        self.metrics.outbox.set(outgoing)
        for handling, count in parked.items():
            self.metrics.waiting.labels(handling).set(count)
        for place, position in places.items():
            self.metrics.stopped.labels(*place).set(position.stopped is not None)

    async def _publisher(self, stack: AsyncExitStack) -> Publisher:
        def producer() -> AIOKafkaProducer:
            return AIOKafkaProducer(
                **self.settings.broker.options,
                client_id=f"tonle-{self.name}",
                acks="all",
                enable_idempotence=True,
            )

        publisher = Publisher(self.db, producer, self.settings.topic_prefix, self._publish_first)
        await publisher.start()
        stack.push_async_callback(publisher.stop)
        return publisher

    async def _listen(self, stack: AsyncExitStack, loop: Loop) -> None:
        if not self._subscriptions:
            return
        settings = self.settings
        polling = Polling(
            broker=settings.broker,
            client_id=f"tonle-{self.name}",
            group_id=f"{settings.topic_prefix}{self.name}",
            batch_records=settings.batch_records,
            batch_timeout_ms=settings.batch_timeout_ms,
            gather_ms=settings.gather_ms,
            session_timeout_ms=settings.session_timeout_ms,
            max_poll_interval_ms=settings.max_poll_interval_ms,
        )
        self._listener = Listener(list(self._subscriptions), polling, loop.handle)
        await self._listener.start()
        stack.push_async_callback(loop.close)
        stack.push_async_callback(self._listener.stop)

    async def _serve(self, stack: AsyncExitStack) -> None:
        app = FastAPI(title=f"Tonle {self.name}", version="0.1.0", responses={**problems.RESPONSES})
        app.state.service = self
        app.state.callers = callers.Callers(self.db, self.settings.admin_token_file)
        problems.install(app)
        for router in (operations.router, callers.router, self._router):
            if router is not None:
                app.include_router(router)
        listener = socket.create_server((self.settings.host, self.settings.port))
        host, port = listener.getsockname()[:2]
        self.url = f"http://{host}:{port}"
        server = _Server(
            uvicorn.Config(
                app, log_config=None, access_log=False, lifespan="off", timeout_keep_alive=KEEP_ALIVE_S
            )
        )
        task = asyncio.create_task(server.serve([listener]))
        stack.push_async_callback(_stop_server, server, task)

    async def _repeat(self, job: Job) -> None:
        wait = job.every_s
        wake = self._wake[job.name]
        while True:
            try:
                more = await job.run(self)
                wait = 0.0 if more else job.every_s
            except Exception as error:
                log.warning("job %s failed, trying again", job.name, exc_info=error)
                wait = min(max(wait, 0.5) * 2, 30.0)
            with suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), wait)
            wake.clear()

    async def recover(self, since_s: float) -> dict[str, object]:
        """Publish again what went out in the last `since_s` seconds; rewind partitions whose log was cut."""
        published = await self.publisher.publish_again(since_s)
        self.wake("relay")
        rewound = await rewind(self.settings.broker, self.db, self._subscriptions, since_s)
        return {
            "published_again": published,
            "rewound": {f"{place.topic}/{place.partition}": offset for place, offset in rewound.items()},
        }

    def _consumer(self) -> AIOKafkaConsumer | None:
        return self._listener.consumer if self._listener else None


class _Server(uvicorn.Server):
    """Leaves the signals to `run`."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(service: Service) -> None:
    """Run a service until it is told to stop (SIGTERM, SIGINT)."""
    log_to_stderr(service.name, service.settings.log_level)

    async def main() -> None:
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        async with service.running():
            # Long-lived objects are never collected, and a batch stays below the threshold: halves the cost.
            gc.collect()
            gc.freeze()
            gc.set_threshold(200_000, 20, 100)
            log.info("%s listens at %s", service.name, service.url)
            await stopping.wait()
            # What can't end in time is no worse than a crash, and nobody may be there to kill it.
            asyncio.get_running_loop().call_later(STOP_S_MOST, os._exit, 1)

    uvloop.run(main())


async def _relay(service: Service) -> bool:
    published = await service.publisher.sweep(service.settings.relay_older_than_s)
    await service.publisher.forget_published(service.settings.keep_published_s)
    return published > 0


async def _replay(service: Service) -> bool:
    return await service.replayer.run_due()


async def _leave_as_is(_: asyncpg.Connection) -> None:
    """Nothing of ours outlives its transaction in a session: there is nothing to ask the server to reset."""


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _stop_server(server: uvicorn.Server, task: "asyncio.Task[None]") -> None:
    server.should_exit = True
    await task
