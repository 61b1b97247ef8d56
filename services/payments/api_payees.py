"""Payees that are not those paid last, over HTTP: what waits for a second person, and confirming it."""

from datetime import UTC, datetime
from typing import Annotated, cast

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from contracts.household import HouseholdId, Payee, Revision
from postbox.message import Connection
from postbox.problems import Problem
from postbox.service import Service
from services.payments import jobs, store_payees
from services.payments.api import Approver, Reader, Text, national
from services.payments.handlers import Office, opener
from services.payments.store_payees import Confirmed, Current
from vault import keyring

router = APIRouter(tags=["payees"])
Most = Annotated[int, Query(ge=1, le=1000)]


class Seen(BaseModel):
    """The household's revision that was looked at, and how it was made sure of."""

    revision: Revision
    reason: Text


@router.get("/payees/waiting")
async def list_waiting(
    request: Request, _: Reader, *, after: str = "", most: Most = 100
) -> list[dict[str, object]]:
    """Households that would be paid to another name, telephone or account than last, by id."""
    async with request.app.state.service.db.acquire() as db:
        return [each._asdict() for each in await store_payees.waiting(db, after, most)]


@router.get("/payees/confirmed")
async def list_confirmed(request: Request, _: Reader, most: Most = 100) -> list[dict[str, object]]:
    """Who confirmed which payees, and why; the latest first."""
    async with request.app.state.service.db.acquire() as db:
        return [each._asdict() for each in await store_payees.confirmed(db, most)]


@router.post("/payees/{household_id}/confirm")
async def confirm(
    request: Request, household_id: HouseholdId, seen: Seen, caller: Approver
) -> dict[str, object]:
    """Let a household be paid to whoever collects as of this revision; what waits for it is issued."""
    national(caller)
    service, now = cast(Service, request.app.state.service), datetime.now(UTC)
    said = Confirmed(household_id, seen.revision, caller.name, seen.reason, now)
    async with service.db.acquire() as db, db.transaction():
        current = await store_payees.current(db, household_id)
        if current is None:
            raise Problem(404, "No payee of this household waits", "List them: tonle payees list.")
        if current.revision != seen.revision:
            raise Problem(
                409,
                f"The household is at revision {current.revision} by now",
                "Look at its payee again, and confirm that revision.",
            )
        office = cast(Office, service.state)
        payee = await _opened(office, db, current)
        await store_payees.confirm(db, said, office.mark(payee))
    service.wake(jobs.LIFT)
    service.wake(jobs.REISSUE)
    return said._asdict()


async def _opened(office: Office, db: Connection, current: Current) -> Payee:
    sealed = current.sealed
    keys = await keyring.load(db, office.master, [sealed.key_id] if sealed else [])
    payee = opener(keys)(sealed, current.decision_id) if sealed else None
    if payee is None:
        raise Problem(409, "Who collects was forgotten", "Nothing can be paid to this household.")
    return payee
