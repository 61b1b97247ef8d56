"""The simulated partner passes the suite of partners, and survives a kill."""

import asyncio
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL

import httpx
import pytest
import pytest_asyncio

from tests.conftest import own_topics
from tests.integration.payments.conftest import Scene, family
from tests.integration.payments.partner_suite import PartnerSuite, Talk, talker, talking
from tests.waiting import until
from tonle.stack.access import ADMIN
from tonle.stack.secrets import Secrets
from tonle.stack.supervisor import Stack

pytestmark = pytest.mark.stack
ENDED = "select count(*) = $1 from payment where state in ('settled', 'failed')"


@dataclass
class Simulator:
    """The partner's process."""

    environment: dict[str, str]
    process: asyncio.subprocess.Process | None = field(default=None)

    async def start(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.environment["TONLE_PORT"] = str(free.getsockname()[1])
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "simulators.partner"),
            env={**os.environ, **self.environment},
            stdout=DEVNULL,
        )
        await until(self._ready)

    async def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(how)
        await self.process.wait()

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(
            verify=False, base_url=f"http://127.0.0.1:{self.environment['TONLE_PORT']}"
        ) as client:
            return await client.get(path)

    async def _ready(self) -> bool:
        try:
            return (await self.get("/health/ready")).is_success
        except httpx.TransportError:
            return False


def simulator_of(stack: Stack, secrets: Secrets, prefix: str, folder: Path) -> Simulator:
    """The partner of a stack, not running yet."""
    return Simulator(
        {
            "TONLE_KAFKA": stack.state.kafka.bootstrap,
            "TONLE_KAFKA_USER": "partner-wing",
            "TONLE_KAFKA_PASSWORD_FILE": str(secrets.kafka_password_file("partner-wing")),
            "TONLE_TOPIC_PREFIX": prefix,
            "TONLE_DATA_DIR": str(folder),
            "TONLE_SECRETS": str(secrets.folder),
            "TONLE_PARTNER": "wing",
            "TONLE_PARTNER_BEHAVIOUR": '{"fail": 0}',
        }
    )


@pytest_asyncio.fixture(scope="module")
async def talk(
    stack: Stack, secrets: Secrets, prefixes: deque[str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Talk]:
    """Our side of the talk with one simulator, which all tests of the suite share."""
    kafka, prefix = stack.state.kafka.broker("payments"), prefixes.pop()
    async with own_topics(stack.state.kafka.broker(ADMIN), prefix):
        simulator = simulator_of(stack, secrets, prefix, tmp_path_factory.mktemp("partner"))
        await simulator.start()
        async with talking(talker(secrets), kafka, prefix) as found:
            yield found
        await simulator.end()


class TestSimulatedPartner(PartnerSuite):
    """The suite, on the simulator."""


@pytest_asyncio.fixture
async def simulator(
    stack: Stack, secrets: Secrets, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Simulator]:
    """A partner of this test's own, not running yet."""
    found = simulator_of(stack, secrets, topic_prefix, tmp_path)
    yield found
    if found.process is not None and found.process.returncode is None:
        await found.end()


@pytest_asyncio.fixture
async def conversation(stack: Stack, secrets: Secrets, topic_prefix: str) -> AsyncIterator[Talk]:
    """Our side, with nobody listening yet."""
    async with talking(talker(secrets), stack.state.kafka.broker("payments"), topic_prefix) as found:
        yield found


async def test_a_killed_partner_pays_each_once_and_says_so(simulator: Simulator, conversation: Talk) -> None:
    ids = [f"p-{number}" for number in range(400)]
    orders = [conversation.instruction(each, household_id=f"h-{each}") for each in ids]
    await simulator.start()
    await conversation.tell(orders[:200])
    await conversation.until_said(ids[0], 1)
    await simulator.end(signal.SIGKILL)
    await conversation.tell(orders[200:])
    await simulator.start()
    await conversation.until_ended(ids)
    summary = (await simulator.get("/summary")).json()
    assert (summary["settled"], summary["riel_settled"]) == (400, 400 * 176_000)
    assert (summary["told_again"], summary["reports_sent"]) == (0, 800)


async def test_every_payment_ends_once_though_reports_are_lost_and_the_partner_dies(
    scene: Scene, simulator: Simulator
) -> None:
    scene.settings.report_timeout_s = scene.settings.settlement_timeout_s = 1.0
    simulator.environment["TONLE_PARTNER_BEHAVIOUR"] = '{"drop": 0.3, "fail": 0.1}'
    families = [family(f"h-{number:03}") for number in range(100)]
    await simulator.start()
    async with scene.running():
        await scene.open_cycle(envelope=100 * 176_000, cap_household=176_000)
        await scene.approve()
        await scene.send(scene.key(each) for each in families)
        await scene.send(scene.scored(each, 176_000) for each in families)
        await until(lambda: scene.db.fetchval("select count(*) > 20 from report"))
        await simulator.end(signal.SIGKILL)
        await simulator.start()
        await until(lambda: scene.db.fetchval(ENDED, 100))
        paid = {household for household, state in (await scene.states()).items() if state == "settled"}
        ledger = (await simulator.get("/summary")).json()
    assert (ledger["settled"], ledger["failed"]) == (len(paid), 100 - len(paid))
    assert len(paid) < 100
    assert await scene.parked() == []
    assert await scene.balances() == {
        "funding": -100 * 176_000,
        "envelope": (100 - len(paid)) * 176_000,
        "in-transit": 0,
        "paid": len(paid) * 176_000,
    }
    assert await scene.db.fetchval("select bool_or(inquiries > 0) from payment")
