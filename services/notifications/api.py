"""What notifications answers over HTTP; no text and no number in it."""

from typing import Annotated

from asyncpg import Record as Row
from fastapi import APIRouter, Depends, Query, Request

from postbox.callers import Caller, allowed
from postbox.telemetry import trace_id
from services.notifications import store

router = APIRouter(tags=["notifications"])
Reader = Annotated[Caller, Depends(allowed("read"))]
STATES = ("queued", "sending", "sent", "failed", "unknown", "none")
_WHAT = {
    "queued": "SMS queued",
    "sending": "SMS on its way to the gateway",
    "sent": "SMS sent",
    "failed": "SMS refused by the gateway",
    "unknown": "SMS may have been sent: the gateway's answer was not seen",
    "none": "no SMS",
}


@router.get("/households/{household_id}/story")
async def story(request: Request, household_id: str, _: Reader) -> list[dict[str, object]]:
    """What this household was told, oldest first."""
    async with request.app.state.service.db.acquire() as db:
        return [_told(row) for row in await store.of_household(db, household_id)]


@router.get("/summary")
async def summary(request: Request, _: Reader) -> dict[str, int]:
    """SMS by state, those not sent by reason (`none_no_phone`, …), and segments of those handed over."""
    async with request.app.state.service.db.acquire() as db:
        counted = await store.summary(db)
    answer = dict.fromkeys((*STATES, "none_no_phone", "none_no_wish", "none_forgotten", "segments"), 0)
    for state, reason, messages, segments in counted:
        answer[state] += messages
        if reason is not None:
            answer[f"none_{reason.replace('-', '_')}"] += messages
        if state == "sent":
            answer["segments"] += segments
    return answer


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
        rows = await store.listed(
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
