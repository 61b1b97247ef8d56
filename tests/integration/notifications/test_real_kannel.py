"""A real Kannel (bearerbox, smsbox and its fakesmsc as the operator) passes the suite of gateways."""

import asyncio
import contextlib
import os
import shutil
import subprocess
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import pytest
import pytest_asyncio

from services.notifications.segments import measure
from tests.integration.notifications.conftest import PASSWORD, USER
from tests.integration.notifications.gateway_suite import (
    TEXTS,
    GatewaySuite,
    Got,
    UnderTest,
    by_kannel,
    taken,
)
from tests.waiting import until
from tonle.stack.process import free_port

pytestmark = pytest.mark.more

FAKESMSC = Path("/usr/lib/kannel/test/fakesmsc")
PHONE = "+85570000000"
# Kannel reads a group to the next empty line.
CONFIGURATION = """
group = core
admin-port = {admin}
admin-password = {password}
smsbox-port = {smsbox}
box-allow-ip = 127.0.0.1

{smsc}

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1

group = sendsms-user
username = {user}
password = {password}
max-messages = 10
concatenation = true
"""


FAKE = """
group = smsc
smsc = fake
port = {operator}
connect-allow-ip = 127.0.0.1
"""
BY_SMPP = """
group = smsc
smsc = smpp
host = 127.0.0.1
port = {operator}
transceiver-mode = true
system-type = ""
smsc-username = {user}
smsc-password = {password}
"""


@pytest.fixture(scope="module")
def kannel_installed() -> None:
    """Kannel's programs; fetched with apt-get where this user may."""
    if not (shutil.which("bearerbox") and FAKESMSC.exists()):
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            pytest.skip(
                "Kannel is not here, and only root can fetch it (apt-get install kannel kannel-extras)"
            )
        install = ("install", "-y", "--no-install-recommends", "kannel", "kannel-extras")
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        try:
            for arguments in (("update",), install):
                subprocess.run(
                    ("apt-get", *arguments), check=True, capture_output=True, timeout=300, env=environment
                )
        except (subprocess.SubprocessError, OSError):
            pytest.skip("Kannel is not here and could not be fetched (apt-get install kannel kannel-extras)")


class Part(NamedTuple):
    """One segment: its concatenation header where it has one, and its octets."""

    sender: str
    to: str
    header: bytes | None
    octets: bytes


class Operator:
    """What fakesmsc was given, read from its log: `Got message 3: <sender to kind …>`."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def parts(self, phone: str) -> list[Part]:
        """The segments sent to a number, in the order they came."""
        # The last line may be half written.
        lines = self.log.read_text().rpartition("\n")[0].split("DEBUG: Got message ")[1:]
        parts = map(_part, (line.partition(": <")[2].rpartition(">")[0] for line in lines))
        return [part for part in parts if part.to == phone]

    def messages(self, phone: str) -> list[Got]:
        """The whole messages sent to a number."""
        whole: dict[bytes | int, dict[int, Part]] = {}
        for position, part in enumerate(self.parts(phone)):
            # 05 00 03 <reference> <of> <number>: TS 23.040, 9.2.3.24.1.
            key, number = (part.header[3:5], part.header[5]) if part.header else (position, 1)
            whole.setdefault(key, {})[number] = part
        return [
            Got(phone, parts[1].sender, _text(b"".join(parts[number].octets for number in sorted(parts))))
            for key, parts in whole.items()
            if isinstance(key, int) or len(parts) == key[1]
        ]


def _part(message: str) -> Part:
    sender, to, kind, rest = message.split(" ", 3)
    header = None
    if kind == "udh":
        udh, kind, rest = rest.split(" ", 2)
        header = _octets(udh)
    return Part(sender, to, header, rest.encode() if kind == "text" else _octets(rest))


def _octets(data: str) -> bytes:
    return unquote_to_bytes(data.replace("+", " "))


def _text(octets: bytes) -> str:
    # fakesmsc does not name the coding of a part; UCS-2 shows by its high octets.
    ucs_2 = any(octet < 0x20 for octet in octets)
    return octets.decode("utf-16-be" if ucs_2 else "utf-8")


@asynccontextmanager
async def program(log: Path, *command: str) -> AsyncIterator[Process]:
    """A program that writes to this log, ended with its block."""
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Operator:
    return Operator(tmp_path_factory.mktemp("kannel") / "fakesmsc.log")


@asynccontextmanager
async def kannel(folder: Path, smsc: str, operator: int) -> AsyncIterator[str]:
    """bearerbox and smsbox with this operator; the URL of `sendsms`."""
    ports = {name: free_port() for name in ("admin", "smsbox", "sendsms")}
    known = {"user": USER, "password": PASSWORD, "operator": operator}
    conf = folder / "kannel.conf"
    conf.write_text(CONFIGURATION.format(smsc=smsc.format(**known).strip(), **known, **ports).lstrip())
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(program(folder / "bearerbox.log", "bearerbox", str(conf)))
        await until(lambda: _listens(ports["smsbox"]))
        await stack.enter_async_context(program(folder / "smsbox.log", "smsbox", str(conf)))
        await until(lambda: _listens(ports["sendsms"]))
        yield f"http://127.0.0.1:{ports['sendsms']}"


@pytest_asyncio.fixture(scope="module")
async def under_test(kannel_installed: None, operator: Operator) -> AsyncIterator[UnderTest]:
    port = free_port()
    fakesmsc = (str(FAKESMSC), "-H", "127.0.0.1", "-r", str(port), "-m", "0", "1 2 text none")

    async def received(phone: str) -> list[Got]:
        return operator.messages(phone)

    async with kannel(operator.log.parent, FAKE, port) as url, program(operator.log, *fakesmsc):
        yield UnderTest(by_kannel(url), received)


class TestRealKannel(GatewaySuite):
    """The suite, on Kannel; and its own count of segments beside ours."""

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
    async def test_it_makes_the_segments_we_count(
        self, under_test: UnderTest, operator: Operator, text: str
    ) -> None:
        segments, before = measure(text), len(operator.parts(PHONE))
        async with under_test.client() as client:
            assert await taken(client, PHONE, text)

        async def arrived() -> bool:
            return len(operator.parts(PHONE)) >= before + segments.total

        await until(arrived)
        assert len(operator.parts(PHONE)) - before == segments.total
