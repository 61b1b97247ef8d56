"""A bound SMPP connection: requests with their answers, a window, and what the other side says by itself."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple, cast

from services.notifications.gateways import smpp_wire as wire
from services.notifications.gateways.http import NotSent, Uncertain

SEQUENCE_MAX = 0x7FFFFFFF


class Answer(NamedTuple):
    """A response: its command status and body."""

    status: int
    body: bytes


Hear = Callable[[bytes], Awaitable[int]]
"""Takes a whole deliver_sm; gives the command status it is answered with, once that is certain."""


class Session(asyncio.Protocol):
    """At most `window` requests are unanswered. A session that was lost is not used again."""

    def __init__(self, window: int, timeout_s: float, enquire_s: float, hear: Hear) -> None:
        self.lost = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(window)
        self._timeout_s = timeout_s
        self._enquire_s = enquire_s
        self._hear = hear
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._sequence = 0
        # In the order they were asked, so that the first is the first to be late.
        self._open: dict[int, tuple[float, asyncio.Future[Answer]]] = {}
        self._heard_at = 0.0
        self._hearing: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def sequence(self) -> int:
        """The number of the next request."""
        self._sequence = self._sequence % SEQUENCE_MAX + 1
        return self._sequence

    async def ask(self, sequence: int, request: bytes) -> Answer:
        """Send a request and wait for its response. Raises `NotSent` or `Uncertain`."""
        return await (await self.begin(sequence, request))

    async def begin(self, sequence: int, request: bytes) -> "asyncio.Future[Answer]":
        """Send a request as soon as the window has room; what will be its response. Raises `NotSent`."""
        await self._room.acquire()
        if self._transport is None or self._transport.is_closing():
            self._room.release()
            raise NotSent("closed")
        answer: asyncio.Future[Answer] = self._loop.create_future()
        answer.add_done_callback(self._leave)
        self._open[sequence] = (self._loop.time() + self._timeout_s, answer)
        self._transport.write(request)
        return answer

    def _leave(self, answer: "asyncio.Future[Answer]") -> None:
        self._room.release()
        if not answer.cancelled():
            answer.exception()

    async def unbind(self) -> None:
        """Say goodbye and close; what is unanswered is uncertain."""
        try:
            sequence = self.sequence
            await self.ask(sequence, wire.pdu(wire.UNBIND, sequence))
        except (NotSent, Uncertain):
            pass
        self.close("unbound")

    def close(self, reason: str) -> None:
        """Close at once; requests without an answer end as uncertain, for this reason."""
        if self._timer is not None:
            self._timer.cancel()
        waiting, self._open = self._open, {}
        for _, answer in waiting.values():
            if not answer.done():
                answer.set_exception(Uncertain(reason))
        if self._transport is not None:
            self._transport.abort()
        self.lost.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._heard_at = self._loop.time()
        self._watch()

    def connection_lost(self, _: Exception | None) -> None:
        self.close("connection-lost")

    def data_received(self, data: bytes) -> None:
        told, at = self._rest + data if self._rest else data, 0
        self._heard_at = self._loop.time()
        while len(told) - at >= wire.HEADER.size:
            length, command, status, sequence = wire.HEADER.unpack_from(told, at)
            if not wire.HEADER.size <= length <= wire.PDU_BYTES_MAX:
                self.close("no-smpp")
                return
            if len(told) - at < length:
                break
            if command & wire.RESPONSE:
                self._answered(sequence, Answer(status, told[at + wire.HEADER.size : at + length]))
            else:
                self._asked(command, sequence, told[at : at + length])
            at += length
        self._rest = told[at:]

    def _answered(self, sequence: int, answer: Answer) -> None:
        _, waiting = self._open.pop(sequence, (0.0, None))
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def _asked(self, command: int, sequence: int, whole: bytes) -> None:
        if command == wire.DELIVER_SM:
            task = self._loop.create_task(self._deliver(sequence, whole))
            self._hearing.add(task)
            task.add_done_callback(self._hearing.discard)
        elif command == wire.ENQUIRE_LINK:
            self._say(wire.pdu(wire.ENQUIRE_LINK | wire.RESPONSE, sequence))
        elif command == wire.UNBIND:
            self._say(wire.pdu(wire.UNBIND | wire.RESPONSE, sequence))
            self.close("unbound")
        else:
            self._say(wire.pdu(wire.GENERIC_NACK, sequence, status=wire.INVALID_COMMAND))

    async def _deliver(self, sequence: int, whole: bytes) -> None:
        status = await self._hear(whole)
        self._say(wire.pdu(wire.DELIVER_SM | wire.RESPONSE, sequence, b"\0", status))

    def _say(self, response: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(response)

    def _watch(self) -> None:
        """Requests that are late end uncertain; a silent line is asked whether it is still there."""
        now = self._loop.time()
        for sequence, (until, answer) in list(self._open.items()):
            if until > now:
                break
            del self._open[sequence]
            if not answer.done():
                answer.set_exception(Uncertain("timeout"))
        if now - self._heard_at > self._enquire_s + self._timeout_s:
            self.close("line-dead")
            return
        if now - self._heard_at > self._enquire_s:
            self._say(wire.pdu(wire.ENQUIRE_LINK, self.sequence))
        self._timer = self._loop.call_later(min(self._timeout_s, self._enquire_s) / 10, self._watch)
