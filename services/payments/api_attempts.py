"""Payments that ended without being paid, and what partners paid unexpectedly, over HTTP."""

from datetime import UTC, datetime
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from postbox.callers import Caller, allowed
from postbox.problems import Problem
from postbox.service import Service
from services.payments import ledger, store, store_attempts, store_envelopes
from services.payments.jobs import REISSUE
from services.payments.states import DifferenceKind
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


@router.post("/differences/{household_id}/{payment_id}/resolve")
async def resolve(
    request: Request, household_id: str, payment_id: str, decided: Resolution, caller: Approver
) -> dict[str, object]:
    """Close a payment's oldest open difference; `covered` takes its riel from the cycle's envelope."""
    service, now = _service(request, caller), datetime.now(UTC)
    kind = DifferenceKind.SETTLED_LATE if decided.resolution == "covered" else None
    async with service.db.acquire() as db, db.transaction():
        budget = None
        if decided.resolution == "covered":
            budget = await store_envelopes.to_cover(db, household_id, payment_id)
        payment = await store_attempts.payment(db, household_id, payment_id)
        found = await store_attempts.open_difference(db, payment_id, kind) if payment else None
        if payment is None or found is None:
            raise Problem(404, "No such difference is open", "List them: tonle payments differences.")
        if budget is not None:
            if budget.room < payment.amount:
                raise Problem(
                    409,
                    f"The envelope of {payment.cycle_id} has no room for {payment.amount} riel",
                    f"Raise it first: tonle cycles fund {payment.cycle_id}.",
                )
            funds = await store_envelopes.spend(db, [budget], [payment], covers=True)
            transfer = ledger.covered(payment, funds[payment_id])
            await store.insert_transfers(db, [transfer], now)
        await store_attempts.resolve(
            db, found, decided.resolution, by=caller.name, why=decided.reason, at=now
        )
    return _resolved(found, decided, caller)


def _resolved(found: Differing, decided: Resolution, caller: Caller) -> dict[str, object]:
    said = {"resolution": decided.resolution, "reason": decided.reason, "resolved_by": caller.name}
    return {**found._asdict(), **said}


def _service(request: Request, caller: Caller) -> Service:
    if caller.area:
        raise Problem(403, f"{caller.name} acts for area {caller.area}", "Money is for the whole nation.")
    return cast(Service, request.app.state.service)
