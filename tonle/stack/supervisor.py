"""The stack as one: Kafka, PostgreSQL, simulators and services under one data directory."""

import asyncio
import contextlib
import dataclasses
import functools
import json
import logging
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import httpx
from pydantic import BaseModel

from tonle.stack import access, admission, folder, kafka, postgres, process, secrets, state, topics
from tonle.stack.errors import StackError
from tonle.stack.keeper import Keeper, Recipe
from tonle.stack.process import Child, Identity
from tonle.stack.programs import Place, Program, programs
from tonle.stack.state import KafkaPart, Part, PostgresPart, StackState, WebPart

log = logging.getLogger(__name__)

PROGRAM_READY_S_MAX = 60
PROGRAM_STOP_S_MAX = 20
_STOPPED = re.compile(r"partition \S+ is stopped: ")


class StackSettings(BaseModel):
    """How one stack is made. `ports` fixes ports by part name; the others are chosen and remembered.

    `servers_only` starts Kafka and PostgreSQL without simulators and services. `durable=False` is for tests:
    it turns PostgreSQL's fsync off.
    """

    data_dir: Path
    topic_prefix: str = ""
    partitions: int = 4
    heap_mb: int = 512
    servers_only: bool = False
    durable: bool = True
    ports: dict[str, int] = {}


@dataclass(frozen=True)
class Step:
    """One step of starting; `seconds` is None while it has only begun."""

    name: str
    detail: str = ""
    seconds: float | None = None


