"""What the simulated gateway tells by itself: receipts, until they are taken, and what people write."""

import asyncio
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import quote, urlencode
from uuid import uuid4

import aiohttp
from yarl import URL

from simulators.gateway_smpp import OK, Part, SmppConversation

AGAIN_S = 0.5
AT_ONCE = 16
_STATUS = {"delivered": "1", "failed": "2"}
_NEVER_AGAIN = 0x65


class Debt(NamedTuple):
    """A receipt that is due: to `url` (Kannel's `dlr-url`), else to whoever is bound by SMPP."""

    message_id: str
    became: str
    recipient: str
    sender: str
    url: str = ""


class Receipts:
    """Receipts that are owed, each told `delay_s` after its message and again until somebody takes it."""

    def __init__(self, delay_s: float) -> None:
        self.owed = 0
        self._delay_s = delay_s
        self._fates: dict[str, str] = {}
        self._lines: list[SmppConversation] = []
        self._due: list[Debt] = []
        self._told: dict[tuple[SmppConversation, int], Debt] = {}
        self._calls: set[asyncio.Task[None] | asyncio.Task[bool]] = set()
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._client: aiohttp.ClientSession | None = None

    def owe(self, debt: Debt) -> None:
        """It will be told."""
        self.owed += 1
        self._fates.setdefault(debt.message_id, debt.became)
        asyncio.get_running_loop().call_later(self._delay_s, self._tell, debt)

    def became(self, message_id: str) -> str | None:
        """What became of a message that was submitted by SMPP."""
        return self._fates.get(message_id)

    def entered(self, line: SmppConversation) -> None:
        """Somebody has bound: what waited for that is told now."""
        self._lines.append(line)
        due, self._due = self._due, []
        for debt in due:
            self._tell(debt)

    def left(self, line: SmppConversation) -> None:
        """A line is gone; what it has not acknowledged is told to the next."""
        if line in self._lines:
            self._lines.remove(line)
        for key in [key for key in self._told if key[0] is line]:
            self._tell(self._told.pop(key))

    def acknowledged(self, line: SmppConversation, sequence: int, status: int) -> None:
        """A receipt was taken, or shall be told again."""
        debt = self._told.pop((line, sequence), None)
        if debt is None:
            return
        if status in (OK, _NEVER_AGAIN):
            self.owed -= 1
        else:
            asyncio.get_running_loop().call_later(AGAIN_S, self._tell, debt)

    def write(self, sender: str, recipient: str, text: str, part: Part | None) -> bool:
        """What somebody writes to us, by SMPP; whether anybody was there to hear it."""
        for line in self._lines:
            if line.is_there:
                line.write(sender, recipient, text, part)
                return True
        return False

    def call_about(
        self, url: str, secret: str, sender: str, recipient: str, text: str
    ) -> "asyncio.Task[bool]":
        """What somebody writes to us, as Kannel calls a `get-url`; whether it was taken."""
        # Of UCS-2 Kannel gives the octets (`%b`), coding 2.
        told = {"secret": secret, "from": sender, "to": recipient, "coding": "2", "id": uuid4().hex}
        query = f"{urlencode(told)}&text={quote(text.encode('utf-16-be'))}"
        call = asyncio.get_running_loop().create_task(self._get(f"{url}?{query}"))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return call

    def close(self) -> None:
        """Stop telling."""
        for call in self._calls:
            call.cancel()

    def _tell(self, debt: Debt) -> None:
        if debt.url:
            call = asyncio.get_running_loop().create_task(self._call(debt))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
            return
        line = next((each for each in self._lines if each.is_there), None)
        if line is None:
            self._due.append(debt)
            return
        self._told[line, line.report(debt.message_id, debt.became, debt.recipient, debt.sender)] = debt

    async def _get(self, url: str) -> bool:
        self._client = self._client or aiohttp.ClientSession()
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self._client.get(URL(url, encoded=True)) as answer:
                return answer.ok
        return False

    async def _call(self, debt: Debt) -> None:
        """Kannel tells a receipt again until it is answered 200; a refusal it takes for an answer."""
        self._client = self._client or aiohttp.ClientSession()
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                url = debt.url.replace("%d", _STATUS[debt.became])
                async with self._at_once, self._client.get(url) as answer:
                    if answer.status < 500:
                        self.owed -= 1
                        return
            await asyncio.sleep(AGAIN_S)
