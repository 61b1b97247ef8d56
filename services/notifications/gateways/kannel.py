"""Kannel's `sendsms` (User's Guide 1.4.5, *Using the HTTP interface to send SMS messages*).

The guide's answers: 202 taken, or queued when no operator link is up; 4xx can't be delivered in any
circumstances; 503 a passing failure, try again. Kannel's smsbox takes GET only.
"""

import asyncio
from urllib.parse import quote, urlsplit

from services.notifications.gateways.http import Answer, Connections, NotSent, Uncertain
from services.notifications.gateways.outcome import Outcome, Verdict
from services.notifications.receipts import Receipt
from services.notifications.segments import Encoding

FINAL_REPORTS = 1 + 2 + 16
"""dlr-mask: delivered to phone, not delivered to phone, refused by the operator."""
SENDSMS = "/cgi-bin/sendsms"
_CODING: dict[Encoding, int] = {"gsm-7": 0, "ucs-2": 2}


class Kannel:
    """A smsbox at `url` (`/cgi-bin/sendsms` where it names no path), as one of its `sendsms-user`s.

    `report_url`: where it shall send delivery reports; `{sms_id}` in it is replaced. The business key goes
    along as meta-data, so that a gateway can recognise what it has taken already.
    """

    name = "kannel"

    def __init__(
        self,
        url: str,
        user: str,
        password: str,
        sender: str,
        *,
        timeout_s: float,
        report_url: str | None = None,
    ) -> None:
        parts = urlsplit(url)
        tls = parts.scheme == "https"
        port = parts.port or (443 if tls else 80)
        self._connections = Connections(parts.hostname or "", port, tls=tls, timeout_s=timeout_s)
        login = f"username={quote(user, safe='')}&password={quote(password, safe='')}"
        self._prefix = (
            f"{parts.path.rstrip('/') or SENDSMS}?{login}&from={quote(sender, safe='')}&charset=UTF-8"
        )
        self._report_url = report_url

    async def send(self, sms_id: str, phone: str, text: str, encoding: Encoding) -> Outcome:
        """Hand one SMS over. Does not raise."""
        target = (
            f"{self._prefix}&coding={_CODING[encoding]}&to={_encoded(phone)}&text={_encoded(text)}"
            f"&meta-data=%3Ftonle%3Fsms_id%3D{sms_id}"
        )
        if self._report_url is not None:
            report_url = quote(self._report_url.replace("{sms_id}", sms_id), safe="")
            target += f"&dlr-mask={FINAL_REPORTS}&dlr-url={report_url}"
        try:
            return _outcome(await self._connections.get(target))
        except NotSent:
            return Outcome(Verdict.NOT_TAKEN, "gateway-unreachable")
        except Uncertain as uncertain:
            return Outcome(Verdict.UNKNOWN, str(uncertain))

    async def ask(self, _: str, /) -> Receipt | None:
        """Kannel can't be asked: what it was told it tells once, to the report's URL."""
        return None

    async def listen(self) -> None:
        """Kannel calls us (`callbacks.py`)."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Close the connections."""
        self._connections.close()


def _outcome(answer: Answer) -> Outcome:
    login = answer.status in (401, 407) or answer.body.startswith(b"Authorization failed")
    busy = answer.status == 429 or answer.body.startswith(b"Temporal failure")
    if answer.status == 202:
        return Outcome(Verdict.TAKEN)
    if 400 <= answer.status < 600 and (login or busy):
        return Outcome(Verdict.NOT_TAKEN, "gateway-login" if login else "gateway-busy")
    verdict = Verdict.REFUSED if 400 <= answer.status < 500 else Verdict.UNKNOWN
    return Outcome(verdict, f"gateway-{answer.status}")


def _encoded(text: str) -> str:
    """Percent-encoded octet by octet: a tenth of the time that `quote` takes for Khmer."""
    return "%" + text.encode().hex("%") if text else ""
