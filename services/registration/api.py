"""The HTTP interface of the single window: households one by one."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, TypeVar
from uuid import uuid4

from asyncpg import UniqueViolationError
from fastapi import APIRouter, Depends, Header, Path, Query, Request

from contracts import wire
from contracts.household import Payee, Persons
from postbox import outbox
from postbox.callers import Caller, allowed
from postbox.problems import Problem
from postbox.service import Service
from postbox.telemetry import trace_id
from services.registration import store, store_imports
from services.registration.desk import Desk, Doubled, Receipt, doubled, within
from services.registration.forms import Exit, HouseholdForm, Households, Revision, form_of
from services.registration.office import Office
from services.registration.registering import LANE_API
from services.registration.rules import REFERENCE_MOST

router = APIRouter(tags=["households"])
RequestId = Annotated[str, Header(alias="Idempotency-Key", min_length=1, max_length=200)]
HouseholdId = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9-]+$")]
Reference = Annotated[str, Query(max_length=REFERENCE_MOST)]
Answer = TypeVar("Answer")
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@router.post("/households", status_code=201)
async def register(
    request: Request,
    form: HouseholdForm,
    request_id: RequestId,
    caller: Annotated[Caller, Depends(allowed("household.register"))],
) -> Receipt:
    """Register a household. The same request id and content get the first answer again."""
    return await at_desk(request, caller, lambda desk: desk.register(form, request_id))


@router.put("/households/{household_id}")
async def revise(
    request: Request,
    household_id: HouseholdId,
    revision: Revision,
    caller: Annotated[Caller, Depends(allowed("household.revise"))],
) -> Receipt:
    """Replace a household's content; `replaces` names the revision that was looked at."""
    return await at_desk(
        request, caller, lambda desk: desk.revise(household_id, revision.replaces, revision.household)
    )


@router.post("/households/{household_id}/exit")
async def leave(
    request: Request,
    household_id: HouseholdId,
    why: Exit,
    caller: Annotated[Caller, Depends(allowed("household.exit"))],
) -> Receipt:
    """Let a household exit; its identities are free for others from then on."""
    return await at_desk(request, caller, lambda desk: desk.leave(household_id, why.reason))


@router.get("/households")
async def find(
    request: Request, reference: Reference, caller: Annotated[Caller, Depends(allowed("read"))]
) -> dict[str, str]:
    """The id of the household that is registered, or was, under a reference."""
    async with service_of(request).db.acquire() as db:
        known = (await store.known(db, [reference])).get(reference)
    if known is None or not caller.covers(known.commune):
        raise Problem(404, "No such reference in your area", "Check it, or ask the office above yours.")
    return {"household_id": known.household_id}


@router.get("/households/{household_id}")
async def read(
    request: Request, household_id: HouseholdId, caller: Annotated[Caller, Depends(allowed("household.read"))]
) -> dict[str, object]:
    """A household as it is; `household` has the shape that a revision takes."""
    async with service_of(request).db.acquire() as db:
        kept = within(await store.find(db, household_id), caller)
    found = kept.registration
    persons, payee = wire.load(Persons, found.persons), wire.load(Payee, found.payee)
    return {
        "household_id": household_id,
        "revision": found.revision,
        "state": "exited" if kept.exited else "registered",
        "commune": found.commune,
        "area_type": found.area_type,
        "household": form_of(found.reference, found.level, persons, payee).model_dump(),
    }


@router.get("/households/{household_id}/story")
async def story(
    request: Request, household_id: HouseholdId, caller: Annotated[Caller, Depends(allowed("read"))]
) -> list[dict[str, object]]:
    """What happened to a household here, oldest first."""
    async with service_of(request).db.acquire() as db:
        within(await store.find(db, household_id), caller)
        changes = await store.changes(db, household_id)
        first = changes[0].import_id
        file = await store_imports.find_import(db, first) if first else None
    return [
        {
            "at": change.at.isoformat(),
            "service": "registration",
            "what": change.kind,
            "trace_id": trace_id(change.traceparent),
            "detail": {
                "revision": change.revision,
                "by": change.actor,
                "reason": change.reason,
                "file": file.file_name if file and change.import_id else None,
                "row_number": change.row_number,
            },
        }
        for change in changes
    ]


@router.post("/references")
async def references(
    request: Request, of: Households, caller: Annotated[Caller, Depends(allowed("read"))]
) -> dict[str, str]:
    """The reference that each of these households is registered under; none outside the caller's area."""
    async with service_of(request).db.acquire() as db:
        return await store.references(db, of.household_ids, caller.area)


@router.get("/summary")
async def summary(request: Request, _: Annotated[Caller, Depends(allowed("read"))]) -> dict[str, int]:
    """How many rows and households took which way; rows of files add up to `imported`."""
    async with service_of(request).db.acquire() as db:
        totals = await store_imports.totals(db)
        by_hand = await store.changed_by_hand(db)
    return totals | {
        "registered": totals["registered"] + by_hand.get("registered", 0),
        "revised": by_hand.get("revised", 0),
        "exited": by_hand.get("exited", 0),
    }


async def refuse_when_full(service: Service, office: Office) -> None:
    """503 while too many messages wait for the broker: what is accepted here must be told soon."""
    async with service.db.acquire() as db:
        waiting = await outbox.backlog(db)
    if waiting > office.outbox_messages_most:
        raise Problem(
            503,
            "Too many messages wait to be published",
            "Try again in a minute with the same Idempotency-Key; nothing was registered.",
            waiting=waiting,
        )


def service_of(request: Request) -> Service:
    """The service that answers this request."""
    service: Service = request.app.state.service
    return service


def office_of(request: Request) -> Office:
    """What this service's API and jobs share."""
    office: Office = request.app.state.service.state
    return office


async def at_desk(request: Request, caller: Caller, act: Callable[[Desk], Awaitable[Answer]]) -> Answer:
    """What `act` answers at a desk of its own, in one transaction; its refusals are problems."""
    service, office = service_of(request), office_of(request)
    await refuse_when_full(service, office)
    cause = cause_of(request, service)

    async def once() -> Answer:
        async with service.db.acquire() as db, db.transaction():
            return await act(Desk(office, db, caller, datetime.now(UTC), cause))

    try:
        try:
            answer = await once()
        except UniqueViolationError:
            # Another request took the id or an identity in between: look again, and answer accordingly.
            answer = await once()
    except Doubled as found:
        async with service.db.acquire() as db:
            raise await doubled(db, caller, found, datetime.now(UTC)) from None
    service.courier.take([LANE_API])
    return answer


def cause_of(request: Request, service: Service) -> wire.Cause:
    sent = request.headers.get("traceparent", "")
    began = sent if _TRACEPARENT.fullmatch(sent) else service.new_traceparent()
    traceparent = service.tracing.mark("household request", began)
    request_id = str(uuid4())
    return wire.Cause(request_id, request_id, traceparent)
