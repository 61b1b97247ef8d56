"""Payments over HTTP: cycles and who decides on them, what was paid, and what waits."""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Annotated, Literal, cast
from uuid import uuid4

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from contracts.cycle import ApprovalKind
from contracts.eligibility import Period
from contracts.money import Riel
from contracts.wire import Cause
from postbox import outbox, parking
from postbox.callers import Caller, allowed
from postbox.problems import Problem
from postbox.service import Service
from postbox.telemetry import trace_id
from services.payments import (
    approval,
    cycles,
    events,
    jobs,
    ledger,
    store,
    store_cycles,
    store_envelopes,
    store_views,
)
from services.payments.approval import Thresholds
from services.payments.budget import Stage, Waiting
from services.payments.cycles import Cycle, NotPossible, Terms
from services.payments.handlers import Office
from services.payments.states import State

LANE = "api"
router = APIRouter(tags=["payments"])
Reader = Annotated[Caller, Depends(allowed("read"))]
Preparer = Annotated[Caller, Depends(allowed("cycle.prepare"))]
Approver = Annotated[Caller, Depends(allowed("cycle.approve"))]
Text = Annotated[str, Field(min_length=1, max_length=400)]
Donor = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
DEFAULT_DONOR = "royal-government"


class NewCycle(BaseModel):
    """What two people are to agree to; `envelope` (which `donor` gives) and `cap_household` in riel."""

    programme: Annotated[str, Field(min_length=1, max_length=80)]
    programme_hash: Annotated[str, Field(min_length=1, max_length=128)]
    purpose: Annotated[str, Field(min_length=1, max_length=80)]
    period: Period
    reference_date: date
    envelope: Annotated[Riel, Field(gt=0)]
    cap_household: Annotated[Riel, Field(gt=0)]
    cap_payments: Annotated[int, Field(gt=0, le=100_000_000)]
    approval: Literal["standing", "payroll"] = "standing"
    donor: Donor = DEFAULT_DONOR


class Why(BaseModel):
    """The reason for a step."""

    reason: Text | None = None


class No(BaseModel):
    """The reason for a refusal, which must be given."""

    reason: Text


class Fund(BaseModel):
    """The new total of the envelope in riel, who gives what is added, and why."""

    envelope: Annotated[Riel, Field(gt=0)]
    donor: Donor = DEFAULT_DONOR
    reason: Text | None = None


@router.post("/cycles", status_code=201)
async def open_cycle(request: Request, new: NewCycle, caller: Preparer) -> dict[str, object]:
    """Open a cycle with its terms; nothing is paid until another person approves them.

    What waits in the programme's other cycles stays there, and is paid from their envelopes.
    """
    terms = Terms(
        **new.model_dump(exclude={"envelope", "approval", "donor"}), approval=ApprovalKind(new.approval)
    )
    return await cycle_step(
        request,
        terms.cycle_id,
        caller,
        "open",
        lambda current: cycles.open_cycle(current, terms, new.envelope, new.donor, caller.name),
    )


@router.post("/cycles/{cycle_id}/submit")
async def submit_cycle(request: Request, cycle_id: str, caller: Preparer) -> dict[str, object]:
    """Ask for a decision."""
    limits = thresholds(request)
    return await cycle_step(
        request, cycle_id, caller, "submit", lambda each: approval.submit(_there(each), caller.name, limits)
    )


@router.post("/cycles/{cycle_id}/fund")
async def fund_cycle(request: Request, cycle_id: str, asked: Fund, caller: Preparer) -> dict[str, object]:
    """Ask for a larger envelope; other people approve or refuse it as they do the cycle."""
    limits = thresholds(request)
    return await cycle_step(
        request,
        cycle_id,
        caller,
        "fund",
        lambda each: approval.propose(
            _there(each), asked.envelope, asked.donor, by=caller.name, reason=asked.reason, thresholds=limits
        ),
    )


