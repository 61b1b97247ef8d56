"""A payment partner over HTTP, G2P Connect disburse 1.0.0: `python -m simulators.partner_http`.

Takes `/disburse` and `/disburse/txn/status` and calls back, and answers `/disburse/sync/txn/status`. It pays
each reference once, keeps its own books, and shares nothing with payments but the public interface.
"""

import asyncio
import base64
import hashlib
import json
import re
import sqlite3
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import ClientError, ClientSession, web
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.payment import ReportStatus
from simulators.partner_behaviour import AMOUNT_OFF_RIEL, Behaviour

FIELDS = re.compile(r'(\w+)="([^"]*)"')
HOLDS_S = 300
Body = Mapping[str, object]


class Settings(BaseSettings):
    """`TONLE_…` environment variables; `secrets` is the folder with the keys (JWK files).

    `partner_behaviour` is a `Behaviour` in JSON.
    """

    model_config = SettingsConfigDict(env_prefix="TONLE_", extra="ignore")

    data_dir: Path
    secrets: Path
    host: str = "127.0.0.1"
    port: int = 0
    partner: str = "truemoney"
    partner_behaviour: Behaviour = Behaviour()


class Books:
    """What it was ordered, each reference once. What became of one is a matter of time and behaviour."""

    def __init__(self, path: Path, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute(
            "create table if not exists payment (reference text primary key, transaction_id text, "
            "amount text, status text, reason text, at real)"
        )
        self._db.execute("create table if not exists bound (reference text primary key)")

    def take(self, transaction_id: str, orders: Sequence[Mapping[str, str]]) -> None:
        """Pay what is new; what was ordered before is left as it ended."""
        for order in orders:
            reference = order["reference_id"]
            ended, _ = self._behaviour.ends(reference)
            reason = None if ended is ReportStatus.SETTLED else "rjct.payee_fa.invalid"
            if order["currency_code"] != "KHR" or not order["amount"].endswith(".00"):
                reason = "rjct.amount.invalid"
            self._db.execute(
                "insert or ignore into payment values (?, ?, ?, ?, ?, ?)",
                (
                    *(reference, transaction_id, order["amount"], "rjct" if reason else "succ", reason),
                    time.time(),
                ),
            )

    def statuses(self, about: str | Sequence[str]) -> list[dict[str, object]]:
        """Of a transaction (none where it is unknown), or of references."""
        if isinstance(about, str):
            rows = self._db.execute("select * from payment where transaction_id = ?", (about,)).fetchall()
            return [self._status(row) for row in rows]
        found = []
        for reference in about:
            row = self._db.execute("select * from payment where reference = ?", (reference,)).fetchone()
            heard_of = row and not self._behaviour.forgets(reference)
            found.append(self._status(row) if heard_of else _unknown(reference, "rjct.reference_id.invalid"))
            if heard_of and found[-1]["status"] == "rjct":
                self._db.execute("insert or ignore into bound values (?)", (reference,))
        return found

    def _status(self, row: tuple[str, str, str, str, str | None, float]) -> dict[str, object]:
        reference, _, amount, status, reason, at = row
        since_s = time.time() - at - self._behaviour.settle_after_s
        if since_s < 0:
            status, reason = "pdng", None
        elif since_s >= self._behaviour.relent_after_s and self._relents(reference):
            status, reason = "succ", None
        found = {"reference_id": reference, "timestamp": datetime.now(UTC).isoformat(), "status": status}
        found |= {"amount": amount, "currency_code": "KHR"}
        return {**found, "status_reason_code": reason} if reason else {**found}

    def _relents(self, reference: str) -> bool:
        """What it answered to a question binds it."""
        known = self._db.execute("select true from bound where reference = ?", (reference,)).fetchone()
        return self._behaviour.relents(reference) and known is None

    def summary(self) -> dict[str, int]:
        """Counts by status."""
        return dict(self._db.execute("select status, count(*) from payment group by 1").fetchall())

    def close(self) -> None:
        """Close the file."""
        self._db.close()


class Partner:
    """The interface over the books."""

    def __init__(self, settings: Settings, books: Books) -> None:
        self._name, self._books, self._behaviour = settings.partner, books, settings.partner_behaviour
        name = settings.partner
        self._ours = SigningKey(_key(settings.secrets / f"{name}-sign.jwk", "d"))
        self._theirs = VerifyKey(_key(settings.secrets / "payments.pub.jwk", "x"))
        self._calling: set[asyncio.Task[None]] = set()
        self._dropped: set[str] = set()

    async def disburse(self, request: web.Request) -> web.Response:
        """Take orders; a share of calls is taken and then answered by nothing useful, once each."""
        body = await request.json()
        if refusal := self._refuses(body):
            return refusal
        message, behaviour = body["message"], self._behaviour
        name = message["transaction_id"]
        if behaviour.picks(behaviour.refuse, f"refuse/{name}"):
            return _acknowledged("ERR", "err.request.bad")
        self._books.take(name, message["disbursements"])
        if behaviour.picks(behaviour.drop, f"drop/{name}") and name not in self._dropped:
            self._dropped.add(name)
            return web.Response(status=504)
        url = body["header"]["sender_uri"]
        delays = {0.0, behaviour.settle_after_s}
        if behaviour.relent:
            delays.add(behaviour.settle_after_s + behaviour.relent_after_s)
        for delay_s in sorted(delays):
            self._later(self._tell(url, name, delay_s))
        return _acknowledged("ACK")

    async def ask(self, request: web.Request) -> web.Response:
        """Take a question, and call back what became of a transaction or of references."""
        body = await request.json()
        if refusal := self._refuses(body):
            return refusal
        self._later(self._call_back(body["header"]["sender_uri"], self._answer(body["message"])))
        return _acknowledged("ACK")

    async def status(self, request: web.Request) -> web.Response:
        """Say at once what became of a transaction or of references."""
        body = await request.json()
        return self._refuses(body) or web.json_response(self._answer(body["message"]))

    async def summary(self, _: web.Request) -> web.Response:
        """Sums of the books."""
        return web.json_response(self._books.summary())

    def _refuses(self, body: Body) -> web.Response | None:
        if self._behaviour.is_down(time.time()):
            return web.Response(status=503)
        return None if self._is_theirs(body) else _acknowledged("ERR", "err.signature.invalid", status=401)

    def _answer(self, asked: Mapping[str, Mapping[str, str | Sequence[str]]]) -> dict[str, object]:
        name = str(asked["transaction_id"])
        about = asked["txnstatus_request"]["attribute_value"]
        statuses = self._books.statuses(about)
        if not statuses:
            statuses = [_unknown(name, "rjct.srch_transaction_id.not_found")]
        said = {"transaction_id": name, "disbursements_status": statuses}
        answer = {"txn_type": "on-disburse", "txn_status": said}
        message = {"transaction_id": name, "correlation_id": name, "txnstatus_response": answer}
        return self._signed("on-disburse", message)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._calling.add(task)
        task.add_done_callback(self._calling.discard)

    async def _tell(self, url: str, name: str, delay_s: float) -> None:
        """Call back what became of a transaction by then, as it behaves."""
        await asyncio.sleep(delay_s)
        statuses = self._garbled(self._books.statuses(name))
        said = {"transaction_id": name, "disbursements_status": statuses}
        await self._call_back(url, self._signed("on-disburse", said))

    def _garbled(self, statuses: list[dict[str, object]]) -> list[dict[str, object]]:
        behaviour = self._behaviour
        found: list[dict[str, object]] = []
        for each in behaviour.garbled(statuses, lambda each: f"{each['reference_id']}/{each['status']}"):
            reference = str(each["reference_id"])
            if behaviour.picks(behaviour.wrong_amount, f"amount/{reference}"):
                off = f"{int(float(str(each['amount']))) + AMOUNT_OFF_RIEL}.00"
                found.append({**each, "amount": off})
            if behaviour.picks(behaviour.unknown, f"unknown/{reference}"):
                found.append({**each, "reference_id": reference[::-1]})
            found.append(each)
        return found

    async def _call_back(self, url: str, body: Body) -> None:
        content = json.dumps(body).encode()
        content = self._behaviour.breaks_off(content, hashlib.blake2b(content).hexdigest())
        for attempt in range(5):
            try:
                async with ClientSession() as http, http.post(url, data=content) as done:
                    if done.status < 500:
                        return
            except ClientError:
                pass
            await asyncio.sleep(0.2 * 2**attempt)

    def _signed(self, action: str, message: Body) -> dict[str, object]:
        now = int(time.time())
        header = {
            "version": "1.0.0",
            "message_id": f"{action}-{message['transaction_id']}-{now}",
            "message_ts": datetime.now(UTC).isoformat(),
            "action": action,
            "status": "succ",
            "sender_id": self._name,
        }
        signature = self._ours.sign(_to_sign(header, message, now, now + HOLDS_S)).signature
        text = base64.b64encode(signature).decode()
        head = f'namespace="g2p", kidId="{self._name}|1|ed25519", algorithm="ed25519"'
        times = f'created="{now}", expires="{now + HOLDS_S}", headers="(created) (expires) digest"'
        return {
            "signature": f'Signature: {head}, {times}, signature="{text}"',
            "header": header,
            "message": message,
        }

    def _is_theirs(self, body: Body) -> bool:
        fields = dict(FIELDS.findall(str(body.get("signature"))))
        try:
            created, expires = int(fields["created"]), int(fields["expires"])
            plain = _to_sign(body["header"], body["message"], created, expires)
            self._theirs.verify(plain, base64.b64decode(fields["signature"]))
        except (BadSignatureError, KeyError, ValueError):
            return False
        return created - HOLDS_S <= time.time() < expires


def web_app(partner: Partner) -> web.Application:
    """The interface, and what can be asked of the simulator itself."""

    async def ready(_: web.Request) -> web.Response:
        return web.json_response({"status": "ready"})

    app = web.Application(client_max_size=64 * 1024**2)
    app.add_routes(
        [
            web.post("/disburse", partner.disburse),
            web.post("/disburse/txn/status", partner.ask),
            web.post("/disburse/sync/txn/status", partner.status),
            web.get("/summary", partner.summary),
            web.get("/health/ready", ready),
        ]
    )
    return app


def _unknown(reference: str, reason: str) -> dict[str, object]:
    at = datetime.now(UTC).isoformat()
    return {"reference_id": reference, "timestamp": at, "status": "rjct", "status_reason_code": reason}


def _acknowledged(word: str, code: str | None = None, status: int = 200) -> web.Response:
    message: dict[str, object] = {"ack_status": word, "timestamp": datetime.now(UTC).isoformat()}
    message["correlation_id"] = "0"
    if code:
        message["error"] = {"code": code}
    return web.json_response({"message": message}, status=status)


def _to_sign(header: object, message: object, created: int, expires: int) -> bytes:
    plain = json.dumps(
        {"header": header, "message": message}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    digest = base64.b64encode(hashlib.blake2b(plain.encode()).digest()).decode()
    return f"(created): {created}\n(expires): {expires}\ndigest: BLAKE-512={digest}".encode()


def _key(path: Path, part: str) -> bytes:
    return key_of(json.loads(path.read_text())[part])


def key_of(text: str) -> bytes:
    """A part of a JWK in bytes."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def main(settings: Settings) -> None:
    """Run until told to stop."""
    path = settings.data_dir / f"partner-{settings.partner}.sqlite"
    with closing(Books(path, settings.partner_behaviour)) as books:
        app = web_app(Partner(settings, books))
        web.run_app(app, host=settings.host, port=settings.port, access_log=None, print=None)


if __name__ == "__main__":
    main(Settings())
