"""Counter-entries over HTTP: asked for by one person, booked once another approved."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, cast
from uuid import uuid4

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from contracts.wire import Cause
from postbox import outbox
from postbox.message import Connection
from postbox.problems import Problem
from postbox.service import Service
from services.payments import (
    reversals,
    store_attempts,
    store_envelopes,
    store_reports,
    store_reversals,
)
from services.payments.api import LANE, Approver, No, Preparer, Reader, Text, national
from services.payments.cycles import NotPossible
from services.payments.handlers import Office
from services.payments.ledger import Kind
from services.payments.reversals import Reversal, ReversalState
from services.payments.states import Account, Payment

router = APIRouter(tags=["ledger"])
Most = Annotated[int, Query(ge=1, le=1000)]


class Asked(BaseModel):
    """The entry as `tonle ledger entries` shows it, and why it is wrong."""

    household_id: Text
    subject: Text
    kind: Kind
    reason: Text


@router.get("/ledger/reversals")
async def list_reversals(
    request: Request, _: Reader, *, decided: bool = False, most: Most = 100
) -> list[dict[str, object]]:
    """Counter-entries that wait for a second person, or those that were decided."""
    async with request.app.state.service.db.acquire() as db:
        return [asdict(each) for each in await store_reversals.listed(db, decided=decided, most=most)]


@router.post("/ledger/reversals", status_code=201)
async def propose(request: Request, asked: Asked, caller: Preparer) -> dict[str, object]:
    """Ask for the counter-entry of a wrongly booked one; nothing moves until another person approves."""
    national(caller)
    async with cast(Service, request.app.state.service).db.acquire() as db, db.transaction():
        entry = await store_reversals.entry(db, asked.household_id, asked.subject, asked.kind)
        if entry is None:
            raise Problem(404, "There is no such entry", "See: tonle ledger entries HOUSEHOLD.")
        said = Reversal(
            *(0, asked.household_id, asked.subject, entry.kind, entry.cycle_id, entry.amount),
            *(ReversalState.PROPOSED, caller.name, asked.reason),
        )
        await _reversible(db, said)
        number = await store_reversals.propose(db, said, datetime.now(UTC))
        if number is None:
            raise Problem(409, "It was asked for already", "See: tonle ledger reversals.")
    return {**asdict(said), "number": number}


@router.post("/ledger/reversals/{number}/approve")
async def approve(request: Request, number: int, why: No, caller: Approver) -> dict[str, object]:
    """Book a counter-entry that another person asked for, and what it means for the payment."""
    national(caller)
    service, now = cast(Service, request.app.state.service), datetime.now(UTC)
    async with service.db.acquire() as db, db.transaction():
        asked = await _asked(db, number)
        payment, account = await _reversible(db, asked)
        await _decide(db, partial(reversals.approve, asked, caller.name, why.reason), now)
        await _book(service, db, payment, account, now)
    service.courier.take([LANE])
    return {"number": number, "state": ReversalState.APPROVED, "payment_id": payment.payment_id}


@router.post("/ledger/reversals/{number}/refuse")
async def refuse(request: Request, number: int, why: No, caller: Approver) -> dict[str, object]:
    """Refuse what another person asked for: the entry stands."""
    national(caller)
    async with cast(Service, request.app.state.service).db.acquire() as db, db.transaction():
        asked = await _asked(db, number)
        await _decide(db, partial(reversals.refuse, asked, caller.name, why.reason), datetime.now(UTC))
    return {"number": number, "state": ReversalState.REFUSED}


async def _asked(db: Connection, number: int) -> Reversal:
    found = await store_reversals.find(db, number)
    if found is None:
        raise Problem(404, "No such reversal waits", "List them: tonle ledger reversals.")
    return found


async def _reversible(db: Connection, asked: Reversal) -> tuple[Payment, Account]:
    """The entry's payment, its cycle open to what it frees and its household locked. Raises `Problem`."""
    await store_envelopes.keep_open(db, [asked.cycle_id])
    accounts = await store_reports.load(db, [asked.household_id], [asked.subject], ())
    account = accounts.get(asked.household_id, Account(asked.household_id, 0, {}))
    try:
        return reversals.check(asked.kind, account.payments.get(asked.subject)), account
    except NotPossible as no:
        raise Problem(no.status, str(no), no.remedy) from None


async def _decide(db: Connection, decide: Callable[[], Reversal], now: datetime) -> None:
    try:
        decided = decide()
    except NotPossible as no:
        raise Problem(no.status, str(no), no.remedy) from None
    if not await store_reversals.decide(db, decided, now):
        raise Problem(409, "It was decided meanwhile", "See: tonle ledger reversals --decided.")


async def _book(service: Service, db: Connection, payment: Payment, account: Account, now: datetime) -> None:
    office = cast(Office, service.state)
    request_id = str(uuid4())
    cause = Cause(request_id, request_id, service.new_traceparent())
    after = reversals.booked(payment, account, cause)
    transfers = await store_reports.save(db, [after], now, office.patience)
    await store_attempts.note(db, [after], now, office.retrying.after)
    await store_envelopes.free(db, transfers)
    await outbox.write(db, LANE, office.voice(now).of_accounts([after]))
