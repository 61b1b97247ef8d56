"""Where a gateway that speaks HTTP calls us: receipts and inbound SMS (Kannel's `dlr-url`, `sms-service`).

Kannel can set no header of ours, so the shared secret may also stand in the URL; it is compared in constant
time. An answer of 200 says that what was told is on disk; after a 503 Kannel tells it again.
"""

import codecs
import logging
import re
import secrets
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from prometheus_client import Counter

from postbox.problems import Problem
from services.notifications.gateways.inbound import Inbound, Receive
from services.notifications.gateways.intake import Intake
from services.notifications.receipts import Receipt, Status

log = logging.getLogger(__name__)
router = APIRouter(prefix="/gateway/kannel", tags=["gateway"])

BYTES_MOST = 16 * 1024
"""Of a query or a body: 100 segments of an SMS are shorter, percent-encoded."""
NAME_BYTES_MOST = 128
STATUSES: Mapping[bytes, Status] = {
    b"1": Status.DELIVERED,
    b"2": Status.FAILED,
    b"4": Status.BUFFERED,
    b"8": Status.BUFFERED,
    b"16": Status.FAILED,
    b"32": Status.BUFFERED,
}
"""`%d` of a dlr-url (Kannel User's Guide 1.4.5, *Delivery reports*)."""
_SMS_ID = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ENCODINGS = {b"0": "utf-8", b"1": "binary", b"2": "utf-16-be"}


@dataclass(frozen=True)
class Callbacks:
    """What the endpoints need, the service's `state.callbacks`. `counted` counts what was refused, by why."""

    secret: str | None
    intake: Intake
    receive: Receive | None
    counted: Counter


@router.get("/receipt", operation_id="kannel_receipt")
@router.post("/receipt", operation_id="kannel_receipt_post")
async def receipt(request: Request) -> Response:
    """A delivery receipt: `sms_id` and `status` (Kannel's `%d`), and the shared secret."""
    callbacks, told = _entered(request)
    sms_id, status = told.get(b"sms_id", b""), STATUSES.get(told.get(b"status", b""))
    if not _SMS_ID.fullmatch(sms_id) or status is None:
        field = "status" if _SMS_ID.fullmatch(sms_id) else "sms_id"
        raise _refused(callbacks, "malformed", 400, f"{field}: not what a dlr-url of ours says.")
    kept = Receipt(sms_id.decode(), None, status, f"kannel-{told[b'status'].decode()}")
    await _keep(callbacks, callbacks.intake.keep(kept))
    return Response()


@router.get("/inbound", operation_id="kannel_inbound")
async def inbound(request: Request) -> Response:
    """An SMS to us, by `get-url`: `from`, `to`, `text` (`%b`), `coding` (`%c`), `id` (`%I`), the secret."""
    callbacks, told = _entered(request)
    coding = told.get(b"coding", b"0")
    encoding = _charset(told.get(b"charset", b"")) if coding == b"0" else _ENCODINGS.get(coding, "binary")
    await _receive(callbacks, told, told.get(b"text", b""), encoding)
    return Response()


@router.post("/inbound", operation_id="kannel_inbound_post")
async def inbound_posted(request: Request) -> Response:
    """An SMS to us, by `post-url`: the text is the body, the rest are Kannel's `X-Kannel-…` headers."""
    callbacks, _ = _entered(request)
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BYTES_MOST:
            raise _refused(callbacks, "too-long", 413, f"At most {BYTES_MOST} bytes: no SMS is longer.")
    kind, _, charset = request.headers.get("content-type", "").partition("charset=")
    binary = kind.startswith("application/octet-stream")
    told = {
        name.encode(): request.headers.get(f"x-kannel-{name}", "").encode() for name in ("from", "to", "id")
    }
    await _receive(callbacks, told, body, "binary" if binary else _charset(charset.encode()))
    return Response()


def _entered(request: Request) -> tuple[Callbacks, dict[bytes, bytes]]:
    """The fields of the query, of a caller who knows the secret."""
    callbacks = request.app.state.service.state.callbacks
    assert isinstance(callbacks, Callbacks)
    query: bytes = request.scope["query_string"]
    if callbacks.secret is None:
        raise Problem(404, "No gateway calls here", "Set TONLE_GATEWAY_CALLBACK_SECRET_FILE to let one in.")
    if len(query) > BYTES_MOST:
        raise _refused(callbacks, "too-long", 414, f"At most {BYTES_MOST} bytes: no SMS is longer.")
    # As text of octets, since of bytes `parse_qsl` knows ASCII alone.
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, encoding="latin-1")
    told = {name.encode("latin-1"): value.encode("latin-1") for name, value in pairs}
    shown = told.get(b"secret") or request.headers.get("x-gateway-secret", "").encode()
    if not secrets.compare_digest(shown, callbacks.secret.encode()):
        raise _refused(callbacks, "forged", 403, "The shared secret is missing or another one.")
    return callbacks, told


def _refused(callbacks: Callbacks, why: str, status: int, remedy: str) -> Problem:
    callbacks.counted.labels(why).inc()
    return Problem(status, "The gateway's call is refused", remedy)


async def _receive(callbacks: Callbacks, told: Mapping[bytes, bytes], text: bytes, encoding: str) -> None:
    if not told.get(b"from"):
        raise _refused(callbacks, "malformed", 400, "from: missing; the sender's number is expected.")
    if callbacks.receive is None:
        raise Problem(404, "Nobody reads inbound SMS here", "Point the gateway's sms-service elsewhere.")
    sender, to, named = (
        told.get(name, b"")[:NAME_BYTES_MOST].decode(errors="replace") for name in (b"from", b"to", b"id")
    )
    await _keep(
        callbacks,
        callbacks.receive(Inbound(sender, to, text, encoding, named or None, datetime.now(UTC))),
    )


async def _keep(callbacks: Callbacks, keeping: Awaitable[None]) -> None:
    try:
        await keeping
    except Exception as error:
        callbacks.counted.labels("not-kept").inc()
        log.warning("what the gateway told could not be kept", exc_info=error)
        raise Problem(503, "It could not be kept", "Tell it again later.") from None


def _charset(name: bytes) -> str:
    """A gateway's charset as Python calls it; `utf-8` where it names none, `binary` where nobody knows it."""
    try:
        return codecs.lookup(name.decode("ascii").strip(' "')).name if name.strip(b' "') else "utf-8"
    except (LookupError, UnicodeDecodeError):
        return "binary"
