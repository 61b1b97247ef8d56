"""Payrolls over HTTP: freeze what waits, decide on it by its content, and have it issued."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, cast

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from postbox.callers import Caller
from postbox.message import Connection
from postbox.problems import Problem
from postbox.service import Service
from services.payments import approval, jobs, payroll, store_cycles, store_payrolls, store_views
from services.payments.api import Approver, No, Preparer, Reader, Text, cycle_step, national, thresholds
from services.payments.api_preview import answered, as_csv
from services.payments.cycles import Cycle, NotPossible
from services.payments.payroll import Digest, Line, Payroll, PayrollState, Verdict

router = APIRouter(tags=["payrolls"])


class Decision(BaseModel):
    """A decision on the list with this digest, and why."""

    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    reason: Text


@router.post("/cycles/{cycle_id}/payrolls", status_code=202)
async def freeze_payroll(request: Request, cycle_id: str, caller: Preparer) -> dict[str, object]:
    """Begin to freeze what waits in a cycle; a job goes on with it. 409 until the cycle is answered."""
    national(caller)
    service, now = _service(request), datetime.now(UTC)
    async with service.db.acquire() as db, db.transaction():
        await store_cycles.lock(db, cycle_id)
        cycle, _ = await answered(request, db, cycle_id)
        known = await store_payrolls.of_cycle(db, cycle_id)
        try:
            begun = payroll.begin(cycle, known[-1] if known else None, caller.name)
        except NotPossible as no:
            raise Problem(no.status, str(no), no.remedy) from None
        await store_payrolls.insert(db, begun, now)
    service.wake(jobs.FREEZE)
    return _shown(begun)


@router.get("/cycles/{cycle_id}/payrolls")
async def list_payrolls(request: Request, cycle_id: str, _: Reader) -> list[dict[str, object]]:
    """A cycle's payrolls, the first first."""
    async with _service(request).db.acquire() as db:
        return [_shown(each) for each in await store_payrolls.of_cycle(db, cycle_id)]


@router.get("/cycles/{cycle_id}/payrolls/{number}.csv", response_class=StreamingResponse)
async def list_lines(request: Request, cycle_id: str, number: int, _: Reader) -> StreamingResponse:
    """Every line of a payroll, in the order that its digest is taken in."""

    async def rows() -> AsyncIterator[str]:
        yield as_csv([Line._fields])
        async with _service(request).db.acquire() as db, db.transaction():
            async for page in store_payrolls.lines(db, cycle_id, number):
                yield as_csv(page)

    async with _service(request).db.acquire() as db, db.transaction():
        await _find(db, cycle_id, number)
    return StreamingResponse(rows(), media_type="text/csv")


@router.get("/cycles/{cycle_id}/payrolls/{number}")
async def show_payroll(request: Request, cycle_id: str, number: int, _: Reader) -> dict[str, object]:
    """A payroll with who decided what on it, and its digest taken again from its lines."""
    async with _service(request).db.acquire() as db, db.transaction():
        cycle, found = await _find(db, cycle_id, number)
        decisions = await store_payrolls.decisions(db, found)
        again = await _digest(db, cycle, found)
    return {
        **_shown(found),
        "digest_of_lines": again.hexdigest() if found.digest else None,
        "decisions": [each._asdict() for each in decisions],
    }


@router.post("/cycles/{cycle_id}/payrolls/{number}/approve")
async def approve_payroll(
    request: Request, cycle_id: str, number: int, said: Decision, caller: Approver
) -> dict[str, object]:
    """Approve the list with this digest; it takes one to three people by its amount."""
    return await _decide(request, (cycle_id, number), Verdict.APPROVE, said, caller)


@router.post("/cycles/{cycle_id}/payrolls/{number}/refuse")
async def refuse_payroll(
    request: Request, cycle_id: str, number: int, said: Decision, caller: Approver
) -> dict[str, object]:
    """Refuse the list with this digest; what is on it waits for another."""
    return await _decide(request, (cycle_id, number), Verdict.REFUSE, said, caller)


