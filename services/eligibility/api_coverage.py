"""Who is reached, over HTTP: a day's count is started, and read when it is done."""

import json
from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from postbox.callers import Caller, allowed
from postbox.problems import Problem
from services.eligibility import store_coverage
from services.eligibility.agenda import PHNOM_PENH

router = APIRouter(tags=["coverage"])
Reader = Annotated[Caller, Depends(allowed("read"))]
Operator = Annotated[Caller, Depends(allowed("operate"))]


@router.post("/coverage")
async def count(request: Request, _: Operator, *, again: bool = False) -> dict[str, object]:
    """Count who is reached today (in Phnom Penh). A day is counted once, unless `again`."""
    now = datetime.now(UTC)
    today = now.astimezone(PHNOM_PENH).date()
    async with request.app.state.service.db.acquire() as db, db.transaction():
        await store_coverage.start(db, today, now, again=again)
    return await show(request, today, _)


@router.get("/coverage")
async def list_counts(request: Request, _: Reader) -> list[dict[str, object]]:
    """The days that were counted, the latest first, and how far one got that is being counted."""
    async with request.app.state.service.db.acquire() as db:
        return [dict(each) for each in await store_coverage.coverages(db)]


@router.get("/coverage/{as_of}")
async def show(request: Request, as_of: date, _: Reader) -> dict[str, object]:
    """A day's report, null while it is being counted.

    `null` people are fewer than `threshold`; other figures are rounded to `rounded_to`. Sensitive programmes
    are told by their total alone.
    """
    async with request.app.state.service.db.acquire() as db:
        found = await store_coverage.coverage_of(db, as_of)
    if found is None:
        raise Problem(404, "That day was not counted", "List the days that were: GET /coverage.")
    return {**found, "report": json.loads(found["report"]) if found["report"] else None}
