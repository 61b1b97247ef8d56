"""An SMS gateway with Kannel's `sendsms` form and an inbox that can be read: `python -m simulators.gateway`.

What it answered as accepted is in its SQLite file. A message key it has seen is accepted again and kept once.
"""

import asyncio
import gc
import json
import signal
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import uvloop
from pydantic_settings import BaseSettings, SettingsConfigDict
from yarl import URL

from simulators.gateway_http import Answer, Conversation, Query, Say
from simulators.gateway_receipts import Debt, Receipts
from simulators.gateway_smpp import OK, THROTTLED, Part, SmppConversation, Submitted

COMMIT_EVERY_S = 0.005
BUSINESS_KEY = "?tonle?sms_id="
"""How a message's key begins in its meta-data (`?group?name=value`, the form Kannel has for it)."""
_TAKEN = Answer(202, "0: Accepted for delivery")
_STATUS = {202: OK, 403: 0x0B, 503: THROTTLED}
"""What a status of `sendsms` is by SMPP: taken, no such number, throttled."""
_SCHEMA = """
create table if not exists sms (
    position integer primary key, sms_id text not null, recipient text not null, sender text not null,
    text text not null, coding integer not null, received_at text not null, copies integer not null default 1,
    became text not null default 'delivered'
);
"""


class Settings(BaseSettings):
    """`TONLE_…` environment variables. Shares (0..1) of messages, told apart by seed and message key:
    `refused` get a 403, `silent` are kept but not answered for `silent_s`, `slow` wait `slow_s` before that;
    on `closing` the line is lost (SMPP), for half of them after they are kept. Above `per_second` all shall
    come again. `undelivered` are reported so; receipts come `receipt_s` later, `repeated` of them twice,
    `contradicted` with the opposite. What people write goes to `inbound_url`, as Kannel's `sms-service` calls
    it, with the secret of a file; without it to who is bound by SMPP.
    """

    model_config = SettingsConfigDict(env_prefix="TONLE_", extra="ignore")

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 0
    gateway_user: str = "tonle"
    gateway_password_file: Path
    gateway_seed: int = 0
    gateway_refused: float = 0.0
    gateway_silent: float = 0.0
    gateway_silent_s: float = 60.0
    gateway_slow: float = 0.0
    gateway_slow_s: float = 1.0
    gateway_closing: float = 0.0
    gateway_per_second: float | None = None
    gateway_undelivered: float = 0.0
    gateway_repeated: float = 0.0
    gateway_contradicted: float = 0.0
    gateway_receipt_s: float = 0.05
    gateway_smpp_port: int | None = None
    gateway_inbound_url: str | None = None
    gateway_callback_secret_file: Path | None = None


class Sms(NamedTuple):
    """One message as it came."""

    sms_id: str
    recipient: str
    sender: str
    text: str
    coding: int
    received_at: str
    became: str = "delivered"


class Inbox:
    """The messages, in a file. Those that arrive together are committed together."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.executescript(
            "pragma journal_mode = wal; pragma synchronous = normal; pragma wal_autocheckpoint = 8000;"
            + _SCHEMA
        )
        # In memory: an index of random ids costs the file more than all else of an SMS.
        self._positions: dict[str, int] = dict(
            self._db.execute("select sms_id, position from sms").fetchall()
        )
        self._waiting: list[tuple[Sms, Callable[[], object]]] = []
        self._closed = False

    def keep(self, sms: Sms, kept: Callable[[], object]) -> None:
        """Calls `kept` once the message is on disk."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(COMMIT_EVERY_S, self._commit)
        self._waiting.append((sms, kept))

    def read(self, *, to: str | None, sms_ids: Sequence[str], last: int) -> list[dict[str, object]]:
        """The newest `last` messages, newest first; of one recipient or with these keys where given."""
        conditions, values = ["true"], list[object]()
        if to:
            conditions.append("recipient = ?")
            values.append(to)
        if sms_ids:
            conditions.append(f"sms_id in ({', '.join('?' * len(sms_ids))})")
            values.extend(sms_ids)
        rows = self._db.execute(
            'select sms_id, recipient as "to", sender as "from", text, coding, received_at, copies, became '  # noqa: S608
            f"from sms where {' and '.join(conditions)} order by position desc limit ?",
            (*values, last),
        )
        return [dict(row) for row in rows]

    def counts(self) -> dict[str, int]:
        """How many messages are kept, and how many repetitions of them were absorbed."""
        row = self._db.execute("select count(*), coalesce(sum(copies - 1), 0) from sms").fetchone()
        return {"accepted": row[0], "duplicates_absorbed": row[1]}

    def close(self) -> None:
        """Keep what waits, and close the file."""
        if self._waiting:
            self._commit()
        self._closed = True
        self._db.close()

    def _commit(self) -> None:
        batch, self._waiting = self._waiting, []
        if not batch or self._closed:
            return  # kept when it was closed; what came after that is never answered
        new, again = list[tuple[object, ...]](), list[tuple[int]]()
        for sms, _ in batch:
            position = self._positions.get(sms.sms_id)
            if position is None:
                position = self._positions[sms.sms_id] = len(self._positions) + 1
                new.append((position, *sms))
            else:
                again.append((position,))
        self._db.execute("begin")
        self._db.executemany(
            "insert into sms (position, sms_id, recipient, sender, text, coding, received_at, became) "
            "values (?, ?, ?, ?, ?, ?, ?, ?)",
            new,
        )
        self._db.executemany("update sms set copies = copies + 1 where position = ?", again)
        self._db.execute("commit")
        for _, kept in batch:
            kept()


