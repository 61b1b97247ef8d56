"""An operator's SMSC by SMPP 3.4 (docs/decisions, *SMPP: a codec, and a session of ours*).

One connection carries both directions, or each has its own. What was written and not answered is unknown,
and never written again.
"""

import asyncio
import logging
import zlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from services.notifications.gateways import smpp_wire as wire
from services.notifications.gateways.http import NotSent, Uncertain
from services.notifications.gateways.inbound import Inbound, Receive
from services.notifications.gateways.outcome import GatewayAway, Outcome, Verdict
from services.notifications.gateways.smpp_link import Account, Line, Link
from services.notifications.gateways.smpp_session import Answer
from services.notifications.receipts import Receipt
from services.notifications.segments import Encoding

log = logging.getLogger(__name__)

THROTTLED_S_MIN, THROTTLED_S_MAX = 0.1, 8.0
_BUSY = {wire.THROTTLED, wire.MESSAGE_QUEUE_FULL}


class Smpp:
    """An account at an SMSC. `keep` books receipts, `receive` keeps inbound SMS, `count` counts refusals."""

    name = "smpp"

    def __init__(
        self,
        account: Account,
        line: Line,
        keep: Callable[[Receipt], Awaitable[None]],
        receive: Receive | None,
        count: Callable[[str], None],
    ) -> None:
        self._account = account
        self._line = line
        self._keep = keep
        self._receive = receive
        self._count = count
        sends = wire.BIND_TRANSMITTER if line.separate else wire.BIND_TRANSCEIVER
        self._sending = Link(account, line, sends, self._hear)
        self._links = [self._sending]
        if line.separate:
            self._links.append(Link(account, line, wire.BIND_RECEIVER, self._hear))
        self._throttled_s = 0.0
        self._quiet_until = 0.0

    async def send(self, sms_id: str, phone: str, text: str, encoding: Encoding) -> Outcome:
        """Hand one SMS over, in as many parts as it needs. Does not raise."""
        if not phone.removeprefix("+").isdigit():
            return Outcome(Verdict.REFUSED, "no-number")
        reference = zlib.crc32(sms_id.encode()) & 0xFF
        if self._line.in_payload:
            cut = [wire.Part(wire.whole(text, encoding))]
        else:
            cut = wire.parts(text, encoding, reference)
        begun = [await self._begin(phone, encoding, part) for part in cut]
        outcomes = [await self._ended(each) for each in begun]
        if len(cut) == 1:
            return outcomes[0]
        for place, outcome in enumerate(outcomes):
            if outcome.reason == "gateway-busy":
                outcomes[place] = await self._submit_patiently(phone, encoding, cut[place])
        return _together(outcomes)

    async def ask(self, gateway_message_id: str, /) -> Receipt | None:
        """query_sm, which an SMSC may not know or may have forgotten."""
        try:
            session = await self._sending.bound()
            sequence = session.sequence
            request = wire.query_sm(sequence, gateway_message_id, self._account.sender)
            status, body = await session.ask(sequence, request)
        except (NotSent, Uncertain):
            return None
        return wire.queried(gateway_message_id, body) if status == wire.OK else None

    async def listen(self) -> None:
        """Keep all bound, so that receipts and inbound SMS come in though nothing is sent."""
        kept = [asyncio.ensure_future(link.keep()) for link in self._links]
        try:
            await asyncio.gather(*kept)
        except NotSent as error:
            raise GatewayAway(str(error)) from None
        finally:
            for each in kept:
                each.cancel()
            await self.close()

    async def close(self) -> None:
        """Unbind, where it is bound."""
        for link in self._links:
            await link.close()

    async def _submit_patiently(self, phone: str, encoding: Encoding, part: wire.Part) -> Outcome:
        """One of several: while the SMSC throttles it is offered again, so that no half of an SMS is left."""
        clock = asyncio.get_running_loop().time
        until = clock() + self._line.timeout_s
        while True:
            outcome = await self._ended(await self._begin(phone, encoding, part))
            if outcome.reason != "gateway-busy" or clock() > until:
                return outcome

    async def _begin(
        self, phone: str, encoding: Encoding, part: wire.Part
    ) -> "asyncio.Future[Answer] | Outcome":
        try:
            await self._wait_out()
            session = await self._sending.bound()
            sequence = session.sequence
            request = wire.submit_sm(sequence, self._account.sender, phone, encoding, part)
            return await session.begin(sequence, request)
        except NotSent as error:
            return Outcome(Verdict.NOT_TAKEN, str(error))

    async def _ended(self, begun: "asyncio.Future[Answer] | Outcome") -> Outcome:
        if isinstance(begun, Outcome):
            return begun
        try:
            status, body = await begun
        except Uncertain as error:
            return Outcome(Verdict.UNKNOWN, str(error))
        return self._meant(status, body)

    def _meant(self, status: int, body: bytes) -> Outcome:
        if status == wire.OK:
            self._throttled_s = 0.0
            try:
                return Outcome(Verdict.TAKEN, None, (wire.message_id(body),))
            except wire.Unreadable:
                return Outcome(Verdict.TAKEN)
        if status in _BUSY:
            now = asyncio.get_running_loop().time()
            # A whole window is throttled at once: that is one reason to be more patient, not thirty-two.
            if now >= self._quiet_until:
                self._throttled_s = min(max(2 * self._throttled_s, THROTTLED_S_MIN), THROTTLED_S_MAX)
                self._quiet_until = now + self._throttled_s
            return Outcome(Verdict.NOT_TAKEN, "gateway-busy")
        # A system error says neither yes nor no.
        verdict = Verdict.UNKNOWN if status == wire.SYSTEM_ERROR else Verdict.REFUSED
        return Outcome(verdict, f"smpp-{status:#x}")

    async def _wait_out(self) -> None:
        """Be quiet while the SMSC throttles. Raises `NotSent` if that is longer than an answer may take."""
        quiet_s = self._quiet_until - asyncio.get_running_loop().time()
        if quiet_s > self._line.timeout_s:
            raise NotSent("gateway-busy")
        if quiet_s > 0:
            await asyncio.sleep(quiet_s)

    async def _hear(self, whole: bytes) -> int:
        """A deliver_sm: answered with `OK` once it is on disk, so that the SMSC keeps it until then."""
        try:
            told = wire.deliver_sm(whole)
        except wire.Unreadable as error:
            self._count("malformed")
            log.warning("the gateway says what nobody can read: %s", error)
            return wire.NEVER_AGAIN
        try:
            if isinstance(told, Receipt):
                await self._keep(told)
            elif self._receive is not None:
                sender, to, text, encoding, part = told
                await self._receive(Inbound(sender, to, text, encoding, None, datetime.now(UTC), part))
            else:
                return wire.NEVER_AGAIN
        except Exception as error:
            self._count("not-kept")
            log.warning("what the gateway told could not be kept", exc_info=error)
            return wire.TRY_AGAIN
        return wire.OK


def _together(outcomes: list[Outcome]) -> Outcome:
    """What became of a whole message: all parts or none; else nobody can say what the reader saw."""
    ids = tuple(theirs for each in outcomes for theirs in each.gateway_message_ids)
    verdicts = {each.verdict for each in outcomes}
    if len(verdicts) == 1:
        return Outcome(outcomes[0].verdict, outcomes[0].reason, ids)
    if verdicts == {Verdict.REFUSED, Verdict.NOT_TAKEN}:
        return next(each for each in outcomes if each.verdict is Verdict.REFUSED)
    doubtful = next((each for each in outcomes if each.verdict is Verdict.UNKNOWN), None)
    return Outcome(Verdict.UNKNOWN, doubtful.reason if doubtful else "partly-taken", ids)
