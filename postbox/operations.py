"""What every service answers to those who run it: health, metrics, parked messages."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field

from postbox import parking, positions
from postbox.callers import Caller, allowed
from postbox.parking import Parked
from postbox.problems import Problem
from postbox.replaying import NotGivenUp
from postbox.telemetry import trace_id

router = APIRouter(tags=["operations"])
Operator = Annotated[Caller, Depends(allowed("operate"))]


class Dismissal(BaseModel):
    """Why a message will never be handled; it names no person."""

    why: Annotated[str, Field(min_length=5, max_length=400)]


@router.get("/health/live")
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


@router.get("/health/ready", responses={503: {"content": {"application/json": {}}}})
async def ready(request: Request, response: Response) -> dict[str, object]:
    """Broker and database answer, no partition is stopped, batches succeed; 503 and the reasons otherwise."""
    reasons = await request.app.state.service.unready()
    response.status_code = 503 if reasons else 200
    return {"status": "not ready" if reasons else "ready", "reasons": reasons}


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Prometheus metrics."""
    service = request.app.state.service
    await service.measure()
    return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/positions")
async def list_positions(request: Request, _: Operator) -> list[dict[str, object]]:
    """Where each partition stands: records below `next_offset` were done; Kafka's own offsets are a hint."""
    async with request.app.state.service.db.acquire() as db:
        found = await positions.read_all(db)
    return [{**place._asdict(), **stands._asdict()} for place, stands in sorted(found.items())]


@router.get("/parked")
async def list_parked(
    request: Request,
    _: Operator,
    after: Annotated[int, Query(ge=0)] = 0,
    most: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, object]:
    """A page of parked messages with their reasons, and how many there are of each handling."""
    async with request.app.state.service.db.acquire() as db:
        found = await parking.listed(db, after, most)
        return {"counts": await parking.counts(db), "parked": [_shown(each) for each in found]}


@router.get("/dismissed")
async def list_dismissed(
    request: Request,
    _: Operator,
    after: Annotated[int, Query(ge=0)] = 0,
    most: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[dict[str, object]]:
    """A page of messages that will never be handled: who said so, when and why."""
    async with request.app.state.service.db.acquire() as db:
        return [each._asdict() for each in await parking.dismissed(db, after, most)]


@router.get("/parked/{parked_id}")
async def show_parked(request: Request, parked_id: int, _: Operator) -> dict[str, object]:
    """One parked message with its headers and its bytes as they came (persons in it are sealed)."""
    async with request.app.state.service.db.acquire() as db, db.transaction():
        found = await parking.one(db, parked_id)
    if found is None:
        raise _gone(parked_id)
    headers = {
        name: value.decode(errors="replace") if value is not None else None for name, value in found.headers
    }
    value = found.value.decode(errors="backslashreplace") if found.value is not None else None
    return {**_shown(found), "headers": headers, "value": value}


@router.post("/parked/{parked_id}/replay")
async def replay_parked(request: Request, parked_id: int, _: Operator) -> dict[str, object]:
    """Handle a parked message again, with all that waits behind it; answers what became of it."""
    service = request.app.state.service
    if not await service.replayer.replay(parked_id):
        raise _gone(parked_id)
    async with service.db.acquire() as db, db.transaction():
        left = await parking.one(db, parked_id)
    return {"id": parked_id, "handled": left is None, "reason": left.reason if left else None}


@router.post("/parked/{parked_id}/dismiss")
async def dismiss_parked(
    request: Request, parked_id: int, dismissal: Dismissal, caller: Operator
) -> dict[str, object]:
    """Give up a parked message for good; what waits behind it goes on. It is kept, with who and why."""
    try:
        found = await request.app.state.service.replayer.dismiss(parked_id, caller.name, dismissal.why)
    except NotGivenUp as error:
        raise Problem(409, "It still waits", f"{type(error).__doc__} Look at the first of its key.") from None
    if not found:
        raise _gone(parked_id)
    return {"id": parked_id, "dismissed_by": caller.name, "why": dismissal.why}


@router.post("/recover")
async def recover(
    request: Request, _: Operator, since_s: Annotated[float, Query(gt=0, le=86_400)] = 3600
) -> dict[str, object]:
    """After the broker lost records: publish again what went out lately, and rewind what was stopped."""
    return await request.app.state.service.recover(since_s)  # type: ignore[no-any-return]


def _gone(parked_id: int) -> Problem:
    return Problem(404, f"Nothing is parked as {parked_id}", "It may have been handled: list what is parked.")


def _shown(parked: Parked) -> dict[str, object]:
    traceparent = dict(parked.headers).get("traceparent")
    return {
        "id": parked.id,
        "key": parked.key_text,
        "topic": parked.topic,
        "partition": parked.partition,
        "offset": parked.offset,
        "item": parked.item,
        "handling": parked.handling,
        "reason": parked.reason,
        "attempts": parked.attempts,
        "parked_at": parked.parked_at,
        "deadline": parked.deadline,
        "bytes": len(parked.value or b""),
        "trace_id": trace_id(traceparent.decode(errors="replace")) if traceparent else None,
    }
