"""What partners call: G2P Connect callbacks, signed by the partner instead of a bearer token."""

import json
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from postbox import outbox
from services.payments.api_partners import office_of, service_of
from services.payments.partners import calls, g2p
from services.payments.partners.calls import Heard
from services.payments.partners.g2p import Header, Said, Statuses, StatusMessage

BODY_BYTES_MOST = 16 * 1024 * 1024
LANE = "api:callbacks"
router = APIRouter(tags=["partner callbacks"])
_REFUSED: dict[int | str, dict[str, object]] = {
    status: {"description": "Refused whole, with the draft's code", "content": {"application/json": {}}}
    for status in (400, 401, 404)
}


@router.post("/partners/{partner}/g2p/on-disburse", responses=_REFUSED)
async def on_disburse(request: Request, partner: str) -> JSONResponse:
    """What became of a transaction's payments."""
    return await _heard(request, partner, "on-disburse")


@router.post("/partners/{partner}/g2p/txn/on-status", responses=_REFUSED)
async def on_status(request: Request, partner: str) -> JSONResponse:
    """The answer to a question of ours."""
    return await _heard(request, partner, "on-status")


async def _heard(request: Request, partner: str, action: str) -> JSONResponse:
    """Booked like any report, or refused whole with the draft's code: then nothing has moved."""
    service, office, now = service_of(request), office_of(request), datetime.now(UTC)
    line = office.exchange.lines.get(partner)
    if line is None:
        return _answer("ERR", "err.receiver_id.invalid", 404)
    raw = await _body(request)
    if raw is None:
        return _answer("ERR", "err.request.bad", 400)
    try:
        body = json.loads(raw)
        if not isinstance(body, dict):
            return _answer("ERR", "err.request.bad", 400)
        if why := line.why_not_signed(body, now):
            return _answer("ERR", why, 401)
        header, said = _read(body, action)
    except (ValidationError, ValueError):
        return _answer("ERR", "err.request.bad", 400)
    async with service.db.acquire() as db, db.transaction():
        heard = Heard(partner, header.message_id, said)
        records = await calls.book(office, db, heard, service.new_traceparent())
        await outbox.write(db, LANE, records)
    await service.publisher.publish(LANE)
    return _answer("ACK", None, 200)


async def _body(request: Request) -> bytes | None:
    """The body; None where it is larger than any callback may be, and the rest is not read."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MOST:
            return None
    return bytes(body)


def _read(body: dict[str, object], action: str) -> tuple[Header, list[Said]]:
    header = Header.model_validate(body.get("header"))
    message = body.get("message")
    if action == "on-disburse":
        return header, g2p.said(Statuses.model_validate(message))
    return header, g2p.said(StatusMessage.model_validate(message).txnstatus_response.txn_status)


def _answer(word: str, code: str | None, status: int) -> JSONResponse:
    message: dict[str, object] = {"ack_status": word, "timestamp": datetime.now(UTC).isoformat()}
    message["correlation_id"] = "0"
    if code:
        message["error"] = {"code": code}
    return JSONResponse({"message": message}, status_code=status)