@router.post("/cycles/{cycle_id}/issue", status_code=202)
async def issue_cycle(request: Request, cycle_id: str, caller: Preparer) -> dict[str, object]:
    """Have what was approved issued by a job; asking again changes nothing. See `/progress`."""
    national(caller)
    service, now = _service(request), datetime.now(UTC)
    async with service.db.acquire() as db, db.transaction():
        cycle = await store_cycles.lock(db, cycle_id)
        if cycle is None:
            raise Problem(404, "There is no such cycle", "List the cycles, or open this one.")
        for each in await store_payrolls.of_cycle(db, cycle_id):
            if each.state in (PayrollState.FREEZING, PayrollState.FROZEN, PayrollState.APPROVED):
                await _release(db, cycle, each, now)
        turn = await store_cycles.try_again(db, cycle_id)
        to_issue = await store_cycles.count_waiting(db, turn)
    service.wake(jobs.ISSUE)
    return {**_progress(cycle, through=False), "to_issue": to_issue}


@router.get("/cycles/{cycle_id}/progress")
async def progress(request: Request, cycle_id: str, _: Reader) -> dict[str, object]:
    """Payments issued so far, and whether all that waits was gone `through`; then what waits, and why."""
    async with _service(request).db.acquire() as db:
        cycle = await store_cycles.find(db, cycle_id)
        if cycle is None:
            raise Problem(404, "There is no such cycle", "List the cycles, or open this one.")
        through = await store_cycles.is_through(db, cycle_id)
        waiting = await store_views.waiting(db, cycle_id) if through else []
    found = _progress(cycle, through=through)
    return {**found, "waiting": {each.reason: each.households for each in waiting}}


@router.post("/cycles/{cycle_id}/let-in")
async def let_in(request: Request, cycle_id: str, why: No, caller: Preparer) -> dict[str, object]:
    """Propose that late joiners of a cycle pass as they arrive, within its caps; others decide."""
    limits = thresholds(request)

    def decide(current: Cycle | None) -> Cycle:
        if current is None:
            raise Problem(404, "There is no such cycle", "List the cycles, or open this one.")
        return approval.let_in(current, caller.name, why.reason, limits)

    return await cycle_step(request, cycle_id, caller, "let-in", decide)


async def _decide(
    request: Request, at: tuple[str, int], verdict: Verdict, said: Decision, caller: Caller
) -> dict[str, object]:
    national(caller)
    now = datetime.now(UTC)
    async with _service(request).db.acquire() as db, db.transaction():
        await store_cycles.lock(db, at[0])
        cycle, found = await _find(db, *at)
        try:
            after = payroll.decide(found, verdict, said.digest, by=caller.name, room=cycle.room)
        except NotPossible as no:
            raise Problem(no.status, str(no), no.remedy) from None
        await store_payrolls.decide(db, found, verdict, by=caller.name, reason=said.reason, at=now)
        await store_payrolls.save(db, after, now)
    return _shown(after)


async def _release(db: Connection, cycle: Cycle, found: Payroll, now: datetime) -> None:
    try:
        released = payroll.release(found)
    except NotPossible as no:
        raise Problem(no.status, str(no), no.remedy) from None
    again = await _digest(db, cycle, found)
    if again.hexdigest() != found.digest:
        raise Problem(
            409,
            f"The lines of {found.name} are not those that were approved",
            "Nothing was issued. Compare its lines with the digest (`tonle payrolls show`), and call whoever"
            " keeps the database.",
        )
    await store_payrolls.save(db, released, now)


async def _digest(db: Connection, cycle: Cycle, found: Payroll) -> Digest:
    digest = Digest(cycle.terms)
    async for page in store_payrolls.lines(db, found.cycle_id, found.number):
        digest.add(page)
    return digest


async def _find(db: Connection, cycle_id: str, number: int) -> tuple[Cycle, Payroll]:
    cycle = await store_cycles.find(db, cycle_id)
    found = [each for each in await store_payrolls.of_cycle(db, cycle_id) if each.number == number]
    if cycle is None or not found:
        raise Problem(404, "There is no such payroll", "See `tonle payrolls list CYCLE`.")
    return cycle, found[0]


def _progress(cycle: Cycle, *, through: bool) -> dict[str, object]:
    issued = cycle.committed - cycle.released
    return {"cycle_id": cycle.cycle_id, "payments": cycle.payments, "riel": issued, "through": through}


def _service(request: Request) -> Service:
    return cast(Service, request.app.state.service)


def _shown(found: Payroll) -> dict[str, object]:
    return store_payrolls.shown(found)
