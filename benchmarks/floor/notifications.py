"""The fourth bare process: one HTTP request an SMS, several on their way in each connection at once."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast
from urllib.parse import urlencode, urlsplit

import services.notifications
from benchmarks.floor.hop import Ciphers, Hop, Service, columns, run
from benchmarks.floor.wire import Event, Outgoing, unseal, uuid5
from contracts import wire
from contracts.household import ContactPreference, Payee
from contracts.payment import PaymentIssued
from contracts.sms import SmsEncoding, SmsSent
from contracts.topics import PAYMENT_ISSUED, SMS_SENT
from services.notifications import wording

SCHEMA = """
create table if not exists sms (
    sms_id text primary key, payment_id text not null, household_id text not null
);
"""
CONNECTIONS = 64
TEMPLATE = "payment-ready"
TAKEN = b"0: Accepted for delivery"
_FOLDER = Path(services.notifications.__file__ or "").parent / "templates"


class Sms(NamedTuple):
    """An SMS as its request to the gateway, and what is told once it was taken."""

    request: bytes
    event: Event[PaymentIssued]
    sent: SmsSent


class Line(asyncio.Protocol):
    """One connection: takes requests without waiting for answers, which come in the same order (HTTP/1.1)."""

    def __init__(self) -> None:
        self.is_open = True
        self._left = 0
        self._rest = b""
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    async def send(self, requests: Sequence[bytes]) -> None:
        """Returns once all were taken. Raises `ConnectionError` for any other answer, and for none."""
        self._done = asyncio.get_running_loop().create_future()
        self._left = len(requests)
        self._transport.write(b"".join(requests))
        await self._done

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        self._left -= data.count(TAKEN)
        self._rest = data[data.rfind(TAKEN) + len(TAKEN) :] if TAKEN in data else data
        if not data.startswith(b"HTTP/1.1 202"[: len(data)]):
            self._transport.close()
        elif not self._left:
            self._done.set_result(None)

    def connection_lost(self, _: Exception | None) -> None:
        self.is_open = False
        if self._left:
            self._done.set_exception(ConnectionError("the gateway does not take an SMS"))


class Notifications(Service):
    """Tells each payment once; what was begun and not recorded stays unknown."""

    def __init__(self) -> None:
        super().__init__("notifications", SCHEMA)
        self._wording = wording.load({path.name: path.read_text() for path in _FOLDER.glob("*.yaml")})
        self._ready: list[Sms] = []
        self._lines: list[Line] = []
        query = {
            "username": self.settings["gateway_user"],
            "password": Path(self.settings["gateway_password_file"]).read_text().strip(),
            "from": self.settings["sms_sender"],
            "charset": "UTF-8",
        }
        self._prefix = f"GET /cgi-bin/sendsms?{urlencode(query)}"

    async def intend(self, events: list[Event[PaymentIssued]], ciphers: Ciphers) -> Outgoing:
        """Write down which SMS will be sent."""
        ready = {sms.sent.sms_id: sms for event in events if (sms := self.word(event, ciphers)) is not None}
        rows = [(each.sms_id, each.payment_id, each.household_id) for _, _, each in ready.values()]
        new = await self.db.fetch(
            "insert into sms select * from unnest($1::text[], $2::text[], $3::text[]) on conflict do nothing"
            " returning sms_id",
            *columns(sorted(rows), 3),
        )
        self._ready = [ready[row[0]] for row in new]
        return {}

    async def send(self, _events: list[Event[PaymentIssued]], _ciphers: Ciphers) -> Outgoing:
        """Hand them over, then say so."""
        requests = [each.request for each in self._ready]
        shares = [share for at in range(CONNECTIONS) if (share := requests[at::CONNECTIONS])]
        await self._open(len(shares))
        await asyncio.gather(*(line.send(share) for line, share in zip(self._lines, shares, strict=False)))
        outgoing: Outgoing = {}
        for _, event, sent in self._ready:
            event_id = uuid5(f"{SMS_SENT.name}/{sent.sms_id}/sent")
            record = event.causes(sent.household_id, wire.dump(sent), event_id)
            outgoing.setdefault((SMS_SENT.name, event.partition), []).append(record)
        return outgoing

    async def _open(self, count: int) -> None:
        """Have so many connections; the gateway may have closed some meanwhile."""
        url, loop = urlsplit(self.settings["gateway_url"]), asyncio.get_running_loop()
        self._lines = [line for line in self._lines if line.is_open]
        while len(self._lines) < count:
            _, line = await loop.create_connection(Line, url.hostname or "", url.port or 80)
            self._lines.append(line)

    def word(self, event: Event[PaymentIssued], ciphers: Ciphers) -> Sms | None:
        """The SMS of a payment; None for who has no telephone or wants none."""
        said = event.data
        payee = wire.load(
            Payee, unseal(ciphers[said.payee.key_id], said.payee.blob, event.id, PAYMENT_ISSUED)
        )
        if payee.phone is None or payee.contact is ContactPreference.NONE:
            return None
        facts = wording.Facts(said.programme, said.partner, said.period, said.amount, said.withdraw_until)
        full = payee.contact is ContactPreference.FULL
        text, segments = self._wording.render(TEMPLATE, payee.language, full=full, facts=facts)
        sent = SmsSent(
            sms_id=wire.household_uuid(said.household_id, f"sms/{event.id}/{TEMPLATE}/{payee.person_id}"),
            household_id=said.household_id,
            payment_id=said.payment_id,
            template=TEMPLATE,
            language=payee.language,
            encoding=SmsEncoding(segments.encoding),
            segments=segments.total,
            gateway="kannel",
        )
        coding = 0 if segments.encoding == "gsm-7" else 2
        request = (
            f"{self._prefix}&coding={coding}&to=%2B{payee.phone[1:]}&text=%{text.encode().hex('%')}"
            f"&meta-data=%3Ftonle%3Fsms_id%3D{sent.sms_id} HTTP/1.1\r\nHost: gateway\r\n\r\n"
        )
        return Sms(request.encode(), event, sent)


async def main() -> None:
    """Tell what is paid."""
    notifications = Notifications()
    hop = Hop(
        notifications,
        PAYMENT_ISSUED,
        PaymentIssued,
        lambda said: (said.payee.key_id,),
        notifications.intend,
        notifications.send,
    )
    await hop.run()


if __name__ == "__main__":
    run(main())
