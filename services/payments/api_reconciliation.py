"""Reconciliation over HTTP: what does not agree between us, partners and banks; and closing it."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from postbox.callers import Caller, allowed
from postbox.message import Connection
from postbox.problems import Problem
from services.payments import reconciliation, store_reconciliation
from services.payments.api_partners import office_of, service_of
from services.payments.events import PHNOM_PENH
from services.payments.reconciliation import STEPS, Difference, Kind, Limits, Statement, Terms

router = APIRouter(tags=["reconciliation"])
Reader = Annotated[Caller, Depends(allowed("read"))]
Loader = Annotated[Caller, Depends(allowed("partner.load"))]


class Asked(BaseModel):
    """Of which partner, since which day of issue, and how many differences at most are listed."""

    partner: str | None = None
    since: date | None = None
    most: Annotated[int, Field(ge=1, le=10_000)] = 200


class Closing(BaseModel):
    """A difference as it was listed, and what a person found out about it."""

    kind: Kind
    partner: str
    subject: str
    riel: int
    reason: Annotated[str, Field(min_length=1, max_length=400)]


@router.get("/reconciliation")
async def reconcile(request: Request, _: Reader, asked: Annotated[Asked, Query()]) -> dict[str, object]:
    """Each partner's days, and every difference that is open: its kind, age in days, owner and next step.

    `open` counts them all by kind; `differences` lists the first `most`.
    """
    today = datetime.now(PHNOM_PENH).date()
    counts: Counter[str] = Counter()
    listed: list[dict[str, object]] = []
    async with (
        service_of(request).db.acquire() as db,
        db.transaction(isolation="repeatable_read", readonly=True),
    ):
        sums = await store_reconciliation.sums(db, asked.partner, asked.since)
        closed = await store_reconciliation.closed(db)
        async for each in _differences(db, asked.partner, today, office_of(request).limits):
            if (each.kind, each.partner, each.subject, each.riel) in closed:
                counts["closed"] += 1
                continue
            counts[each.kind] += 1
            if len(listed) < asked.most:
                listed.append(_shown(each, today))
    done = counts.pop("closed", 0)
    return {
        "days": [each._asdict() for each in sums],
        "open": {kind.value: counts[kind] for kind in Kind if counts[kind]},
        "open_total": sum(counts.values()),
        "closed": done,
        "differences": listed,
    }


@router.post("/reconciliation/close")
async def close(request: Request, caller: Loader, closing: Closing) -> dict[str, object]:
    """Close a difference with a reason; it opens again if its riel change."""
    if closing.kind is Kind.SET_ASIDE:
        raise Problem(422, "A row of a file is closed as a row", "Use: tonle partners close.")
    found = Difference(closing.kind, closing.partner, closing.subject, date.min, closing.riel, "")
    async with service_of(request).db.acquire() as db:
        await store_reconciliation.close(db, found, caller.name, closing.reason, datetime.now(UTC))
    return {"closed": closing.subject, "by": caller.name}


async def _differences(
    db: Connection, partner: str | None, today: date, limits: Limits
) -> AsyncIterator[Difference]:
    covered = await store_reconciliation.covered(db)
    right = []
    for batch in await store_reconciliation.batches(db):
        difference = reconciliation.of_batch(batch)
        if difference is None:
            right.append(batch.batch)
        elif partner in (None, batch.partner):
            yield difference
    for of_account in _by_account(await store_reconciliation.statements(db, partner)):
        for difference in reconciliation.of_statements(of_account):
            yield difference
    async for line in store_reconciliation.loose_lines(db, partner):
        yield reconciliation.of_loose(Kind.ORPHAN, line)
    async for row in store_reconciliation.rows_aside(db, partner):
        yield reconciliation.of_loose(Kind.SET_ASIDE, row)
    async for kind, settlement in store_reconciliation.settlements(db, partner):
        yield reconciliation.of_loose(kind, settlement)
    terms = Terms(today, covered, limits)
    async for payment in store_reconciliation.evidence(db, partner, right):
        for difference in reconciliation.of_payment(payment, terms):
            yield difference


def _by_account(statements: Sequence[Statement]) -> Iterator[list[Statement]]:
    for _, of_account in groupby(statements, key=lambda each: (each.partner, each.account)):
        yield list(of_account)


def _shown(each: Difference, today: date) -> dict[str, object]:
    owner, step = STEPS[each.kind]
    return {**each._asdict(), "age_days": (today - each.day).days, "owner": owner, "next_step": step}
