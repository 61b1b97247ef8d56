"""A bank's counter for files: `python -m simulators.bank_http`.

Whoever carries an order file there posts it to `/files`, and is told which files at `/files/<name>` are the
bank's word on it. A file that is brought again is answered as before, and nobody is paid twice; questions
(`ask-….csv`) are answered from its books.
"""

import hashlib
import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web
from lxml import etree
from pydantic_settings import BaseSettings, SettingsConfigDict

from simulators.bank import (
    REJECTED,
    SETTLED,
    Balance,
    Order,
    Outcome,
    answer,
    pay,
    read,
    read_questions,
    write_report,
)
from simulators.partner_behaviour import Behaviour

QUESTIONS = b"kind,end_to_end_id,"
FILE_REFUSED = "FF01"
MESSAGE_ID = re.compile(r"[\w-]{1,35}")


class Settings(BaseSettings):
    """`TONLE_…` environment variables; `partner_behaviour` is a `Behaviour` in JSON.

    `account` is the payer's, with `opening` riel on it at first.
    """

    model_config = SettingsConfigDict(env_prefix="TONLE_", extra="ignore")

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 0
    partner_behaviour: Behaviour = Behaviour()
    account: str = "000111222"
    opening: int = 10**12


class Counter:
    """What it was brought, each file and each payment once, and what it said in the folder `said`."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime]) -> None:
        self.said = settings.data_dir / "said"
        self.said.mkdir(parents=True, exist_ok=True)
        self._settings, self._clock = settings, clock
        self._db = sqlite3.connect(settings.data_dir / "bank.sqlite")
        self._db.execute("create table if not exists payment (id text primary key, riel integer)")
        self._db.execute("create table if not exists rejected (id text primary key, why text)")
        self._db.execute(
            "create table if not exists file (message_id text primary key, names text, paid integer)"
        )

    def take(self, content: bytes) -> list[str]:
        """Pay what is new in a pain.001, or answer questions; the names of the bank's files about it.

        Raises `ValueError`.
        """
        if content.startswith(QUESTIONS):
            return [self._answer(content)]
        draft = self._settings.data_dir / "brought.xml"
        draft.write_bytes(content)
        try:
            told = read(draft)
        except etree.XMLSyntaxError as error:
            raise ValueError("no XML") from error
        finally:
            draft.unlink()
        if not MESSAGE_ID.fullmatch(told.message_id):
            raise ValueError("no pain.001 with a message id")
        known = self._db.execute("select names from file where message_id = ?", (told.message_id,)).fetchone()
        if known:
            return list(json.loads(known[0]))
        earlier = {name for (name,) in self._db.execute("select id from payment")}
        account = self._account()
        paid = answer(
            told, self.said, account, self._settings.partner_behaviour, self._clock(), before=earlier
        )
        about, statement = f"pain002-{told.message_id}", f"camt053-{account.account}-{account.sequence}"
        expected = (f"{about}.xml", f"{about}-2.xml", f"{statement}.xml")
        names = [name for name in expected if (self.said / name).exists()]
        booked = [(each.id, int(each.amount)) for each in paid or ()]
        failed = [
            (each.id, self._why_not(each) if paid is not None else FILE_REFUSED) for each in told.orders
        ]
        with self._db:
            self._db.executemany("insert or ignore into payment values (?, ?)", booked)
            self._db.executemany("insert or ignore into rejected values (?, ?)", failed)
            row = (told.message_id, json.dumps(names), paid is not None)
            self._db.execute("insert into file values (?, ?, ?)", row)
        return names

    def _why_not(self, order: Order) -> str | None:
        return next(pay([order], self._settings.partner_behaviour)).reason

    def _answer(self, content: bytes) -> str:
        """A report on what is asked about and was ordered before: what was not paid is rejected for good."""
        digest = hashlib.sha256(content).hexdigest()[:24]
        draft = self._settings.data_dir / f"ask-{digest}.csv"
        draft.write_bytes(content)
        asked = read_questions(draft)
        draft.unlink()
        found = []
        for order in asked.orders:
            if self._db.execute("select true from payment where id = ?", (order.id,)).fetchone():
                found.append(Outcome(order, SETTLED))
            elif row := self._db.execute("select why from rejected where id = ?", (order.id,)).fetchone():
                found.append(Outcome(order, REJECTED, row[0]))
        name = f"pain002-{asked.message_id}.xml"
        write_report(self.said / name, asked.message_id, found, self._clock())
        return name

    def summary(self) -> dict[str, int]:
        """Files brought, payments made, and their riel."""
        [(files,)] = self._db.execute("select count(*) from file")
        [(payments, riel)] = self._db.execute("select count(*), coalesce(sum(riel), 0) from payment")
        return {"files": files, "payments": payments, "riel": riel}

    def close(self) -> None:
        """Close the books."""
        self._db.close()

    def _account(self) -> Balance:
        """The payer's account before the next statement, which has the next number."""
        [(statements,)] = self._db.execute("select count(*) from file where paid")
        left = self._settings.opening - self.summary()["riel"]
        return Balance(self._settings.account, statements + 1, left, left)


def web_app(counter: Counter) -> web.Application:
    """The counter, and what can be asked of the simulator itself."""

    async def take(request: web.Request) -> web.Response:
        try:
            return web.json_response(counter.take(await request.read()))
        except ValueError as error:
            return web.json_response({"title": f"The file can't be taken: {error}"}, status=422)

    async def summary(_: web.Request) -> web.Response:
        return web.json_response(counter.summary())

    async def ready(_: web.Request) -> web.Response:
        return web.json_response({"status": "ready"})

    app = web.Application(client_max_size=64 * 1024**2)
    app.add_routes(
        [
            web.post("/files", take),
            web.static("/files", counter.said),
            web.get("/summary", summary),
            web.get("/health/ready", ready),
        ]
    )
    return app


def main(settings: Settings) -> None:
    """Run until told to stop."""
    with closing(Counter(settings, lambda: datetime.now(UTC))) as counter:
        web.run_app(web_app(counter), host=settings.host, port=settings.port, access_log=None, print=None)


if __name__ == "__main__":
    main(Settings())
