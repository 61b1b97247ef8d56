"""The simulated partner passes the suite of partners, survives kills, and behaves as seeded."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL

import httpx
import pytest
import pytest_asyncio

from contracts.payment import InstructionKind, ReportStatus
from simulators.partner_ledger import Behaviour
from tests.integration.payments.conftest import until
from tests.integration.payments.partner_suite import ENDS, PartnerSuite, Talk, talker, talking
from tonle.stack.secrets import Secrets
from tonle.stack.supervisor import Stack

pytestmark = pytest.mark.stack
FAILS_ALWAYS = {"TONLE_PARTNER_FAIL_SHARE": "1"}


@dataclass
class Simulator:
    """The partner's process."""

    environment: dict[str, str]
    process: asyncio.subprocess.Process | None = field(default=None)

    async def start(self, **changes: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.environment["TONLE_PORT"] = str(free.getsockname()[1])
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "simulators.partner"),
            env={**os.environ, **self.environment, **changes},
            stdout=DEVNULL,
        )
        await until(self._ready)

    async def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(how)
        await self.process.wait()

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.environment['TONLE_PORT']}") as client:
            return await client.get(path)

    async def _ready(self) -> bool:
        try:
            return (await self.get("/health/ready")).is_success
        except httpx.TransportError:
            return False


@pytest_asyncio.fixture
async def simulator(
    stack: Stack, secrets: Secrets, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Simulator]:
    """The partner, not running yet."""
    found = Simulator(
        {
            "TONLE_KAFKA": stack.state.kafka.bootstrap,
            "TONLE_TOPIC_PREFIX": topic_prefix,
            "TONLE_DATA_DIR": str(tmp_path),
            "TONLE_SECRETS": str(secrets.folder),
            "TONLE_PARTNER": "wing",
            "TONLE_PARTNER_FAIL_SHARE": "0",
        }
    )
    yield found
    if found.process is not None and found.process.returncode is None:
        await found.end()


@pytest_asyncio.fixture
async def conversation(stack: Stack, secrets: Secrets, topic_prefix: str) -> AsyncIterator[Talk]:
    """Our side, with nobody listening yet."""
    async with talking(talker(secrets), stack.state.kafka.bootstrap, topic_prefix) as found:
        yield found


@pytest_asyncio.fixture
async def talk(simulator: Simulator, conversation: Talk) -> Talk:
    """Our side, and the simulator at work."""
    await simulator.start()
    return conversation


class TestSimulatedPartner(PartnerSuite):
    """The suite, on the simulator."""


async def test_a_killed_partner_pays_each_once_and_says_so(simulator: Simulator, conversation: Talk) -> None:
    ids = [f"p-{number}" for number in range(400)]
    orders = [conversation.instruction(each, household_id=f"h-{each}") for each in ids]
    await simulator.start()
    await conversation.tell(orders[:200])
    await until(lambda: _heard(conversation, 1))
    await simulator.end(signal.SIGKILL)
    await conversation.tell(orders[200:])
    await simulator.start()
    await conversation.until_ended(ids)
    summary = (await simulator.get("/summary")).json()
    assert (summary["settled"], summary["riel_settled"]) == (400, 400 * 176_000)
    assert (summary["told_again"], summary["reports_sent"]) == (0, 800)


async def test_what_fails_is_seeded_and_reported_with_a_code(
    simulator: Simulator, conversation: Talk
) -> None:
    await simulator.start(**FAILS_ALWAYS)
    await conversation.tell([conversation.instruction("p-1")])
    await conversation.until_ended(["p-1"])
    assert conversation.heard[-1].data.status is ReportStatus.FAILED
    assert conversation.heard[-1].data.reason_code == "account-closed"
    assert (await simulator.get("/ledger?payment_id=p-1")).json()["state"] == "failed"


async def test_a_report_that_was_dropped_is_given_when_asked(
    simulator: Simulator, conversation: Talk
) -> None:
    await simulator.start(TONLE_PARTNER_DROP_SHARE="1")
    await conversation.tell([conversation.instruction("p-1")])
    await until(lambda: _settled(simulator))
    assert await conversation.hear() == []
    await conversation.tell([conversation.instruction("p-1", InstructionKind.INQUIRE)])
    await until(lambda: _heard(conversation, 1))
    assert conversation.heard[-1].data.status in ENDS


async def test_a_payment_not_settled_yet_can_be_cancelled(simulator: Simulator, conversation: Talk) -> None:
    await simulator.start(TONLE_PARTNER_SETTLE_AFTER_S="600")
    await conversation.tell(
        [conversation.instruction("p-1"), conversation.instruction("p-1", InstructionKind.CANCEL)]
    )
    await until(lambda: _heard(conversation, 2))
    assert await conversation.said_of("p-1") == [ReportStatus.ACCEPTED, ReportStatus.CANCELLED]


def test_the_same_seed_picks_the_same_share() -> None:
    picked = [Behaviour(7).picks(0.01, f"fail/{number}") for number in range(20_000)]
    assert picked == [Behaviour(7).picks(0.01, f"fail/{number}") for number in range(20_000)]
    assert 150 < sum(picked) < 250
    assert picked != [Behaviour(8).picks(0.01, f"fail/{number}") for number in range(20_000)]


async def _heard(conversation: Talk, count: int) -> bool:
    return len(await conversation.hear()) >= count


async def _settled(simulator: Simulator) -> bool:
    return bool((await simulator.get("/summary")).json().get("settled"))
