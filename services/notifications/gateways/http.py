"""HTTP/1.1 GET over kept-alive connections, which always knows whether anything was sent, and never repeats.

General clients repeat a GET by themselves when a kept connection turns out closed; for an SMS that is a
second SMS (docs/decisions, *A GET that is never repeated*).
"""

import asyncio
import ssl
from typing import NamedTuple, cast

import httptools

BODY_BYTES_MAX = 64 * 1024
IDLE_S_MAX = 4.0


class NotSent(Exception):
    """The server could not be reached; nothing was sent."""


class Uncertain(Exception):
    """The request was sent and no answer came: its text says whether time ran out or the connection broke."""


class Answer(NamedTuple):
    """Status and body of a response."""

    status: int
    body: bytes


class Connections:
    """Kept-alive connections to one server; as many are opened as there are requests at once."""

    def __init__(self, host: str, port: int, *, tls: bool, timeout_s: float) -> None:
        self._host = host
        self._port = port
        self._tls = ssl.create_default_context() if tls else None
        self._timeout_s = timeout_s
        self._idle: list[_Connection] = []
        self._asked: dict[_Connection, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def get(self, target: str) -> Answer:
        """Request an origin-form target (ASCII). Raises `NotSent` or `Uncertain`."""
        connection = self._reuse() or await self._open()
        request = f"GET {target} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode("ascii")
        loop = asyncio.get_running_loop()
        self._asked[connection] = loop.time() + self._timeout_s
        if self._timer is None:
            self._timer = loop.call_later(self._timeout_s, self._expire)
        try:
            answer = await connection.get(request)
        finally:
            del self._asked[connection]
        if connection.reusable:
            self._idle.append(connection)
        return answer

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().close()

    def _expire(self) -> None:
        """One timer for all: who was asked first has its time over first."""
        loop, self._timer = asyncio.get_running_loop(), None
        for connection, until in list(self._asked.items()):
            if until > loop.time():
                self._timer = loop.call_at(until, self._expire)
                return
            connection.fail("timeout")

    def _reuse(self) -> "_Connection | None":
        # The one used last comes first, so that what is not needed grows old and is closed.
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable and now - connection.used_at < IDLE_S_MAX:
                return connection
            connection.close()
        return None

    async def _open(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_s):
                _, connection = await loop.create_connection(
                    lambda: _Connection(loop), self._host, self._port, ssl=self._tls
                )
        except (OSError, TimeoutError) as error:
            raise NotSent(type(error).__name__) from None
        return connection


class _Connection(asyncio.Protocol):
    """One request at a time. A connection that failed, or was asked to close, is not reusable."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.reusable = True
        self.used_at = loop.time()
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Answer] | None = None
        self._body = b""

    async def get(self, request: bytes) -> Answer:
        if self._transport is None or self._transport.is_closing():
            raise NotSent("closed")
        self._answer, self._body = self._loop.create_future(), b""
        self._transport.write(request)
        try:
            return await self._answer
        finally:
            self.used_at = self._loop.time()
            if self._answer is not None:
                self.close()

    def close(self) -> None:
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, _: Exception | None) -> None:
        self.reusable = False
        self.fail("connection-lost")

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.fail("no-http")

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > BODY_BYTES_MAX:
            self.fail("answer-too-long")

    def on_message_complete(self) -> None:
        self.reusable = self.reusable and self._parser.should_keep_alive()
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_result(Answer(self._parser.get_status_code(), self._body))
        if not self.reusable or answer is None:
            self.close()

    def fail(self, reason: str) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(Uncertain(reason))
        self.close()
