"""Asking a partner not to pay, over HTTP."""

from datetime import UTC, datetime
from typing import Annotated, cast
from uuid import uuid4

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from contracts.wire import Cause
from postbox import outbox
from postbox.callers import Caller, allowed
from postbox.problems import Problem
from postbox.service import Service
from services.payments import states, store_reports
from services.payments.cycles import NotPossible
from services.payments.handlers import Office

LANE = "api"
Approver = Annotated[Caller, Depends(allowed("cycle.approve"))]


class Why(BaseModel):
    """The reason for asking."""

    reason: Annotated[str, Field(min_length=1, max_length=400)]


def router(office: Office) -> APIRouter:
    """`office` speaks to the partners."""
    found = APIRouter(tags=["attempts"])

    @found.post("/attempts/{household_id}/{payment_id}/cancel")
    async def cancel(
        request: Request, household_id: str, payment_id: str, why: Why, caller: Approver
    ) -> dict[str, object]:
        """Ask the partner not to pay a payment that is open; its answer decides what becomes of it."""
        if caller.area:
            raise Problem(403, f"{caller.name} acts for area {caller.area}", "Money is for the whole nation.")
        service, now = cast(Service, request.app.state.service), datetime.now(UTC)
        async with service.db.acquire() as db, db.transaction():
            account = (await store_reports.load(db, [household_id], [payment_id], ())).get(household_id)
            if account is None or payment_id not in account.payments:
                raise Problem(404, "There is no such payment", "List them: tonle payments list.")
            request_id = str(uuid4())
            cause = Cause(request_id, request_id, service.new_traceparent())
            try:
                asked = states.cancel(account, payment_id, cause, why.reason, caller.name)
            except NotPossible as no:
                raise Problem(no.status, str(no), no.remedy) from None
            await store_reports.save(db, [asked], now, office.patience)
            await outbox.write(db, LANE, office.voice(now).of_accounts([asked]))
        service.courier.take([LANE])
        return {"payment_id": payment_id, "asked": asked.payments[payment_id].cancels}

    return found
