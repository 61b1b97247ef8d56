"""What partners call: G2P Connect callbacks, signed by the partner instead of a bearer token."""

import hashlib
import json
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from postbox import outbox
from services.payments import store_files
from services.payments.api_partners import office_of, service_of
from services.payments.partners import calls, g2p
from services.payments.partners.calls import Heard
from services.payments.partners.g2p import Header, Statuses, StatusMessage
from services.payments.partners.options import Line
from services.payments.store_files import Refused

BODY_BYTES_MOST = 16 * 1024 * 1024
KEPT_BYTES = 64 * 1024
"""How much is kept of one that was refused."""
BAD = "err.request.bad"
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
    """Booked like any report, or refused whole with the draft's code and kept: then nothing has moved."""
    service, office, now = service_of(request), office_of(request), datetime.now(UTC)
    line = office.exchange.lines.get(partner)
    if line is None:
        return _answer("ERR", "err.receiver_id.invalid", 404)
    raw = await _body(request)
    digest = hashlib.sha256(raw).hexdigest()
    heard, why = _judged(raw, action, Heard(partner, digest, ()), line, now)
    async with service.db.acquire() as db, db.transaction():
        if why is not None:
            await store_files.keep_refused(db, Refused(partner, digest, action, why, raw[:KEPT_BYTES], now))
            return _answer("ERR", why, 401 if why.startswith("err.signature") else 400)
        records = await calls.book(office, db, heard, service.new_traceparent())
        await outbox.write(db, LANE, records)
    service.courier.take([LANE])
    return _answer("ACK", None, 200)


def _judged(raw: bytes, action: str, heard: Heard, line: Line, now: datetime) -> tuple[Heard, str | None]:
    """With what is said, or the draft's code for why it is refused."""
    if len(raw) > BODY_BYTES_MOST:
        return heard, BAD
    try:
        body = json.loads(raw)
        if not isinstance(body, dict):
            return heard, BAD
        why = line.why_not_signed(body, now)
        return (heard, why) if why else (_read(body, action, heard), None)
    except (ValidationError, ValueError, RecursionError):
        return heard, BAD


async def _body(request: Request) -> bytes:
    """The body; of one that is larger than any callback may be, the rest is not read."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MOST:
            break
    return bytes(body)


def _read(body: dict[str, object], action: str, heard: Heard) -> Heard:
    Header.model_validate(body.get("header"))
    message = body.get("message")
    if action == "on-disburse":
        return heard._replace(said=g2p.said(Statuses.model_validate(message), to_question=False))
    answer = StatusMessage.model_validate(message)
    said = g2p.said(answer.txnstatus_response.txn_status, to_question=True)
    return heard._replace(said=said, question=answer.transaction_id)


def _answer(word: str, code: str | None, status: int) -> JSONResponse:
    message: dict[str, object] = {"ack_status": word, "timestamp": datetime.now(UTC).isoformat()}
    message["correlation_id"] = "0"
    if code:
        message["error"] = {"code": code}
    return JSONResponse({"message": message}, status_code=status)