class Stack:
    """`async with Stack(settings) as stack:` starts all and stops all; `stack.state` says what runs where.

    `services` are the programs to run beside Kafka and PostgreSQL; `()` runs those two alone.
    """

    state: StackState
    secrets: secrets.Secrets

    def __init__(
        self,
        settings: StackSettings,
        *,
        services: Sequence[Program] | None = None,
        report: Callable[[Step], None] = lambda _step: None,
    ) -> None:
        self.settings = settings.model_copy(update={"data_dir": settings.data_dir.absolute()})
        usual = () if settings.servers_only else programs()
        self._programs = tuple(usual if services is None else services)
        self._report = report
        self._keepers: list[Keeper] = []
        self._lock: IO[str] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start in order and wait until all are ready. Raises `StackError`, with all stopped again."""
        self._lock = folder.claim(self.settings.data_dir)
        try:
            await self._recover()
            broker, server = self._lay_out()
            await self._start_servers(broker, server)
            await self._start_programs()
        except OSError as error:
            trouble = folder.trouble(self.settings.data_dir, error)
            await self._give_up(trouble)
            raise trouble from error
        except BaseException as error:
            await self._give_up(error)
            raise
        self.state.state = "running"
        self._save()

    async def stop(self) -> None:
        """Stop programs first, then Kafka and PostgreSQL; each cleanly, killed only when it does not end."""
        if self._lock is None:
            return
        self.state.state = "stopping"
        self._save()
        await self._stop_parts()
        self.state.state = "stopped"
        self._save()
        self._lock.close()
        self._lock = None

    def keeper(self, name: str) -> Keeper:
        """Who starts and stops one part of this stack. Raises `StopIteration` for a part it has not."""
        return next(keeper for keeper in self._keepers if keeper.name == name)

    async def _recover(self) -> None:
        previous = state.load(self.settings.data_dir)
        if previous is None or previous.state in ("stopped", "failed"):
            return
        async with self._step("recover", "the last supervisor did not stop cleanly"):
            await folder.end_leftovers(previous)

    def _lay_out(self) -> tuple[kafka.Kafka, postgres.Postgres]:
        """Secrets, ports and the first state; nothing runs yet."""
        data = self.settings.data_dir
        names = ["kafka", "kafka-controller", "postgres", *(program.name for program in self._programs)]
        ports = folder.choose_ports(data, names, self.settings.ports)
        folder.refuse_new_master_key(data)
        databases = topics.SERVICES
        roles = (postgres.SUPERUSER, postgres.AUDITOR, *databases)
        self.secrets = secrets.ensure(data / "secrets", roles=roles, partners=topics.PARTNERS)
        broker = kafka.Kafka(
            data / "kafka", ports["kafka"], ports["kafka-controller"], self.secrets, self.settings.heap_mb
        )
        server = postgres.Postgres(
            data / "postgres", ports["postgres"], self.secrets, databases, self.settings.durable
        )
        self.state = StackState(
            state="starting",
            data_dir=data,
            topic_prefix=self.settings.topic_prefix,
            partitions=self.settings.partitions,
            supervisor=Identity.of(os.getpid()) or Identity(os.getpid(), 0.0, ()),
            kafka=KafkaPart(
                port=broker.port,
                log=self._log("kafka"),
                bootstrap=broker.bootstrap,
                password_files={user: self.secrets.kafka_password_file(user) for user in access.users()},
            ),
            postgres=PostgresPart(
                port=server.port, log=self._log("postgres"), dsn={role: server.dsn(role) for role in roles}
            ),
            services=self._web_parts("service", ports),
            simulators=self._web_parts("simulator", ports),
            tokens={"admin": self.secrets.admin_token},
        )
        return broker, server

    def _web_parts(self, kind: str, ports: dict[str, int]) -> dict[str, WebPart]:
        return {
            program.name: WebPart(
                port=ports[program.name],
                log=self._log(program.name),
                url=f"http://127.0.0.1:{ports[program.name]}",
            )
            for program in self._programs
            if program.kind == kind
        }

    def _log(self, name: str) -> Path:
        return self.settings.data_dir / "logs" / f"{name}.log"

    async def _start_servers(self, broker: kafka.Kafka, server: postgres.Postgres) -> None:
        await _all([self._start_postgres(server), self._start_kafka(broker)])
        prefix = self.settings.topic_prefix
        async with self._step("topics"):
            await topics.create(broker.as_admin, prefix=prefix, partitions=self.settings.partitions)
            await admission.settle(broker.as_admin, access.rules(prefix))

    async def _start_postgres(self, server: postgres.Postgres) -> None:
        async with self._step("postgres", "PostgreSQL 18"):
            await server.prepare()
            spawn = functools.partial(server.spawn, self.state.postgres.log)
            recipe = Recipe(spawn, server.ready, postgres.STOP_S_MAX)
            await self._keep("postgres", self.state.postgres, recipe)

    async def _start_kafka(self, broker: kafka.Kafka) -> None:
        def downloading(done: int, total: int) -> None:
            self._report(Step("kafka", f"downloading Apache Kafka 4.3: {done} of {total} jars"))

        async with self._step("kafka", "Apache Kafka 4.3"):
            await broker.prepare(downloading)
            spawn = functools.partial(broker.spawn, self.state.kafka.log)
            ready = functools.partial(
                broker.ready, ours=lambda port: process.owns(self.state.kafka.pid, port)
            )
            recipe = Recipe(spawn, ready, kafka.STOP_S_MAX)
            await self._keep("kafka", self.state.kafka, recipe)

    async def _start_programs(self) -> None:
        """Simulators, then services: a service may call its simulator at once."""
        for kind, parts in (("simulator", self.state.simulators), ("service", self.state.services)):
            chosen = [program for program in self._programs if program.kind == kind]
            if chosen:
                async with self._step(f"{kind}s", ", ".join(program.name for program in chosen)):
                    await _all([self._start_program(program, parts[program.name]) for program in chosen])

    async def _start_program(self, program: Program, part: WebPart) -> None:
        place = Place(
            kafka=self.state.kafka.bootstrap,
            topic_prefix=self.settings.topic_prefix,
            data_dir=self.settings.data_dir,
            secrets=self.secrets,
            dsn=self.state.postgres.passwordless(),
            urls={name: each.url for name, each in (self.state.simulators | self.state.services).items()},
        )
        environment = {**program.environment(place), "TONLE_PORT": str(part.port)}

        async def spawn() -> Child:
            return await process.spawn(
                program.name, program.command, log=part.log, env=environment, niceness=program.niceness
            )

        recipe = Recipe(spawn, functools.partial(ready, program, part), PROGRAM_STOP_S_MAX)
        await self._keep(program.name, part, recipe)

    async def _keep(self, name: str, part: Part, recipe: Recipe) -> None:
        keeper = Keeper(name, part, recipe, self._save)
        self._keepers.append(keeper)
        await keeper.start()

    async def _give_up(self, error: BaseException) -> None:
        await self._stop_parts()
        if hasattr(self, "state"):
            self.state.state = "failed"
            if isinstance(error, StackError):
                self.state.message, self.state.remedy = error.message, error.remedy
            self._save()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def _stop_parts(self) -> None:
        servers = [keeper for keeper in self._keepers if keeper.name in ("kafka", "postgres")]
        rest = [keeper for keeper in self._keepers if keeper not in servers]
        await asyncio.gather(*(keeper.stop() for keeper in rest))
        await asyncio.gather(*(keeper.stop() for keeper in servers))
        self._keepers = []

    def _save(self) -> None:
        try:
            state.save(self.state)
        except OSError as error:  # a full disk must not end what still runs
            log.warning("stack.json could not be written: %s", error.strerror)

    @asynccontextmanager
    async def _step(self, name: str, detail: str = "") -> AsyncIterator[None]:
        began = time.monotonic()
        self._report(Step(name, detail))
        yield
        self._report(Step(name, detail, time.monotonic() - began))


async def _all(work: Sequence[Coroutine[None, None, None]]) -> None:
    """Run together; when one fails, end the others before its error goes on."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def ready(program: Program, part: WebPart, exited: Callable[[], bool]) -> None:
    """Wait until a program answers, or says that only `tonle recover` is missing. Raises `StackError`."""
    deadline = time.monotonic() + PROGRAM_READY_S_MAX
    # Where no TLS is spoken no certificates need be read: that takes 40 to 100 ms.
    tls = part.url.startswith("https:")
    async with httpx.AsyncClient(base_url=part.url, timeout=5, verify=tls) as client:
        while not await _answers_now(program, part, client):
            if exited():
                raise StackError(f"{program.name} ended.", f"See {part.log}.")
            if time.monotonic() > deadline:
                raise StackError(f"{program.name} did not become ready.", f"See {part.log}.")
            await asyncio.sleep(0.05)


