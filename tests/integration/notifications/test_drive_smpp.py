"""Kannel's own driver of SMPP clients, `drive_smpp`, drives ours, which binds separately for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.notifications.gateways.outcome import Outcome, Verdict
from tests.integration.notifications.conftest import PASSWORD, PHONE
from tests.integration.notifications.gateway_suite import Heard, by_smpp
from tests.integration.notifications.test_real_kannel import (
    FAKESMSC,
    kannel_installed,
    program,
)
from tests.waiting import until
from tonle.stack.process import free_port, port_is_free

pytestmark = pytest.mark.more

__all__ = ["kannel_installed"]
DRIVE_SMPP = FAKESMSC.with_name("drive_smpp")
ITS_SMSBOX_PORT = 13001
"""It ends unless it can connect to a bearerbox here; the port is written in it."""
DELIVERED = 500


@asynccontextmanager
async def driver(log: Path) -> AsyncIterator[int]:
    """`drive_smpp`, which sends so many messages to who binds as receiver; its port."""

    async def bearerbox(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    port = free_port()
    try:
        listening = await asyncio.start_server(bearerbox, "127.0.0.1", ITS_SMSBOX_PORT)
    except OSError:
        pytest.skip(f"drive_smpp needs port {ITS_SMSBOX_PORT}, which something else has")
    command = (str(DRIVE_SMPP), "-v", "0", "-p", str(port), "-m", str(DELIVERED))
    async with listening, program(log, *command):
        await until(lambda: _says(log, "Starting drive_smpp test"))
        await until(lambda: _listens(port))
        yield port


async def _listens(port: int) -> bool:
    return not port_is_free(port)


async def _says(log: Path, words: str, times: int = 1) -> bool:
    return log.read_text(errors="replace").count(words) >= times


async def test_it_takes_what_we_send_and_we_take_what_it_sends(
    kannel_installed: None, tmp_path: Path
) -> None:
    heard, log = Heard(), tmp_path / "drive_smpp.log"
    async with driver(log) as port:
        client = by_smpp(port, heard, separate=True)(PASSWORD)
        listening = asyncio.ensure_future(client.listen())
        sent = [client.send(f"s-{number}", PHONE, f"number {number}", "gsm-7") for number in range(500)]
        outcomes = await asyncio.gather(*sent, client.send("s-long", PHONE, "x" * 161, "gsm-7"))
        # It names no message: its submit_sm_resp holds an empty id.
        assert set(outcomes) == {Outcome(Verdict.TAKEN)}
        await until(lambda: _says(log, "type deliver_sm_resp", DELIVERED))
        said = log.read_text(errors="replace")
        assert all(f"short_message = <number {number}>" in said for number in range(500))
        assert said.count("type submit_sm\n") == 502
        assert sorted(int(each.text) for each in heard.inbound) == list(range(1, DELIVERED + 1))
        assert {(each.sender, each.recipient) for each in heard.inbound} == {("456", "123")}
        assert said.count("type enquire_link_resp") == DELIVERED
        listening.cancel()
        await asyncio.wait([listening])
        assert "type unbind" in log.read_text(errors="replace")


async def test_it_knows_no_transceiver(kannel_installed: None, tmp_path: Path) -> None:
    log = tmp_path / "drive_smpp.log"
    async with driver(log) as port:
        client = by_smpp(port, Heard(), timeout_s=5.0)(PASSWORD)
        outcome = await client.send("s-1", PHONE, "text", "gsm-7")
        assert outcome == Outcome(Verdict.NOT_TAKEN, "gateway-unreachable")
        await until(lambda: _says(log, "Unhandled SMPP PDU"))
        assert await _says(log, "type bind_transceiver")