@router.post("/cycles/{cycle_id}/approve")
async def approve_cycle(
    request: Request, cycle_id: str, caller: Approver, why: Why | None = None
) -> dict[str, object]:
    """Approve what awaits a decision; once as many people as it takes have (`approvals_missing` is 0),
    payments are issued, those that wait at once.
    """
    reason = why.reason if why else None
    return await cycle_step(
        request, cycle_id, caller, "approve", lambda each: approval.approve(_there(each), caller.name, reason)
    )


@router.post("/cycles/{cycle_id}/refuse")
async def refuse_cycle(request: Request, cycle_id: str, no: No, caller: Approver) -> dict[str, object]:
    """Refuse what awaits a decision."""
    return await cycle_step(
        request,
        cycle_id,
        caller,
        "refuse",
        lambda each: approval.refuse(_there(each), caller.name, no.reason),
    )


@router.post("/cycles/{cycle_id}/close")
async def close_cycle(
    request: Request, cycle_id: str, caller: Approver, why: Why | None = None
) -> dict[str, object]:
    """End a cycle: no payment is issued from here on."""
    reason = why.reason if why else None
    return await cycle_step(
        request, cycle_id, caller, "close", lambda each: cycles.close(_there(each), reason)
    )


@router.get("/cycles")
async def list_cycles(request: Request, _: Reader) -> list[dict[str, object]]:
    """Every cycle, the latest period first."""
    async with request.app.state.service.db.acquire() as db:
        return [_shown(cycle) for cycle in await store_cycles.all_cycles(db)]


@router.get("/cycles/{cycle_id}")
async def show_cycle(request: Request, cycle_id: str, _: Reader) -> dict[str, object]:
    """One cycle with its funds in the order in which they are drawn, its steps, and what waits in it."""
    async with request.app.state.service.db.acquire() as db:
        cycle = _there(await store_cycles.find(db, cycle_id))
        steps = await store_cycles.steps(db, cycle_id)
        funds = await store_envelopes.funds(db, cycle_id)
        waiting = await store_views.waiting(db, cycle_id)
    return {
        **_shown(cycle),
        "waiting": [each._asdict() for each in waiting],
        "funds": [each._asdict() for each in funds],
        "steps": [asdict(each) for each in steps],
    }