async def _answers_now(program: Program, part: WebPart, client: httpx.AsyncClient) -> bool:
    if program.ready_path is None:
        return await process.listens("127.0.0.1", part.port)
    try:
        answer = await client.get(program.ready_path)
    except httpx.HTTPError:
        return False
    return answer.is_success or _waits_for_recovery(answer)


def _waits_for_recovery(answer: httpx.Response) -> bool:
    """Whether all that hinders a service is stopped partitions: `tonle recover` needs a running stack."""
    try:
        reasons: list[str] = answer.json()["reasons"]
    except (ValueError, KeyError, TypeError):
        return False
    return bool(reasons) and all(_STOPPED.match(reason) for reason in reasons)


async def serve(settings: StackSettings, say: Callable[[dict[str, object]], None]) -> int:
    """Run a stack until SIGTERM or SIGINT; `say` gets each step, then `running` or the error.

    Returns the exit code.
    """
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    stack = Stack(settings, report=lambda step: say({"step": dataclasses.asdict(step)}))
    starting = asyncio.ensure_future(stack.start())
    stopping = asyncio.ensure_future(asked.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    starting.cancel()
    try:
        await starting
    except asyncio.CancelledError:
        return 0
    except StackError as error:
        log.error("%s %s", error.message, error.remedy)
        say({"message": error.message, "remedy": error.remedy})
        return 1
    say({"running": True})
    await stopping
    await stack.stop()
    return 0


def _say(event: dict[str, object]) -> None:
    """One JSON line to whoever started this process; it may have gone away."""
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), json.dumps(event).encode() + b"\n")


def main() -> None:
    """`python -m tonle.stack.supervisor SETTINGS`, the settings as JSON; what `tonle up` starts."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.exit(asyncio.run(serve(StackSettings.model_validate_json(sys.argv[1]), _say)))


if __name__ == "__main__":
    main()
