"""As much of an HTTP/1.1 server as the simulated gateway needs: GET over kept-alive connections."""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import lru_cache, partial
from http import HTTPStatus
from typing import NamedTuple, cast

import httptools
from multidict import MultiMapping
from yarl import URL

TARGET_BYTES_MAX = 64 * 1024
Query = MultiMapping[str]


class Answer(NamedTuple):
    """A response."""

    status: int
    text: str
    kind: str = "text/plain"


Say = Callable[[Answer], object]


class Conversation(asyncio.Protocol):
    """One connection. Each request is put to `ask` when it is there; the answers go out in the same order."""

    def __init__(self, ask: Callable[[URL, Say], None]) -> None:
        self._ask = ask
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._due: deque[list[Answer]] = deque()
        self._is_last = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._transport.close()

    def on_url(self, part: bytes) -> None:
        self._target += part
        if len(self._target) > TARGET_BYTES_MAX:
            self._transport.close()

    def on_message_complete(self) -> None:
        target, self._target = self._target, b""
        self._is_last = not self._parser.should_keep_alive()
        answer: list[Answer] = []
        self._due.append(answer)
        if self._parser.get_method() == b"GET":
            self._ask(URL(target.decode(errors="replace"), encoded=True), partial(self._say, answer))
        else:
            self._say(answer, Answer(405, "Only GET is answered"))

    def _say(self, due: list[Answer], answer: Answer) -> None:
        due.append(answer)
        while self._due and self._due[0]:
            (ready,) = self._due.popleft()
            if not self._transport.is_closing():
                self._transport.write(_written(ready))
        if self._is_last and not self._due:
            self._transport.close()


def _written(answer: Answer) -> bytes:
    body = answer.text.encode()
    return _head(answer.status, answer.kind, len(body)) + body


@lru_cache(maxsize=64)
def _head(status: int, kind: str, length: int) -> bytes:
    first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"
    return f"{first}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {length}\r\n\r\n".encode()