@router.get("/payments")
async def list_payments(
    request: Request,
    _: Reader,
    *,
    cycle: str | None = None,
    household: str | None = None,
    state: State | Stage | None = None,
    after_household: str = "",
    after_payment: str = "",
    most: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[dict[str, object]]:
    """Payments by household and payment id; the next page begins after the last of this one.

    Those that are planned or approved, and not issued yet, come with them.
    """
    wanted = {"cycle_id": cycle, "household_id": household, "state": state}
    page = (after_household, after_payment), most
    async with request.app.state.service.db.acquire() as db:
        found = [] if isinstance(state, Stage) else await store_views.payments(db, wanted, *page)
        if not isinstance(state, State):
            found += await store_views.before_issue(db, wanted, *page)
    found.sort(key=lambda each: (each.household_id, each.payment_id))
    return [each._asdict() for each in found[:most]]


@router.get("/waiting")
async def list_waiting(request: Request, _: Reader, cycle: str | None = None) -> list[dict[str, object]]:
    """Households and riel that wait, by cycle and reason."""
    async with request.app.state.service.db.acquire() as db:
        return [each._asdict() for each in await store_views.waiting(db, cycle)]


@router.get("/households/{household_id}/story")
async def story(request: Request, household_id: str, _: Reader) -> list[dict[str, object]]:
    """What happened to this household's payments, oldest first."""
    async with request.app.state.service.db.acquire() as db:
        told = await store_views.story(db, household_id)
    return [
        {
            "at": each.at.isoformat(),
            "service": "payments",
            "what": each.what,
            "trace_id": trace_id(each.traceparent),
            "detail": {"id": each.about, "riel": each.riel, **({"note": each.note} if each.note else {})},
        }
        for each in told
    ]


@router.get("/summary")
async def summary(request: Request, _: Reader, cycle: str | None = None) -> dict[str, object]:
    """What the monitor shows, of one cycle or all: counts and riel, and `provinces` for the bars.

    eligible = payments - reissued + waiting, once no message is `held` and nothing is in between: each
    attempt is a payment, and `reissued` were replaced by another one.
    """
    async with request.app.state.service.db.acquire() as db:
        eligible = await store_views.eligible(db)
        waiting = await store_views.waiting(db, cycle)
        shares = [each for each in await store_views.shares(db) if cycle in (None, each.cycle_id)]
        held = (await parking.counts(db))["held"]
    provinces: dict[str, int] = {}
    for share in shares:
        provinces[share.province] = provinces.get(share.province, 0) + share.riel
    return {
        "eligible": sum(count for each, count in eligible.items() if cycle in (None, each)),
        "payments": sum(share.payments for share in shares),
        "reissued": sum(share.reissued for share in shares),
        "waiting": sum(each.households for each in waiting),
        "held": held,
        "riel_issued": sum(share.riel for share in shares),
        "riel_settled": sum(share.riel for share in shares if share.state == State.SETTLED),
        "riel_waiting": sum(each.riel for each in waiting),
        **{each.value: sum(wait.households for wait in waiting if wait.state is each) for each in Stage},
        **{f"waiting_{reason.replace('-', '_')}": _sum(waiting, reason) for reason in Waiting},
        **{state.value: sum(share.payments for share in shares if share.state == state) for state in State},
        "provinces": provinces,
    }


async def cycle_step(
    request: Request, cycle_id: str, caller: Caller, step: str, decide: Callable[[Cycle | None], Cycle]
) -> dict[str, object]:
    """Take one step with a cycle under its lock, write it with who took it, and tell it.

    Raises `Problem` where the step is not possible as things stand.
    """
    service = cast(Service, request.app.state.service)
    national(caller)
    now = datetime.now(UTC)
    async with service.db.acquire() as db, db.transaction():
        current = await store_cycles.lock(db, cycle_id)
        try:
            after = decide(current)
        except NotPossible as no:
            raise Problem(no.status, str(no), no.remedy) from None
        if after is not current:
            funded = after.funded - (current.funded if current else 0)
            await store_cycles.save(db, after, step=step, actor=caller.name, at=now)
            if funded:
                prepared_by = current.prepared_by if current else ()
                await store_envelopes.fund(db, after, funded, prepared_by, now)
                await store.insert_transfers(db, [ledger.funded(cycle_id, after.version, funded)], now)
            request_id = str(uuid4())
            cause = Cause(request_id, request_id, service.new_traceparent())
            await outbox.write(db, LANE, events.of_cycle(current, after, caller.name, now, cause))
    service.courier.take([LANE])
    service.wake(jobs.ISSUE)
    return _shown(after)


def thresholds(request: Request) -> Thresholds:
    """Riel from which more people approve, as payments was started with."""
    office = cast(Office, cast(Service, request.app.state.service).state)
    return office.thresholds


def national(caller: Caller) -> None:
    """Cycles are no matter of one area. Raises `Problem`."""
    if caller.area:
        raise Problem(403, f"{caller.name} acts for area {caller.area}", "A cycle is for the whole nation.")


def _there(cycle: Cycle | None) -> Cycle:
    if cycle is None:
        raise Problem(404, "There is no such cycle", "List the cycles, or open this one.")
    return cycle


def _shown(cycle: Cycle) -> dict[str, object]:
    flat = asdict(cycle)
    terms = flat.pop("terms")
    missing = cycle.approvals_missing
    return {"cycle_id": cycle.cycle_id, **terms, **flat, "room": cycle.room, "approvals_missing": missing}


def _sum(waiting: Iterable[store_views.Wait], reason: Waiting) -> int:
    return sum(each.households for each in waiting if each.reason == reason)
