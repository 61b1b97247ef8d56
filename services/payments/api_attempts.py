"""Payments that ended without being paid, and what partners paid unexpectedly, over HTTP."""

from datetime import UTC, datetime
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from postbox.callers import Caller, allowed
from postbox.message import Connection
from postbox.problems import Problem
from postbox.service import Service
from services.payments import ledger, store, store_attempts, store_envelopes
from services.payments.attempts import cover
from services.payments.cycles import NotPossible
from services.payments.jobs import REISSUE
from services.payments.states import DifferenceKind, Payment
from services.payments.store_attempts import Differing

router = APIRouter(tags=["attempts"])
Reader = Annotated[Caller, Depends(allowed("read"))]
Preparer = Annotated[Caller, Depends(allowed("cycle.prepare"))]
Approver = Annotated[Caller, Depends(allowed("cycle.approve"))]
Text = Annotated[str, Field(min_length=1, max_length=400)]
Most = Annotated[int, Query(ge=1, le=1000)]


class Which(BaseModel):
    """What to send again: of a cycle, of a household, what failed for a partner's reason code."""

    cycle: Text | None = None
    household: Text | None = None
    reason: Text | None = None


class Why(BaseModel):
    """The reason for asking."""

    reason: Text


class Resolution(BaseModel):
    """`covered`: the envelope pays what is owed to the partner; `closed`: nothing moves. And why."""

    resolution: Literal["covered", "closed"]
    reason: Text


@router.get("/attempts/ended")
async def list_ended(
    request: Request,
    _: Reader,
    *,
    cycle: str | None = None,
    after_household: str = "",
    after_programme: str = "",
    after_period: str = "",
    most: Most = 100,
) -> list[dict[str, object]]:
    """What is not paid by the partner's word, and why it is not sent again yet."""
    after = after_household, after_programme, after_period
    async with request.app.state.service.db.acquire() as db:
        return [each._asdict() for each in await store_attempts.ended(db, cycle, after, most)]


@router.post("/attempts/reissue")
async def reissue(request: Request, which: Which, caller: Preparer) -> dict[str, object]:
    """Send again what ended, whatever number of attempts were made; never what is unknown."""
    if not (which.cycle or which.household):
        raise Problem(422, "Neither a cycle nor a household is named", "Name the one to send again.")
    service = _service(request, caller)
    async with service.db.acquire() as db, db.transaction():
        keys, riel = await store_attempts.order(db, which.model_dump(), caller.name, datetime.now(UTC))
    service.wake(REISSUE)
    return {"ordered": keys, "riel_last_attempts": riel}


@router.get("/differences")
async def list_differences(
    request: Request, _: Reader, *, resolved: bool = False, most: Most = 100
) -> list[dict[str, object]]:
    """What partners paid and nobody expected, the oldest first."""
    async with request.app.state.service.db.acquire() as db:
        found = await store_attempts.differences(db, resolved=resolved, most=most)
    return [each._asdict() for each in found]


@router.post("/differences/{household_id}/{payment_id}/cover", status_code=201)
async def propose_cover(
    request: Request, household_id: str, payment_id: str, why: Why, caller: Preparer
) -> dict[str, object]:
    """Ask that the cycle's envelope pay what is owed for a late settlement; another person resolves it so."""
    service = _service(request, caller)
    async with service.db.acquire() as db, db.transaction():
        _, found = await _open(db, household_id, payment_id, DifferenceKind.SETTLED_LATE)
        if found.cover_by is not None:
            raise Problem(409, f"{found.cover_by} asked for it already", "Another person may approve it.")
        await store_attempts.propose_cover(db, found, by=caller.name, why=why.reason)
    return {**found._asdict(), "cover_by": caller.name, "cover_reason": why.reason}


@router.post("/differences/{household_id}/{payment_id}/resolve")
async def resolve(
    request: Request, household_id: str, payment_id: str, decided: Resolution, caller: Approver
) -> dict[str, object]:
    """Close a payment's oldest open difference; `covered` takes its riel from the cycle's envelope, once
    another person asked for that."""
    service, now = _service(request, caller), datetime.now(UTC)
    covers = decided.resolution == "covered"
    async with service.db.acquire() as db, db.transaction():
        budget = await store_envelopes.to_cover(db, household_id, payment_id) if covers else None
        kind = DifferenceKind.SETTLED_LATE if covers else None
        payment, found = await _open(db, household_id, payment_id, kind)
        if budget is not None:
            try:
                cover(found.cover_by, caller.name, payment, room=budget.room)
            except NotPossible as no:
                raise Problem(no.status, str(no), no.remedy) from None
            funds = await store_envelopes.spend(db, [budget], [payment], covers=True)
            await store.insert_transfers(db, [ledger.covered(payment, funds[payment_id])], now)
        await store_attempts.resolve(
            db, found, decided.resolution, by=caller.name, why=decided.reason, at=now
        )
    return _resolved(found, decided, caller)


async def _open(
    db: Connection, household_id: str, payment_id: str, kind: DifferenceKind | None
) -> tuple[Payment, Differing]:
    payment = await store_attempts.payment(db, household_id, payment_id)
    found = await store_attempts.open_difference(db, payment_id, kind) if payment else None
    if payment is None or found is None:
        raise Problem(404, "No such difference is open", "List them: tonle payments differences.")
    return payment, found


def _resolved(found: Differing, decided: Resolution, caller: Caller) -> dict[str, object]:
    said = {"resolution": decided.resolution, "reason": decided.reason, "resolved_by": caller.name}
    return {**found._asdict(), **said}


def _service(request: Request, caller: Caller) -> Service:
    if caller.area:
        raise Problem(403, f"{caller.name} acts for area {caller.area}", "Money is for the whole nation.")
    return cast(Service, request.app.state.service)
