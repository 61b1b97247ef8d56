"""The calendar over HTTP: milestones reached up to a day, and again for any past day."""

from datetime import UTC, date, datetime
from typing import Annotated

import asyncpg
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from postbox.callers import Caller, allowed
from postbox.problems import Problem
from postbox.service import Service
from services.eligibility import store_calendar
from services.eligibility.agenda import PHNOM_PENH
from services.eligibility.calendar import CALENDAR

router = APIRouter(prefix="/calendar", tags=["calendar"])
Reader = Annotated[Caller, Depends(allowed("read"))]
Operator = Annotated[Caller, Depends(allowed("operate"))]


class Asked(BaseModel):
    """The day up to which milestones are to be reached; today (Phnom Penh) when not said."""

    day: date | None = None


@router.post("/runs", status_code=202)
async def run(request: Request, asked: Asked, caller: Operator) -> dict[str, object]:
    """Reach every milestone up to a day that was not reached yet. A second run finds nothing left to do."""
    service: Service = request.app.state.service
    now = datetime.now(UTC)
    today = now.astimezone(PHNOM_PENH).date()
    day = asked.day or today
    if day > today:
        raise Problem(422, "This day has not come yet", f"Name a day up to {today}.")
    async with service.db.acquire() as db:
        await store_calendar.begin_again(db, day, caller.name, now)
        row = await store_calendar.find_run(db, day)
    assert row is not None
    service.wake(CALENDAR)
    return _shown(row)


@router.get("/runs")
async def list_runs(
    request: Request, _: Reader, most: Annotated[int, Query(ge=1, le=400)] = 30
) -> list[dict[str, object]]:
    """The latest runs, the last day first."""
    async with request.app.state.service.db.acquire() as db:
        return [_shown(row) for row in await store_calendar.runs(db, most)]


@router.get("/runs/{day}")
async def show_run(request: Request, day: date, _: Reader) -> dict[str, object]:
    """How far the run of a day is."""
    async with request.app.state.service.db.acquire() as db:
        row = await store_calendar.find_run(db, day)
    if row is None:
        raise Problem(404, "There was no run for this day", "Run it: `tonle calendar run --day DAY`.")
    return _shown(row)


@router.get("/outlook")
async def outlook(request: Request, _: Reader) -> dict[str, int]:
    """How many households have a milestone `ahead`; `failed`: theirs can't be read."""
    async with request.app.state.service.db.acquire() as db:
        return await store_calendar.outlook(db)


def _shown(row: asyncpg.Record) -> dict[str, object]:
    return {**row, "state": "finished" if row["finished_at"] else "running"}
