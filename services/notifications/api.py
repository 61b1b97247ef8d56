"""What notifications answers over HTTP; no text and no number in it."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from asyncpg import Record as Row
from fastapi import APIRouter, Depends, Query, Request

from postbox.callers import Caller, allowed
from postbox.telemetry import trace_id
from services.notifications import api_messages, api_notices, api_words, sms, store_receipts, store_views
from services.notifications.costs import Prices
from services.notifications.gateways import callbacks
from services.notifications.telling import PAYMENT_STATES
from services.notifications.wording import Wording

router = APIRouter(tags=["notifications"])
router.include_router(callbacks.router)
router.include_router(api_messages.router)
Reader = Annotated[Caller, Depends(allowed("read"))]
STATES = ("waiting", "queued", "sending", "sent", "failed", "unknown", "none")
_WHAT = {
    "waiting": "SMS waits for its time",
    "queued": "SMS queued",
    "sending": "SMS on its way to the gateway",
    "sent": "SMS sent",
    "failed": "SMS refused by the gateway",
    "unknown": "SMS may have been sent: the gateway's answer was not seen",
    "none": "no SMS",
}


def routes(wording: Wording, prices: Prices, now: Callable[[], datetime]) -> APIRouter:
    """Everything that is answered; `prices` are riel a segment by operator, `now` is the clock."""
    everything = APIRouter()
    everything.include_router(router)
    everything.include_router(api_words.router(wording, prices))
    everything.include_router(api_notices.router(wording, now))
    return everything


@router.get("/households/{household_id}/story")
async def story(request: Request, household_id: str, _: Reader) -> list[dict[str, object]]:
    """What this household was told, oldest first."""
    async with request.app.state.service.db.acquire() as db:
        return [_told(row) for row in await store_views.of_household(db, household_id)]


@router.get("/summary")
async def summary(request: Request, _: Reader) -> dict[str, int]:
    """SMS by state, those not sent by reason (`none_no_phone`, …), and segments of those handed over.

    `payments_…` are payments by their state as it was heard, `told_…` by the best that became of their SMS.
    `receipts_…` are SMS by what the gateway said of them later.
    """
    async with request.app.state.service.db.acquire() as db:
        receipts = await store_receipts.summary(db)
        counted, payments = await store_views.summary(db), await store_views.payments(db)
    answer = dict.fromkeys(
        (*STATES, *(f"none_{each.replace('-', '_')}" for each in sms.REASONS), "segments"), 0
    )
    answer |= dict.fromkeys((f"payments_{each}" for each in PAYMENT_STATES), 0)
    answer |= dict.fromkeys((f"told_{each}" for each in STATES if each != "sending"), 0)
    for state, reason, messages, segments in counted:
        answer[state] += messages
        if reason is not None:
            answer[f"none_{reason.replace('-', '_')}"] += messages
        if state == "sent":
            answer["segments"] += segments
    for state, outcome, count in payments:
        answer[f"payments_{state}"] = answer.get(f"payments_{state}", 0) + count
        answer[f"told_{outcome}"] += count
    return answer | receipts


@router.get("/sms")
async def list_sms(
    request: Request,
    _: Reader,
    *,
    household: str | None = None,
    state: str | None = None,
    reason: str | None = None,
    after: str = "",
    most: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[dict[str, object]]:
    """SMS by id, of one household, state or reason where given; the next page begins `after` the last id."""
    async with request.app.state.service.db.acquire() as db:
        rows = await store_views.listed(
            db, household_id=household, state=state, reason=reason, after=after, most=most
        )
    return [dict(row) for row in rows]


def _told(row: Row) -> dict[str, object]:
    return {
        "at": (row["finished_at"] or row["told_at"]).isoformat(),
        "service": "notifications",
        "what": _WHAT[row["state"]] + (f": {row['reason']}" if row["reason"] else ""),
        "trace_id": trace_id(row["traceparent"]),
        "detail": {
            name: row[name]
            for name in ("sms_id", "payment_id", "template", "language", "encoding", "segments", "attempts")
            if row[name] is not None
        },
    }
