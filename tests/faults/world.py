"""The stack under test: real processes on free loopback ports, and what can be done to them by pid."""

import asyncio
import contextlib
import dataclasses
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Self

import asyncpg
import httpx

from postbox.broker import Broker
from simulators.partner_behaviour import Behaviour
from tests.faults.plan import SERVICES, Plan
from tests.faults.tally import Tally
from tests.keys import give_master_key
from tonle.stack import kafka, postgres, process, supervisor
from tonle.stack.access import ADMIN
from tonle.stack.keeper import Keeper
from tonle.stack.postgres import SUPERUSER
from tonle.stack.process import Child
from tonle.stack.programs import Place, Program, programs
from tonle.stack.state import StackState
from tonle.stack.supervisor import Stack, StackSettings

STOP_S_MAX = 15.0
READY_S_MAX = 300
PARTITIONS = 4
# Impatient, so that every time-out, lease and watch comes into play within seconds.
IMPATIENT: Mapping[str, Mapping[str, str]] = {
    "service": {
        "TONLE_SESSION_TIMEOUT_MS": "3000",
        "TONLE_BATCH_RECORDS": "150",
        "TONLE_WATCH_EVERY_S": "1",
        "TONLE_WITNESS_EVERY_S": "4",
        "TONLE_RELAY_OLDER_THAN_S": "1",
        "TONLE_PARK_RETRY_S": "0.5",
    },
    "registration": {"TONLE_IMPORT_CHUNK_ROWS": "100", "TONLE_OUTBOX_MESSAGES_MOST": "1500"},
    "payments": {"TONLE_REPORT_TIMEOUT_S": "2", "TONLE_SETTLEMENT_TIMEOUT_S": "3"},
    "notifications": {
        "TONLE_SMS_TIMEOUT_S": "1.5",
        "TONLE_SMS_LEASE_S": "6",
        "TONLE_SMS_CHUNK": "64",
        "TONLE_SMS_IN_FLIGHT": "16",
    },
    "gateway": {
        "TONLE_GATEWAY_SILENT": "0.02",
        "TONLE_GATEWAY_SILENT_S": "4",
        "TONLE_GATEWAY_REFUSED": "0.005",
        "TONLE_GATEWAY_SLOW": "0.02",
    },
}
PARTNER = Behaviour(drop=0.1, fail=0.02, settle_after_s=0.3)


