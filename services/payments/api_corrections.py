"""What households were paid too little or too much, over HTTP: what is open, and what is written off."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from contracts.money import PAYABLE_MULTIPLE_RIEL, Riel
from postbox.callers import Caller, allowed
from postbox.problems import Problem
from postbox.service import Service
from services.payments import corrections, store_corrections
from services.payments.corrections import Next, WriteOff, WriteOffState
from services.payments.cycles import NotPossible
from services.payments.store_corrections import Open

router = APIRouter(tags=["corrections"])
Reader = Annotated[Caller, Depends(allowed("read"))]
Preparer = Annotated[Caller, Depends(allowed("cycle.prepare"))]
Approver = Annotated[Caller, Depends(allowed("cycle.approve"))]
Text = Annotated[str, Field(min_length=1, max_length=400)]
Most = Annotated[int, Query(ge=1, le=1000)]
Decide = Callable[[int, WriteOff], WriteOff]


class Proposal(BaseModel):
    """How many riel of an overpayment need not be given back, and why."""

    riel: Annotated[Riel, Field(gt=0, multiple_of=PAYABLE_MULTIPLE_RIEL)]
    reason: Text


class Why(BaseModel):
    """The reason for a decision."""

    reason: Text


@router.get("/corrections")
async def list_corrections(
    request: Request, _: Reader, *, after_household: str = "", after_programme: str = "", most: Most = 100
) -> list[dict[str, object]]:
    """What programmes owe households (riel above zero), or paid them too much (below zero), and who acts."""
    async with request.app.state.service.db.acquire() as db:
        found = await store_corrections.balances(db, (after_household, after_programme), most)
    return [{**each._asdict(), **_next(each)._asdict()} for each in found]


def _next(each: Open) -> Next:
    return corrections.next_step(each.household_id, each.programme, each.riel, goes_on=each.goes_on)


@router.get("/corrections/write-offs")
async def list_write_offs(request: Request, _: Reader, most: Most = 100) -> list[dict[str, object]]:
    """What waits for a second person."""
    async with request.app.state.service.db.acquire() as db:
        return [asdict(each) for each in await store_corrections.write_offs(db, None, most)]


@router.get("/corrections/{household_id}")
async def show_corrections(request: Request, household_id: str, _: Reader) -> dict[str, object]:
    """The payments of a household that differ from what is due, and what was written off."""
    async with request.app.state.service.db.acquire() as db:
        parts = await store_corrections.parts(db, household_id)
        written_off = await store_corrections.write_offs(db, household_id, 1000)
    return {
        "payments": [{**each._asdict(), "part": each.entitled - each.amount} for each in parts],
        "write_offs": [asdict(each) for each in written_off],
    }


@router.post("/corrections/{household_id}/{programme}/write-off", status_code=201)
async def propose(
    request: Request, household_id: str, programme: str, asked: Proposal, caller: Preparer
) -> dict[str, object]:
    """Ask that an overpayment be written off; another person approves or refuses it."""
    service, now = _service(request, caller), datetime.now(UTC)
    async with service.db.acquire() as db, db.transaction():
        open_now = await store_corrections.balance(db, household_id, programme)
        if await store_corrections.open_write_off(db, household_id, programme):
            raise Problem(409, "A write-off waits already", "Have another person approve or refuse it.")
        number = await store_corrections.next_number(db, household_id, programme)
        said = WriteOff(
            household_id,
            programme,
            number,
            asked.riel,
            WriteOffState.PROPOSED,
            proposed_by=caller.name,
            reason=asked.reason,
        )
        try:
            corrections.propose(open_now, said)
        except NotPossible as no:
            raise Problem(no.status, str(no), no.remedy) from None
        await store_corrections.keep(db, said, now)
    return asdict(said)


@router.post("/corrections/{household_id}/{programme}/approve")
async def approve(
    request: Request, household_id: str, programme: str, why: Why, caller: Approver
) -> dict[str, object]:
    """Write off what another person proposed."""

    def decide(balance: int, said: WriteOff) -> WriteOff:
        return corrections.approve(balance, said, caller.name, why.reason)

    return await _decide(_service(request, caller), household_id, programme, decide)


@router.post("/corrections/{household_id}/{programme}/refuse")
async def refuse(
    request: Request, household_id: str, programme: str, why: Why, caller: Approver
) -> dict[str, object]:
    """Refuse what another person proposed: the overpayment is recovered as before."""

    def decide(_: int, said: WriteOff) -> WriteOff:
        return corrections.refuse(said, caller.name, why.reason)

    return await _decide(_service(request, caller), household_id, programme, decide)


async def _decide(service: Service, household_id: str, programme: str, decide: Decide) -> dict[str, object]:
    async with service.db.acquire() as db, db.transaction():
        open_now = await store_corrections.balance(db, household_id, programme)
        proposed = await store_corrections.open_write_off(db, household_id, programme)
        if proposed is None:
            raise Problem(404, "No write-off waits here", "List them: tonle corrections write-offs.")
        try:
            decided = decide(open_now, proposed)
        except NotPossible as no:
            raise Problem(no.status, str(no), no.remedy) from None
        await store_corrections.keep(db, decided, datetime.now(UTC))
    return asdict(decided)


def _service(request: Request, caller: Caller) -> Service:
    if caller.area:
        raise Problem(403, f"{caller.name} acts for area {caller.area}", "Money is for the whole nation.")
    return cast(Service, request.app.state.service)
