"""SMS handed over: rendered, encoded and given to the simulated gateway, on one core, beside a bare loop.

Both ways of handing over are measured, with what notifications has by default: SMPP with a window of 32, and
one HTTP request each, 64 at once. The floor writes the same PDUs, made beforehand, by the same window.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import NamedTuple

import httpx

from benchmarks import results
from services.notifications.gateways import smpp_wire
from services.notifications.gateways.kannel import Kannel
from services.notifications.gateways.outcome import Gateway, Verdict
from services.notifications.gateways.smpp import Smpp
from services.notifications.gateways.smpp_link import Account, Line
from services.notifications.options import template_files
from services.notifications.receipts import Receipt
from services.notifications.steps import READY
from services.notifications.wording import Facts, Text, Wording, load
from tonle.stack.errors import StackError
from tonle.stack.process import free_port

MESSAGES = 20_000
IN_FLIGHT = 64
USER, PASSWORD, SENDER = "tonle", "bench", "Tonle"
READY_S_MOST = 30.0


class Pace(NamedTuple):
    """Messages a second of this process's CPU time, and of the clock."""

    of_core: float
    of_clock: float


async def measure(home: Path, say: Callable[[str], None]) -> results.Figures:
    """The figures. Raises `StackError` where the gateway has not got every SMS once."""
    words, per_sms = load(template_files()), 0
    async with _gateway(home) as (url, port):
        account = Account(f"smpp://127.0.0.1:{port}", USER, PASSWORD, SENDER)
        smpp = await _handed_over(Smpp(account, Line(), _forget, None, say), words)
        await _check(url, MESSAGES)
        say(f"by SMPP {smpp.of_core:,.0f} SMS a second and core, {smpp.of_clock:,.0f} by the clock")
        floor = await _floor(port, words)
        say(f"the bare loop {floor.of_core:,.0f} a second and core")
        await _check(url, 2 * MESSAGES)
        http = await _handed_over(Kannel(url, USER, PASSWORD, SENDER, timeout_s=10), words)
        say(f"by HTTP {http.of_core:,.0f} a second and core, {http.of_clock:,.0f} by the clock")
        await _check(url, 3 * MESSAGES)
        per_sms = _rendered(words, 0).segments.total
    return {
        "sms_per_second_core": round(smpp.of_core),
        "sms_per_second": round(smpp.of_clock),
        "sms_segments": per_sms,
        "sms_floor_per_second_core": round(floor.of_core),
        "sms_floor_ratio": results.ratio(smpp.of_core, floor.of_core),
        "sms_http_per_second_core": round(http.of_core),
        "sms_http_per_second": round(http.of_clock),
    }


def _rendered(words: Wording, number: int) -> Text:
    facts = Facts("covid-19-cash-transfer", "wing", "2023-06", 80_000 + 100 * number, date(2023, 7, 1))
    return words.render(READY, "km", full=False, facts=facts)


def _phone(number: int) -> str:
    return f"+85512{number:06}"


async def _handed_over(gateway: Gateway, words: Wording) -> Pace:
    """Render each and hand it over, so many at once."""
    numbers = iter(range(MESSAGES))

    async def work() -> None:
        for number in numbers:
            text, segments = _rendered(words, number)
            outcome = await gateway.send(f"s-{number}", _phone(number), text, segments.encoding)
            if outcome.verdict is not Verdict.TAKEN:
                raise StackError(f"The gateway said {outcome.reason}.", "Look whether it was stopped.")

    began, busy = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    pace = _pace(began, busy)
    await gateway.close()
    return pace


async def _floor(port: int, words: Wording) -> Pace:
    """Write the bytes that are due, read until as many answers have come: nothing is made or looked at."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(smpp_wire.bind(smpp_wire.BIND_TRANSCEIVER, 1, USER, PASSWORD))
    await reader.read(1000)
    pdus = list(_pdus(words))
    began, busy = time.perf_counter(), time.process_time()
    due = answered = 0
    while answered < len(pdus):
        free = Line().window - (due - answered)
        writer.writelines(pdus[due : due + free])
        due = min(due + free, len(pdus))
        # A submit_sm_resp: its header and the simulator's 32 digits with their end.
        answered += (await reader.read(64 * 1024)).count(b"\x80\x00\x00\x04")
    pace = _pace(began, busy)
    writer.close()
    return pace


def _pdus(words: Wording) -> Iterator[bytes]:
    for number in range(MESSAGES):
        text, segments = _rendered(words, number)
        for part in smpp_wire.parts(text, segments.encoding, number & 0xFF):
            phone = _phone(number + MESSAGES)
            yield smpp_wire.submit_sm(number + 2, SENDER, phone, segments.encoding, part)


def _pace(began: float, busy: float) -> Pace:
    return Pace(MESSAGES / (time.process_time() - busy), MESSAGES / (time.perf_counter() - began))


@asynccontextmanager
async def _gateway(home: Path) -> AsyncIterator[tuple[str, int]]:
    """The simulated gateway as a process: the URL of its HTTP side, the port of SMPP."""
    port, smpp_port, password = free_port(), free_port(), _password_file(home)
    environment = os.environ | {
        "TONLE_DATA_DIR": str(home),
        "TONLE_PORT": str(port),
        "TONLE_GATEWAY_SMPP_PORT": str(smpp_port),
        "TONLE_GATEWAY_USER": USER,
        "TONLE_GATEWAY_PASSWORD_FILE": str(password),
        # Receipts are told for as long as nobody has time for them: afterwards.
        "TONLE_GATEWAY_RECEIPT_S": "3600",
    }
    command = (sys.executable, "-m", "simulators.gateway")
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        await _until_ready(url)
        yield url, smpp_port
    finally:
        process.terminate()
        await process.wait()


def _password_file(home: Path) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    file = home / "gateway.password"
    file.write_text(PASSWORD)
    return file


async def _until_ready(url: str) -> None:
    async with httpx.AsyncClient() as client, asyncio.timeout(READY_S_MOST):
        while True:
            try:
                (await client.get(f"{url}/health/ready")).raise_for_status()
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return


async def _check(url: str, wanted: int) -> None:
    async with httpx.AsyncClient() as client:
        counted = (await client.get(f"{url}/summary")).json()
    if (counted["accepted"], counted["duplicates_absorbed"]) != (wanted, 0):
        raise StackError(f"The gateway has {counted}, {wanted} SMS are due.", "See its record.")


async def _forget(_: Receipt) -> None:
    """Receipts are no part of this."""
