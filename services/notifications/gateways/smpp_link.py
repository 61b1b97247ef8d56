"""A connection to an SMSC: bound when it is needed, and again, ever more patiently, when it is lost."""

import asyncio
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.notifications.gateways import smpp_wire as wire
from services.notifications.gateways.http import NotSent, Uncertain
from services.notifications.gateways.smpp_session import Hear, Session

RECONNECT_S = (0.2, 1.0, 3.0, 10.0, 30.0)
_LOGIN = {0x05, 0x0D, 0x0E, 0x0F}  # already bound, bind failed, password, system id


@dataclass(frozen=True)
class Account:
    """How the SMSC knows us. `url`: `smpp://host:port`, `smpps://…` by TLS; `sender` is what people see."""

    url: str
    user: str
    password: str
    sender: str


@dataclass(frozen=True)
class Line:
    """`window` requests at once, `timeout_s` for each answer, `enquire_s` of silence before asking for life.

    `in_payload`: a long text goes whole in `message_payload` instead of as headed segments. `separate`: one
    connection to send and one to hear, for SMSCs that know no transceiver.
    """

    window: int = 32
    timeout_s: float = 10.0
    enquire_s: float = 30.0
    in_payload: bool = False
    separate: bool = False


class Link:
    """One connection, bound by `command`; what the SMSC says by itself goes to `hear`."""

    def __init__(self, account: Account, line: Line, command: int, hear: Hear) -> None:
        self._account = account
        self._line = line
        self._command = command
        self._hear = hear
        self._session: Session | None = None
        self._opening = asyncio.Lock()
        self._failures = 0
        self._closed_until = 0.0
        self._why_closed = "gateway-unreachable"

    async def bound(self) -> Session:
        """The bound session. Raises `NotSent` where there is none now."""
        if self._session is not None and not self._session.lost.is_set():
            return self._session
        async with self._opening:
            if self._session is not None and not self._session.lost.is_set():
                return self._session
            loop = asyncio.get_running_loop()
            if loop.time() < self._closed_until:
                raise NotSent(self._why_closed)
            try:
                self._session = await self._bind(loop)
            except NotSent as error:
                self._why_closed = str(error)
                wait = RECONNECT_S[min(self._failures, len(RECONNECT_S) - 1)]
                self._closed_until, self._failures = loop.time() + wait, self._failures + 1
                raise
            self._failures = 0
            return self._session

    async def keep(self) -> None:
        """Bind, and again whenever it is lost. Raises `NotSent` where that can't be."""
        while True:
            await (await self.bound()).lost.wait()

    async def close(self) -> None:
        """Unbind, where it is bound."""
        if self._session is not None and not self._session.lost.is_set():
            await self._session.unbind()

    async def _bind(self, loop: asyncio.AbstractEventLoop) -> Session:
        parts, line = urlsplit(self._account.url), self._line
        tls = ssl.create_default_context() if parts.scheme == "smpps" else None
        try:
            async with asyncio.timeout(line.timeout_s):
                _, session = await loop.create_connection(
                    lambda: Session(line.window, line.timeout_s, line.enquire_s, self._hear),
                    parts.hostname or "",
                    parts.port or 2775,
                    ssl=tls,
                )
        except (OSError, TimeoutError):
            raise NotSent("gateway-unreachable") from None
        sequence = session.sequence
        try:
            request = wire.bind(self._command, sequence, self._account.user, self._account.password)
            status, _ = await session.ask(sequence, request)
        except (NotSent, Uncertain):
            session.close("not-bound")
            raise NotSent("gateway-unreachable") from None
        if status != wire.OK:
            session.close("not-bound")
            raise NotSent("gateway-login" if status in _LOGIN else "gateway-unreachable")
        return session