class World:
    """`async with World(plan) as world:` starts all and stops all."""

    def __init__(self, plan: Plan) -> None:
        # The machine may be busy with much else; what is slow to start is not what is tested here.
        kafka.READY_S_MAX = postgres.READY_S_MAX = supervisor.PROGRAM_READY_S_MAX = READY_S_MAX
        self.plan = plan
        self.tally = Tally()
        self._environments: dict[str, Mapping[str, str]] = {}
        self._programs = {each.name: self._impatient(each) for each in programs()}
        self._stack = Stack(
            StackSettings(data_dir=plan.home, durable=False, partitions=PARTITIONS),
            services=tuple(self._programs.values()),
        )
        self._extra: dict[str, list[tuple[Child, str]]] = {service: [] for service in SERVICES}
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        give_master_key(self.plan.home, self.plan.seed)
        await self._stack.start()
        self._watching = asyncio.create_task(self._watch(), name="scrape metrics")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._watching is not None:
            self._watching.cancel()
        for service in SERVICES:
            await self.scale_down(service)
        await self._stack.stop()

    @property
    def state(self) -> StackState:
        return self._stack.state

    @property
    def broker(self) -> Broker:
        """Tests look into every topic, and send old records again."""
        return self.state.kafka.broker(ADMIN)

    def url(self, part: str) -> str:
        """The base URL of a service or a simulator."""
        return {**self.state.services, **self.state.simulators}[part].url

    def pid(self, part: str) -> int | None:
        """The process of a part; None while it is being started again."""
        return self.state.parts()[part].pid

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Signal one of our processes; it may have ended already."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    async def connect(self, database: str) -> asyncpg.Connection:
        """A superuser's connection: tests look into every database."""
        dsn = self.state.postgres.dsn[SUPERUSER].rpartition("/")[0]
        return await asyncpg.connect(f"{dsn}/{database}", timeout=10, command_timeout=60)

    def keeper(self, part: str) -> Keeper:
        """What starts a part again when it dies; stop it to keep the part away."""
        return self._stack.keeper(part)

    async def until_running(self, *parts: str) -> None:
        """Until these parts (all, where none is named) have answered since their last start."""
        async with asyncio.timeout(READY_S_MAX):
            while any(self.state.parts()[part].state != "running" for part in parts or self.state.parts()):
                await asyncio.sleep(0.05)

    async def scale_up(self, service: str, processes: int = 1) -> None:
        """Start more processes beside the supervised one, and wait until each has partitions."""
        await self.until_running("kafka", "postgres")
        self._extra[service] += [await self._spawn(service) for _ in range(processes)]
        async with httpx.AsyncClient(verify=False, timeout=5) as client:
            for number, (child, url) in enumerate(self._extra[service]):
                while not await _until_ready(client, child, url):
                    child, url = self._extra[service][number] = await self._spawn(service)  # noqa: PLW2901

    async def _spawn(self, service: str) -> tuple[Child, str]:
        port = process.free_port()
        environment = {**self._environments[service], "TONLE_PORT": str(port)}
        log = self.plan.home / "logs" / f"{service}-{port}.log"
        child = await process.spawn(service, self._programs[service].command, log=log, env=environment)
        return child, f"http://127.0.0.1:{port}"

    async def scale_down(self, service: str) -> None:
        """End the additional processes: one is killed, the others are asked to stop."""
        extra, self._extra[service] = self._extra[service], []
        for number, (child, _) in enumerate(extra):
            if number == 0:
                self.signal(child.pid, signal.SIGKILL)
            self.signal(child.pid, signal.SIGCONT)
            await child.stop(STOP_S_MAX)

    def processes(self, service: str) -> Sequence[tuple[int | None, str]]:
        """Every process of a service: its pid and its base URL."""
        supervised = (self.pid(service), self.state.services[service].url)
        return [supervised, *((child.pid, url) for child, url in self._extra[service])]

    async def scrape(self) -> None:
        """Read every process's counters now; they die with it."""
        async with httpx.AsyncClient(verify=False, timeout=2) as client:
            await asyncio.gather(*(self._scrape(client, each) for each in SERVICES))

    async def _scrape(self, client: httpx.AsyncClient, service: str) -> None:
        for pid, url in self.processes(service):
            with contextlib.suppress(httpx.HTTPError):
                self.tally.take(f"{pid} {url}", (await client.get(f"{url}/metrics")).text)

    async def _watch(self) -> None:
        while True:
            await self.scrape()
            await asyncio.sleep(1)

    def _impatient(self, program: Program) -> Program:
        behaviour = PARTNER.model_copy(update={"seed": self.plan.seed})
        seeds = {
            "TONLE_GATEWAY_SEED": str(self.plan.seed),
            "TONLE_PARTNER_BEHAVIOUR": behaviour.model_dump_json(),
        }
        own = {**IMPATIENT.get(program.kind, {}), **IMPATIENT.get(program.name, {}), **seeds}

        def environment(place: Place) -> Mapping[str, str]:
            found = {**program.environment(place), **own, "FAULTS_WITHOUT": ",".join(self.plan.without)}
            self._environments[program.name] = found
            return found

        command = program.command
        if self.plan.without and program.kind == "service":
            python, _, module = command
            command = (python, "-m", "tests.faults.launch", module)
        return dataclasses.replace(program, command=command, environment=environment)


async def _until_ready(client: httpx.AsyncClient, child: Child, url: str) -> bool:
    """False where the process ended instead: nobody but us starts it again."""
    async with asyncio.timeout(READY_S_MAX):
        while not child.exited():
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get(f"{url}/health/ready")).is_success:
                    return True
            await asyncio.sleep(0.1)
    return False
