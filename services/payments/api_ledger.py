"""The ledger over HTTP: balances at any instant, and a household's entries."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import AwareDatetime

from postbox.callers import Caller, allowed
from services.payments import store_ledger

router = APIRouter(tags=["ledger"])
Reader = Annotated[Caller, Depends(allowed("read"))]


@router.get("/ledger/balances")
async def balances(
    request: Request, _: Reader, at: AwareDatetime | None = None, cycle: str | None = None
) -> list[dict[str, object]]:
    """Each account of each cycle, debits minus credits in riel, as it stood `at` an instant."""
    async with request.app.state.service.db.acquire() as db:
        return [each._asdict() for each in await store_ledger.balances(db, at, cycle)]


@router.get("/ledger/funds")
async def funds(
    request: Request, _: Reader, at: AwareDatetime | None = None, cycle: str | None = None
) -> list[dict[str, object]]:
    """What became of each donor's riel, by programme and period, as it stood `at` an instant."""
    async with request.app.state.service.db.acquire() as db:
        return [each._asdict() for each in await store_ledger.funds(db, at, cycle)]


@router.get("/ledger/entries/{household_id}")
async def entries(request: Request, household_id: str, _: Reader) -> list[dict[str, object]]:
    """What was moved for a household's payments, the oldest first."""
    async with request.app.state.service.db.acquire() as db:
        return [each._asdict() for each in await store_ledger.entries(db, household_id)]
