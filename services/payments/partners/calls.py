"""The job that calls partners over HTTP: the intent is committed, the call made, its outcome recorded."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import httpx

from contracts.payment import ReportStatus
from contracts.wire import Record
from postbox import outbox
from postbox.message import Connection
from postbox.service import Service
from services.payments import store_outgoing
from services.payments.handlers import Office
from services.payments.partners import g2p, orders, rows
from services.payments.partners.g2p import Order, Said, StatusMessage
from services.payments.partners.options import Line
from services.payments.partners.served import ServedPartner
from services.payments.store_files import Row
from services.payments.store_outgoing import PAY, Message

TWICE = "payment: named twice in this message"
CALLS = "calls"
"""The job's name."""
LANE = "job:calls"
PAUSE_S, PAUSE_S_MOST = 2.0, 900.0


class Refused(Exception):
    """The partner took nothing, and says why: a person has to look."""


class Heard(NamedTuple):
    """What a partner says in one answer or callback; `call_id` names it where a row of it is set aside.

    `question`: the message of ours it answers, which asked about its payments.
    """

    partner: str
    call_id: str
    said: Sequence[Said]
    question: str | None = None


class Calls:
    """The job `calls`: one transaction of each partner at a time; a partner that is down waits by itself."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._failed: dict[str, int] = {}
        self._not_before: dict[str, datetime] = {}

    async def run(self, service: Service) -> bool:
        """Make the calls that are due; True where more are."""
        more = False
        for name, line in self._office.exchange.lines.items():
            now = datetime.now(UTC)
            if now < self._not_before.get(name, now):
                continue
            try:
                more |= await self._work(service, name, line, now)
                if self._failed.pop(name, 0):
                    await self._resume(service, name)
            except (httpx.HTTPError, Refused, KeyError, ValueError) as error:
                times = self._failed[name] = self._failed.get(name, 0) + 1
                pause_s = min(PAUSE_S * 2**times, PAUSE_S_MOST)
                self._not_before[name] = now + timedelta(seconds=pause_s)
                await self._pause(service, name, error, now)
        return more

    async def _work(self, service: Service, name: str, line: Line, now: datetime) -> bool:
        async with service.db.acquire() as db:
            pause = (await store_outgoing.pauses(db)).get(name)
            if pause is not None and pause.by is not None:
                return False
            options = line.options
            await orders.claim_all(db, name, options.payments_most, now, options.payments_a_day)
            message = await store_outgoing.next_message(db, name)
        if message is None:
            return False
        async with line.client() as http:
            if message.kind != PAY:
                await self._ask(service, http, message, line, now)
            elif message.tried_at is None or not await self._is_there(service, http, message, line, now):
                await self._order(service, http, message, line, now)
        async with service.db.acquire() as db, db.transaction():
            await store_outgoing.told(db, message.message_id, datetime.now(UTC))
        return True

    async def _order(
        self, service: Service, http: httpx.AsyncClient, message: Message, line: Line, now: datetime
    ) -> None:
        """Order payments, under the transaction's id however often it has to be tried."""
        partner = self._office.partners[message.partner]
        assert isinstance(partner, ServedPartner)
        async with service.db.acquire() as db:
            waiting = await store_outgoing.held_in(db, message.message_id)
            await store_outgoing.trying(db, message.message_id, now)
        found = []
        for each in waiting:
            pay_to = partner.read(each.token).pay_to if each.token else None
            if pay_to is None:
                raise Refused(f"{each.instruction_id} orders to pay nobody")
            found.append(Order(each.payment_id, each.amount, pay_to))
        body = g2p.disburse(message.message_id, found, line.sides, now)
        answer = await http.post("/disburse", json=line.signed(body, now))
        try:
            _taken(answer)
        except Refused:
            async with service.db.acquire() as db:
                await store_outgoing.not_taken(db, message.message_id)
            raise

    async def _is_there(
        self, service: Service, http: httpx.AsyncClient, message: Message, line: Line, now: datetime
    ) -> bool:
        """Whether a transaction whose call ended in doubt was taken; what it says of it is booked."""
        said = await _asked(http, message, line, now)
        there = any(each.status is not ReportStatus.NOT_FOUND for each in said)
        if there:
            await self._book(service, message, said)
        return there

    async def _ask(
        self, service: Service, http: httpx.AsyncClient, message: Message, line: Line, now: datetime
    ) -> None:
        """Ask about payments that nobody reported on; the answer is called back."""
        async with service.db.acquire() as db:
            waiting = await store_outgoing.held_in(db, message.message_id)
        ids = [each.payment_id for each in waiting]
        body = line.signed(g2p.ask(message.message_id, ids, line.sides, now), now)
        _taken(await http.post("/disburse/txn/status", json=body))

    async def _book(self, service: Service, message: Message, said: Sequence[Said]) -> None:
        heard = Heard(message.partner, message.message_id, said)
        async with service.db.acquire() as db, db.transaction():
            records = await book(self._office, db, heard, service.new_traceparent())
            await outbox.write(db, LANE, records)
        service.courier.take([LANE])

    async def _pause(self, service: Service, name: str, error: Exception, now: datetime) -> None:
        """A validation error's text holds what the partner sent: its kind is told."""
        reason = str(error) if isinstance(error, Refused) else type(error).__name__
        async with service.db.acquire() as db:
            await store_outgoing.pause(db, name, reason, None, now)

    async def _resume(self, service: Service, name: str) -> None:
        async with service.db.acquire() as db:
            await store_outgoing.resume(db, name, of_person=False)


async def book(office: Office, db: Connection, heard: Heard, traceparent: str) -> Sequence[Record]:
    """Book what a call or callback says, on the path of all reports; returns what is to be published."""
    named = Counter(each.payment_id for each in heard.said)
    whys = [each.flaw or (TWICE if named[each.payment_id] > 1 else "") for each in heard.said]
    found = [
        Row(
            partner=heard.partner,
            sha256=f"call-{heard.call_id}",
            position=number,
            payment_id=each.payment_id,
            status=each.status,
            amount=each.riel,
            reference=None,
            reason_code=each.reason,
            occurred_at=each.at,
            why=why,
            flawed=bool(why),
        )
        for number, (each, why) in enumerate(zip(heard.said, whys, strict=True), 1)
    ]
    asked = await store_outgoing.asked_in(db, heard.partner, heard.question) if heard.question else {}
    _, records = await rows.book(office, db, found, datetime.now(UTC), traceparent, answers=asked)
    return records


def _taken(answer: httpx.Response) -> None:
    """Raises `Refused` where the partner took nothing of a call."""
    answer.raise_for_status()
    if refusal := g2p.Acknowledgement.model_validate(answer.json()).refusal:
        raise Refused(refusal)


async def _asked(http: httpx.AsyncClient, message: Message, line: Line, now: datetime) -> list[Said]:
    """What became of a transaction, said at once."""
    body = line.signed(g2p.ask(message.message_id, message.message_id, line.sides, now), now)
    answer = await http.post("/disburse/sync/txn/status", json=body)
    answer.raise_for_status()
    said = answer.json()
    if why := line.why_not_signed(said, now):
        raise Refused(f"its answer is not signed by it: {why}")
    statuses = StatusMessage.model_validate(said["message"]).txnstatus_response.txn_status
    return g2p.said(statuses, to_question=True)
