"""An SMS gateway with Kannel's `sendsms` form and an inbox that can be read: `python -m simulators.gateway`.

What it answered as accepted is in its SQLite file. A message key it has seen is accepted again and kept once.
"""

import asyncio
import signal
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import uvloop
from aiohttp import web
from multidict import MultiMapping
from pydantic_settings import BaseSettings, SettingsConfigDict

COMMIT_EVERY_S = 0.002
BUSINESS_KEY = "?tonle?sms_id="
"""How a message's key begins in its meta-data (`?group?name=value`, the form Kannel has for it)."""
_SCHEMA = """
create table if not exists sms (
    position integer primary key, sms_id text not null unique, recipient text not null, sender text not null,
    text text not null, coding integer not null, received_at text not null, copies integer not null default 1
);
create index if not exists sms_recipient on sms (recipient, position);
"""


class Settings(BaseSettings):
    """`TONLE_…` environment variables. Shares (0..1) of messages, told apart by seed and message key:
    `refused` get a 403, `silent` are kept but not answered for `silent_s`, `slow` wait `slow_s` before that.
    """

    model_config = SettingsConfigDict(env_prefix="TONLE_", extra="ignore")

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 0
    gateway_user: str = "tonle"
    gateway_password: str = "tonle"  # noqa: S105 - a simulator's
    gateway_seed: int = 0
    gateway_refused: float = 0.0
    gateway_silent: float = 0.0
    gateway_silent_s: float = 60.0
    gateway_slow: float = 0.0
    gateway_slow_s: float = 1.0


class Sms(NamedTuple):
    """One message as it came."""

    sms_id: str
    recipient: str
    sender: str
    text: str
    coding: int
    received_at: str


class Inbox:
    """The messages, in a file. Those that arrive together are committed together."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.executescript("pragma journal_mode = wal; pragma synchronous = normal;" + _SCHEMA)
        self._waiting: list[Sms] = []
        self._kept: asyncio.Future[None] | None = None

    async def keep(self, sms: Sms) -> None:
        """Returns once the message is on disk."""
        if self._kept is None:
            loop = asyncio.get_running_loop()
            self._kept = loop.create_future()
            loop.call_later(COMMIT_EVERY_S, self._commit)
        self._waiting.append(sms)
        await asyncio.shield(self._kept)

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
            f'select sms_id, recipient as "to", sender as "from", text, coding, received_at, copies from sms '  # noqa: S608
            f"where {' and '.join(conditions)} order by position desc limit ?",
            (*values, last),
        )
        return [dict(row) for row in rows]

    def counts(self) -> dict[str, int]:
        """How many messages are kept, and how many repetitions of them were absorbed."""
        row = self._db.execute("select count(*), coalesce(sum(copies - 1), 0) from sms").fetchone()
        return {"accepted": row[0], "duplicates_absorbed": row[1]}

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _commit(self) -> None:
        kept, self._kept = self._kept, None
        batch, self._waiting = self._waiting, []
        self._db.execute("begin")
        self._db.executemany(
            "insert into sms (sms_id, recipient, sender, text, coding, received_at) "
            "values (?, ?, ?, ?, ?, ?) on conflict (sms_id) do update set copies = copies + 1",
            batch,
        )
        self._db.execute("commit")
        assert kept is not None
        kept.set_result(None)


class Simulator:
    """Kannel's answers, and the misbehaviour the settings ask for."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._refused = 0
        self.inbox = Inbox(settings.data_dir / "gateway.sqlite")

    async def sendsms(self, request: web.Request) -> web.Response:
        """The interface of smsbox, as the User's Guide of Kannel 1.4.5 and its answers have it."""
        settings, query = self._settings, request.query
        if (query.get("username"), query.get("password")) != (
            settings.gateway_user,
            settings.gateway_password,
        ):
            return web.Response(status=403, text="Authorization failed for sendsms")
        if wrong := _wrong(query):
            return web.Response(status=400, text=wrong)
        sms = _sms(query)
        chance = self._chance(sms.sms_id)
        if chance < settings.gateway_refused:
            self._refused += 1
            return web.Response(status=403, text="Not routable. Do not try again.")
        chance -= settings.gateway_refused
        slow = settings.gateway_silent <= chance < settings.gateway_silent + settings.gateway_slow
        if slow:
            await asyncio.sleep(settings.gateway_slow_s)
        await self.inbox.keep(sms)
        if chance < settings.gateway_silent:
            await asyncio.sleep(settings.gateway_silent_s)
        return web.Response(status=202, text="0: Accepted for delivery")

    async def read(self, request: web.Request) -> web.Response:
        """`/inbox?to=+855…&sms_id=…&last=20`: newest first."""
        last = request.query.get("last", "20")
        if not last.isdigit():
            return web.Response(status=400, text="last: a number of messages expected")
        found = self.inbox.read(
            to=request.query.get("to"), sms_ids=request.query.getall("sms_id", []), last=int(last)
        )
        return web.json_response(found)

    async def summary(self, _: web.Request) -> web.Response:
        """What was kept, absorbed and refused (the last since the start)."""
        return web.json_response({**self.inbox.counts(), "refused": self._refused})

    async def ready(self, _: web.Request) -> web.Response:
        """It answers."""
        return web.json_response({"status": "ready", "reasons": []})

    def _chance(self, sms_id: str) -> float:
        digest = blake2b(f"{self._settings.gateway_seed}/{sms_id}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64


def _wrong(query: MultiMapping[str]) -> str | None:
    if "to" not in query:
        return "Missing receiver number, rejected"
    if not query["to"].strip():
        return "Empty receiver number not allowed, rejected"
    if not query.get("from"):
        return "Sender missing and no global set, rejected"
    if query.get("coding", "0") not in {"0", "1", "2"}:
        return "Coding field misformed, rejected"
    return None


def _sms(query: MultiMapping[str]) -> Sms:
    # Without a business key of its own a message is a new one.
    sms_id = query.get("meta-data", "").removeprefix(BUSINESS_KEY)
    return Sms(
        sms_id or str(uuid4()),
        query["to"],
        query["from"],
        query.get("text", ""),
        int(query.get("coding", "0")),
        datetime.now(UTC).isoformat(),
    )


def application(simulator: Simulator) -> web.Application:
    """The HTTP interface."""
    app = web.Application()
    app.router.add_get("/cgi-bin/sendsms", simulator.sendsms)
    app.router.add_get("/inbox", simulator.read)
    app.router.add_get("/summary", simulator.summary)
    app.router.add_get("/health/ready", simulator.ready)
    return app


async def main(settings: Settings) -> None:
    """Serve until told to stop (SIGTERM, SIGINT)."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    simulator = Simulator(settings)
    runner = web.AppRunner(application(simulator), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, settings.host, settings.port).start()
    await stopping.wait()
    await runner.cleanup()
    simulator.inbox.close()


if __name__ == "__main__":
    uvloop.run(main(Settings()))