class Simulator:
    """Kannel's answers and an SMSC's, and the misbehaviour the settings ask for."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._login = (settings.gateway_user, settings.gateway_password_file.read_text().strip())
        self._refused = 0
        self._throttled = 0
        self._allowed_at = 0.0
        self.inbox = Inbox(settings.data_dir / "gateway.sqlite")
        self.receipts = Receipts(settings.gateway_receipt_s)

    def answer(self, asked: URL, say: Say) -> None:
        """Answers a request, now or later."""
        match asked.path:
            case "/cgi-bin/sendsms":
                self._sendsms(asked.query, say)
            case "/inbox":
                say(self._read(asked.query))
            case "/handset":
                self._written(asked.query, say)
            case "/summary":
                counts = {"refused": self._refused, "throttled": self._throttled, "owed": self.receipts.owed}
                say(_json({**self.inbox.counts(), **counts}))
            case "/health/ready":
                say(_json({"status": "ready", "reasons": []}))
            case _:
                say(Answer(404, "Not here"))

    def _written(self, query: Query, say: Say) -> None:
        """What somebody writes to us; says whether it was taken."""
        sender, to, text = (query.get(name, "") for name in ("from", "to", "text"))
        url, file = self._settings.gateway_inbound_url, self._settings.gateway_callback_secret_file
        if url is None:
            say(_json({"told": self.receipts.write(sender, to, text, _part(query))}))
            return
        secret = file.read_text().strip() if file else ""
        called = self.receipts.call_about(url, secret, sender, to, text)
        called.add_done_callback(lambda call: say(_json({"told": call.result()})))

    def may_enter(self, user: str, password: str) -> bool:
        """Whether this is the login for SMPP, the same as for `sendsms`."""
        return (user, password) == self._login

    def take(self, submitted: Submitted, say: Callable[[int], object], lose: Callable[[], object]) -> None:
        """A message by SMPP; its last part's id is its key."""
        sms_id, to_report, to, sender, text, coding = submitted
        sms = Sms(sms_id, to, sender, text, coding, datetime.now(UTC).isoformat(), self._fate(to))
        debts = [Debt(each, sms.became, sms.recipient, sms.sender) for each in to_report]
        chance = self._chance(f"closing/{sms_id}")
        if chance < self._settings.gateway_closing:
            if chance < self._settings.gateway_closing / 2:
                self.inbox.keep(sms, partial(self._lose, lose, debts))
            else:
                lose()
            return
        self._take(sms, debts, lambda answer: say(_STATUS[answer.status]))

    def _sendsms(self, query: Query, say: Say) -> None:
        """The interface of smsbox, as the User's Guide of Kannel 1.4.5 and its answers have it."""
        if (query.get("username", ""), query.get("password", "")) != self._login:
            say(Answer(403, "Authorization failed for sendsms"))
        elif wrong := _wrong(query):
            say(Answer(400, wrong))
        else:
            # Without a business key of its own a message is a new one.
            sms_id = query.get("meta-data", "").removeprefix(BUSINESS_KEY) or str(uuid4())
            sms = _sms(query, sms_id, self._fate(sms_id))
            url = query.get("dlr-url", "") if int(query.get("dlr-mask", "0")) else ""
            debts = [Debt(sms.sms_id, sms.became, sms.recipient, sms.sender, url)] if url else []
            self._take(sms, debts, say)

    def _take(self, sms: Sms, debts: Sequence[Debt], say: Say) -> None:
        settings = self._settings
        # Drawn only where a share is asked for: most gateways behave.
        odd = settings.gateway_refused + settings.gateway_silent + settings.gateway_slow
        chance = self._chance(sms.sms_id) if odd else 1.0
        later = asyncio.get_running_loop().call_later
        if self._is_too_much():
            self._throttled += 1
            say(Answer(503, "Temporal failure, try again later."))
            return
        if chance < settings.gateway_refused:
            self._refused += 1
            say(Answer(403, "Not routable. Do not try again."))
            return
        chance -= settings.gateway_refused

        def kept(silent_s: float = 0.0) -> None:
            self._owe(debts)
            later(silent_s, say, _TAKEN) if silent_s else say(_TAKEN)

        if chance < settings.gateway_silent:
            self.inbox.keep(sms, partial(kept, settings.gateway_silent_s))
        elif chance < settings.gateway_silent + settings.gateway_slow:
            later(settings.gateway_slow_s, self.inbox.keep, sms, kept)
        else:
            self.inbox.keep(sms, kept)

    def _lose(self, lose: Callable[[], object], debts: Sequence[Debt]) -> None:
        lose()
        self._owe(debts)

    def _owe(self, debts: Sequence[Debt]) -> None:
        """Its receipts, some of them twice or beside the opposite."""
        for debt in debts:
            self.receipts.owe(debt)
            if self._chance(f"repeated/{debt.message_id}") < self._settings.gateway_repeated:
                self.receipts.owe(debt)
            # The truth is that it was delivered: a failure beside it is the lie.
            lies = self._chance(f"contradicted/{debt.message_id}") < self._settings.gateway_contradicted
            if lies and debt.became == "delivered":
                self.receipts.owe(debt._replace(became="failed"))

    def _fate(self, key: str) -> str:
        share = self._settings.gateway_undelivered
        return "failed" if share and self._chance(f"fate/{key}") < share else "delivered"

    def _is_too_much(self) -> bool:
        if self._settings.gateway_per_second is None:
            return False
        now = asyncio.get_running_loop().time()
        # A tenth of a second's worth may come at once.
        if self._allowed_at > now + 0.1:
            return True
        self._allowed_at = max(self._allowed_at, now) + 1 / self._settings.gateway_per_second
        return False

    def _read(self, query: Query) -> Answer:
        """`/inbox?to=+855…&sms_id=…&last=20`: newest first."""
        last = query.get("last", "20")
        if not last.isdigit():
            return Answer(400, "last: a number of messages expected")
        return _json(
            self.inbox.read(to=query.get("to", ""), sms_ids=query.getall("sms_id", []), last=int(last))
        )

    def _chance(self, sms_id: str) -> float:
        digest = blake2b(f"{self._settings.gateway_seed}/{sms_id}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64


def _wrong(query: Query) -> str | None:
    if "to" not in query:
        return "Missing receiver number, rejected"
    if not query.get("to", "").strip():
        return "Empty receiver number not allowed, rejected"
    if not query.get("from", ""):
        return "Sender missing and no global set, rejected"
    if query.get("coding", "0") not in {"0", "1", "2"}:
        return "Coding field misformed, rejected"
    return None


def _sms(query: Query, sms_id: str, became: str) -> Sms:
    return Sms(
        sms_id,
        query.get("to", ""),
        query.get("from", ""),
        query.get("text", ""),
        int(query.get("coding", "0")),
        datetime.now(UTC).isoformat(),
        became,
    )


def _part(query: Query) -> Part | None:
    """`part=udh8:REFERENCE:NUMBER:OF`; none where it is left out."""
    said = query.get("part", "")
    if not said:
        return None
    by, *numbers = said.split(":")
    return Part(by, *map(int, numbers))


def _json(what: object) -> Answer:
    return Answer(200, json.dumps(what), "application/json")


async def main(settings: Settings) -> None:
    """Serve until told to stop (SIGTERM, SIGINT)."""
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    simulator = Simulator(settings)
    server = await loop.create_server(
        lambda: Conversation(simulator.answer), settings.host, settings.port, backlog=1024
    )
    smpp = None
    if settings.gateway_smpp_port is not None:
        smpp = await loop.create_server(
            lambda: SmppConversation(simulator, simulator.receipts), settings.host, settings.gateway_smpp_port
        )
    # As the services do: what lives long is never looked at again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    await stopping.wait()
    server.close()
    if smpp is not None:
        smpp.close()
    simulator.receipts.close()
    simulator.inbox.close()


if __name__ == "__main__":
    uvloop.run(main(Settings()))
