"""Holds over HTTP: placed by one person, released by another."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, cast
from uuid import uuid4

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, Field

from contracts.household import Account, HouseholdId
from contracts.wire import Cause
from postbox import outbox
from postbox.callers import Caller, allowed
from postbox.message import Connection
from postbox.problems import Problem
from postbox.service import Service
from services.payments import events, holds, store_holds, store_screening
from services.payments.cycles import NotPossible
from services.payments.holds import REASON, Hold

LANE, AT_ONCE = "api", 500
router = APIRouter(tags=["holds"])
Reader = Annotated[Caller, Depends(allowed("read"))]
Preparer = Annotated[Caller, Depends(allowed("cycle.prepare"))]
Approver = Annotated[Caller, Depends(allowed("cycle.approve"))]
Code = Annotated[str, Field(pattern=f"^{REASON.pattern}$")]
Version = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]
Digest = Callable[[str], str]


class NewHold(BaseModel):
    """A household or an account, and a reason code like `fraud-suspicion`; never free text on persons."""

    household_id: HouseholdId | None = None
    account: Account | None = None
    reason: Code


class Why(BaseModel):
    """The reason code of a release."""

    reason: Code


@router.get("/holds")
async def list_holds(
    request: Request,
    _: Reader,
    *,
    household: str | None = None,
    released: bool = False,
    most: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[dict[str, object]]:
    """Holds that stand, the oldest first; or those that were released."""
    async with request.app.state.service.db.acquire() as db:
        listed = await store_holds.listed(db, household, released=released, most=most)
    return [asdict(each) for each in listed]


@router.get("/holds/screening")
async def list_hits(
    request: Request, _: Reader, *, released: bool = False, most: Annotated[int, Query(ge=1, le=1000)] = 100
) -> list[dict[str, object]]:
    """Payees whose name is like one on the screening list: by the entry's id, the most alike first."""
    async with request.app.state.service.db.acquire() as db:
        return [each._asdict() for each in await store_screening.hits(db, released=released, most=most)]


@router.post("/holds/{hold_id}/release")
async def release(request: Request, hold_id: str, why: Why, caller: Approver) -> dict[str, object]:
    """Let go what another person held: what waits for it is issued."""
    service, now = _service(request, caller), datetime.now(UTC)
    async with service.db.acquire() as db, db.transaction():
        stands = await store_holds.find(db, hold_id)
        if stands is None:
            raise Problem(404, "There is no such hold", "List them: tonle holds list.")
        try:
            hold = holds.release(stands, caller.name, why.reason, now)
        except NotPossible as no:
            raise Problem(no.status, str(no), no.remedy) from None
        await store_holds.release(db, [hold], now)
        await _tell(service, db, [hold], now)
    service.courier.take([LANE])
    return asdict(hold)


@router.post("/holds/lists/{version}/release")
async def release_list(request: Request, version: Version, why: Why, caller: Approver) -> dict[str, object]:
    """Let go all who are held for likenesses in one wrong screening list alone, a chunk a transaction.

    The right list holds them again where they are alike. Stopped halfway, it is asked again.
    """
    service, now, count = _service(request, caller), datetime.now(UTC), 0
    while True:
        async with service.db.acquire() as db, db.transaction():
            stand = await store_holds.of_list(db, version, AT_ONCE)
            released = [
                holds.release(each, caller.name, why.reason, now, wrong_list=version) for each in stand
            ]
            await store_holds.release(db, released, now)
            await _tell(service, db, released, now)
        service.courier.take([LANE])
        count += len(released)
        if len(released) < AT_ONCE:
            return {"list": version, "released": count, "reason": why.reason}


def placing(digest: Digest) -> APIRouter:
    """`digest` makes of an account's text what is kept of it."""
    found = APIRouter(tags=["holds"])

    @found.post("/holds", status_code=201)
    async def place(request: Request, new: NewHold, caller: Preparer) -> dict[str, object]:
        """Hold a household or an account: nothing is issued to it until another person releases it."""
        service, now = _service(request, caller), datetime.now(UTC)
        if (new.household_id is None) is (new.account is None):
            raise Problem(422, "A hold is on a household or on an account", "Name one of both.")
        account = digest(holds.named(new.account.provider, new.account.number)) if new.account else None
        hold = Hold(str(uuid4()), new.household_id, account, new.reason, caller.name, now)
        async with service.db.acquire() as db, db.transaction():
            if await store_holds.place(db, hold) is None:
                raise Problem(409, "It is held for this reason already", "See: tonle holds list.")
            await _tell(service, db, [hold], now)
        service.courier.take([LANE])
        return asdict(hold)

    return found


async def _tell(service: Service, db: Connection, changed: Sequence[Hold], now: datetime) -> None:
    request_id = str(uuid4())
    cause = Cause(request_id, request_id, service.new_traceparent())
    await outbox.write(db, LANE, [events.of_hold(each, now, cause) for each in changed])


def _service(request: Request, caller: Caller) -> Service:
    if caller.area:
        raise Problem(403, f"{caller.name} acts for area {caller.area}", "Money is for the whole nation.")
    return cast(Service, request.app.state.service)
