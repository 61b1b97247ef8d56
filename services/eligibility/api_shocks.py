"""Shocks over HTTP: declared by a file, ended on a day, and how far their households are."""

import asyncio
from datetime import UTC, date, datetime
from typing import Annotated

import asyncpg
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from contracts.wire import Record
from postbox import outbox
from postbox.callers import Caller, allowed
from postbox.message import Connection
from postbox.problems import Problem
from postbox.service import Service
from services.eligibility import gazetteer, shock_files, shocks, store, store_shocks
from services.eligibility.agenda import PHNOM_PENH
from services.eligibility.reading import FileRefused
from services.eligibility.shocks import Shock
from services.eligibility.striking import SHOCKS, lane

router = APIRouter(prefix="/shocks", tags=["shocks"])
Reader = Annotated[Caller, Depends(allowed("read"))]
Officer = Annotated[Caller, Depends(allowed("shock.declare"))]
FileName = Annotated[str, Query(max_length=200)]
LARGEST_FILE = 256 * 1024


class Ending(BaseModel):
    """The first day on which a shock holds no more."""

    on: date


@router.post("", status_code=201)
async def declare(request: Request, response: Response, file: FileName, caller: Officer) -> dict[str, object]:
    """Declare the shock of a file (YAML, at most 256 KiB); the households of its communes are scored again.

    Declared again with the same content it changes nothing (200); with other content it is refused.
    """
    content = await request.body()
    if len(content) > LARGEST_FILE:
        raise Problem(413, "The file is too large", f"A shock's file has at most {LARGEST_FILE} bytes.")
    communes = await asyncio.to_thread(gazetteer.communes)
    try:
        shock = shock_files.parse(file, content, communes)
    except FileRefused as refused:
        raise Problem(422, "The shock's file is refused", str(refused)) from None
    _within(caller, shock)
    service: Service = request.app.state.service
    now = datetime.now(UTC)
    async with service.db.acquire() as db, db.transaction():
        await store.lock_terms(db)
        before = await store_shocks.find(db, shock.name)
        if before is None:
            await store_shocks.declare(db, shock, caller.name, now)
            await _begin(db, shock, shocks.told(shock, caller.name, now, service.new_traceparent()), now)
        elif not before.says_as(shock):
            raise Problem(409, f"{shock.name} is declared already, with other content", _OTHER_NAME)
        response.status_code = 201 if before is None else 200
        found = await store_shocks.one(db, shock.name)
    return _told(service, found)


@router.post("/{name}/end")
async def end(request: Request, name: str, ending: Ending, caller: Officer) -> dict[str, object]:
    """End a shock from a day on; decisions for days before it stay. Ended so already, nothing changes."""
    service: Service = request.app.state.service
    now = datetime.now(UTC)
    async with service.db.acquire() as db, db.transaction():
        await store.lock_terms(db)
        before = await store_shocks.find(db, name)
        if before is None:
            raise _no_such_shock()
        _within(caller, before)
        if before.ended_on != ending.on:
            after = before.end(ending.on)
            if after is None:
                remedy = "An end may only come earlier: for further days declare a new shock."
                raise Problem(409, f"{name} does not hold on {ending.on} any more", remedy)
            await store_shocks.end(db, after, caller.name, now)
            await _begin(db, after, shocks.told(after, caller.name, now, service.new_traceparent()), now)
        found = await store_shocks.one(db, name)
    return _told(service, found)


@router.get("")
async def list_shocks(request: Request, _: Reader) -> list[dict[str, object]]:
    """Every shock with how far its latest job is, the last declared first."""
    async with request.app.state.service.db.acquire() as db:
        return [_shown(row) for row in await store_shocks.every(db)]


@router.get("/{name}")
async def show_shock(request: Request, name: str, _: Reader) -> dict[str, object]:
    """One shock: what was declared, by whom, and how far its households are."""
    async with request.app.state.service.db.acquire() as db:
        row = await store_shocks.one(db, name)
    if row is None:
        raise _no_such_shock()
    return _shown(row)


_OTHER_NAME = "End it and declare the other under a new name; a name says the same for ever."


def _no_such_shock() -> Problem:
    return Problem(404, "There is no such shock", "List them with `tonle shock list`.")


def _within(caller: Caller, shock: Shock) -> None:
    beyond = sorted(each for each in shock.communes if not caller.covers(each))
    if beyond:
        title = f"{len(beyond)} communes lie outside your area, {beyond[0]} first"
        raise Problem(403, title, "Leave them out, or ask somebody whose area they are in.")


async def _begin(db: Connection, shock: Shock, told: Record, now: datetime) -> None:
    """Have the households scored again, and the event told."""
    today = now.astimezone(PHNOM_PENH).date()
    # Who has no cycle is judged as of today where the shock, or its end, is of today.
    concerned = shock.holds(today) if shock.ended_on is None else today >= shock.ended_on
    await store_shocks.add_job(db, shock, today if concerned else None, now)
    await outbox.write(db, lane(shock.name), [told])


def _told(service: Service, row: asyncpg.Record | None) -> dict[str, object]:
    assert row is not None
    service.courier.take([lane(row["name"])])
    service.wake(SHOCKS)
    return _shown(row)


def _shown(row: asyncpg.Record) -> dict[str, object]:
    return {**row, "state": "finished" if row["finished_at"] else "running"}
