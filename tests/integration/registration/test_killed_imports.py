"""An import whose process is killed in the middle goes on, and registers every household exactly once."""

from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from contracts import wire
from contracts.household import HouseholdRegistered
from contracts.topics import HOUSEHOLD_KEYS, HOUSEHOLD_REGISTERED
from tests.integration.registration.conftest import Window
from tests.processes import answering_process
from tests.unit.registration.samples import csv_bytes, row
from tests.waiting import until

pytestmark = pytest.mark.stack
HOUSEHOLDS = 2000


@asynccontextmanager
async def process(window: Window) -> AsyncIterator[Process]:
    """Registration as a process of its own, which `window` then talks to."""
    async with answering_process("services.registration.app", window.settings) as (started, url):
        window.service = SimpleNamespace(url=url)  # type: ignore[assignment]
        yield started


async def test_a_killed_import_goes_on_and_registers_every_household_once(window: Window) -> None:
    rows = [row(n, **({"village": ""} if n % 20 == 0 else {})) for n in range(1, HOUSEHOLDS + 1)]
    async with process(window) as first:
        import_id = (await window.upload(csv_bytes(rows))).json()["import_id"]
        await until(lambda: window.db.fetchval("select rows_done > 200 from import"))
        first.kill()
        await first.wait()
    done = await window.db.fetchval("select rows_done from import")
    assert 200 < done < HOUSEHOLDS
    async with process(window):
        run = await window.ended(import_id)
        assert run["rows_done"] == HOUSEHOLDS
        assert (run["registered"], run["quarantined"]) == (HOUSEHOLDS * 19 // 20, HOUSEHOLDS // 20)
        told = [
            wire.decode(HouseholdRegistered, HOUSEHOLD_REGISTERED.name, r.key, r.value, r.headers)
            for r in await window.on(HOUSEHOLD_REGISTERED.name)
        ]
        keys = {record.key for record in await window.on(HOUSEHOLD_KEYS.name)}
    # A message may be on the topic twice after a crash; its id and content are the same then.
    assert len({event.id for event in told}) == len({event.key for event in told}) == run["registered"]
    assert len({(event.id, event.data.persons.blob) for event in told}) == run["registered"]
    assert len(keys) == run["registered"]
    assert await window.db.fetchval("select count(*) from household") == run["registered"]
    assert list((window.settings.data_dir / "spool").iterdir()) == []
