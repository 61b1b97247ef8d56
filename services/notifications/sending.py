"""The sender: claims queued SMS, hands them to the gateway, and writes down what became of each.

Nothing is called inside a transaction. An SMS is `sending` from before its request until its outcome is
written; what a stopped process leaves `sending` becomes `unknown` when its lease ends, and is not sent again.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from postbox import outbox
from postbox.errors import handling_of, is_transient, reason_of
from postbox.message import Connection
from postbox.outbox import Written
from postbox.service import Service
from postbox.telemetry import Tracing, is_sampled
from services.notifications import answers, sms, store, store_rates, store_receipts
from services.notifications.counters import Counters
from services.notifications.gateways.outcome import Gateway, Verdict
from services.notifications.manners import Manners
from services.notifications.pacing import turns
from services.notifications.sms import Claimed, Finished, Ready, Result
from services.notifications.wording import Wording
from vault import keyring
from vault.master import MasterKey
from vault.sealing import Keys

log = logging.getLogger(__name__)

LANE = "sender"
RATE_LIMIT = "rate-limit"
WRITE_AGAIN_AFTER_S = (0.2, 1.0, 5.0, 15.0)
_STATE = {
    Verdict.TAKEN: "sent",
    Verdict.REFUSED: "failed",
    Verdict.UNKNOWN: "unknown",
    Verdict.NOT_TAKEN: "queued",
}


def _finished(
    claimed: Sequence[Claimed], results: Sequence[Result], versions: Mapping[str, int]
) -> list[Finished]:
    by_id = {each.sms_id: each for each in claimed}
    return [
        sms.finish(by_id[each.sms_id], each, versions[each.sms_id])
        for each in results
        if each.sms_id in versions
    ]


def _turn(paced: tuple[float, Ready]) -> float:
    return paced[0]


class GatewayUnavailable(Exception):
    """The gateway took none of the messages offered; they stay queued."""


@dataclass(frozen=True)
class Limits:
    """`chunk` SMS are claimed at once, `in_flight` requests are open, a claim holds `lease_s` seconds.

    `rates`: segments a second by operator, of all processes together. Receipts are awaited for
    `receipt_window_s`; None: the gateway is asked for none.
    """

    chunk: int
    in_flight: int
    lease_s: float
    receipt_window_s: float | None = None
    rates: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Sender:
    """One process's sender; `process` and a number name its claims, `now` is the clock for its events.

    `counters` count what became of SMS.
    """

    gateway: Gateway
    wording: Wording
    master: MasterKey
    manners: Manners
    process: str
    limits: Limits
    now: Callable[[], datetime]
    counters: Counters
    numbers: Iterator[int] = field(default_factory=count)

    async def run(self, service: Service) -> bool:
        """Send one chunk; True when there may be more. Raises `GatewayUnavailable` when none was taken.

        Being cancelled waits for the answers still due and puts the rest back, so that a service that is
        stopped leaves nothing uncertain.
        """
        stopping = asyncio.Event()
        chunk = asyncio.ensure_future(self._send_chunk(service, stopping))
        try:
            return await asyncio.shield(chunk)
        except asyncio.CancelledError:
            stopping.set()
            await chunk
            raise

    async def give_up_lost(self, service: Service) -> bool:
        """Claims of processes that are gone become `unknown`, and are counted so."""
        async with service.db.acquire() as db, db.transaction():
            limits = self.limits
            lost = await store.give_up(db, limits.lease_s, limits.receipt_window_s)
            written = await self._announce(db, lost)
        if lost:
            self.counters.outcomes.labels("unknown").inc(len(lost))
            log.warning("%d SMS of a stopped sender are unknown now", len(lost))
            service.courier.take([LANE], written)
        return bool(lost)

    async def _send_chunk(self, service: Service, stopping: asyncio.Event) -> bool:
        clock = asyncio.get_running_loop().time
        # Half the lease is left for the last requests to time out and for writing their outcomes.
        until, claim = clock() + self.limits.lease_s / 2, f"{self.process}/{next(self.numbers)}"
        async with service.db.acquire() as db, db.transaction():
            claimed = await store.claim(db, claim, self.limits.chunk)
            if not claimed:
                return False
            keys = await keyring.load(db, self.master, (each.to.key_id for each in claimed if each.to))
        now = self.now()
        prepared = [self._prepare(keys, each, now) for each in claimed]
        results = [each for each in prepared if isinstance(each, Result)]
        paced, put_back = await self._pace(service, [each for each in prepared if isinstance(each, Ready)])
        results += put_back
        ready, sent = iter(paced), list[Result]()

        async def work() -> None:
            for turn, each in ready:
                if turn > clock():
                    await asyncio.sleep(turn - clock())
                if stopping.is_set() or clock() > until:
                    sent.append(Result(each.sms_id, "queued", "out-of-time"))
                else:
                    sent.append(await self._hand_over(service.tracing, each))

        await asyncio.gather(*(work() for _ in range(min(self.limits.in_flight, len(paced)))))
        await self._write(service, claim, claimed, results + sent)
        if sent and not stopping.is_set() and all(each.state == "queued" for each in sent):
            raise GatewayUnavailable(sent[0].reason)
        return bool(put_back) or len(claimed) > self.limits.chunk - store.TOGETHER_MOST

    async def _pace(
        self, service: Service, ready: Sequence[Ready]
    ) -> tuple[list[tuple[float, Ready]], list[Result]]:
        """When each may go by the loop's clock, the first first; and those whose operator has no turn now."""
        limited: dict[str, list[Ready]] = {}
        for each in ready:
            if each.operator in self.limits.rates:
                limited.setdefault(each.operator, []).append(each)
        go = [(0.0, each) for each in ready if each.operator not in limited]
        if not limited:
            return go, []
        async with service.db.acquire() as db, db.transaction():
            waits = await store_rates.lock(db, list(limited))
            given = {
                operator: turns(
                    [each.segments.total for each in theirs], self.limits.rates[operator], waits[operator]
                )
                for operator, theirs in limited.items()
            }
            await store_rates.take(db, {operator: each.taken_s for operator, each in given.items()})
        began, now, put_back = asyncio.get_running_loop().time(), self.now(), list[Result]()
        for operator, theirs in limited.items():
            soon, later = given[operator].go, given[operator].again
            go += [(began + turn, each) for turn, each in zip(soon, theirs, strict=False)]
            put_back += [
                Result(
                    each.sms_id,
                    "queued",
                    RATE_LIMIT,
                    not_before=now + timedelta(seconds=turn),
                    operator=operator,
                )
                for turn, each in zip(later, theirs[len(soon) :], strict=True)
            ]
        return sorted(go, key=_turn), put_back

    def _prepare(self, keys: Keys, claimed: Claimed, now: datetime) -> Ready | Result:
        try:
            if claimed.answer is not None:
                return answers.ready(self.master, claimed, claimed.answer, now)
            return self.manners.prepare(self.wording, keys, claimed, now)
        except Exception as error:
            state = "queued" if handling_of(error) == "wait" else "failed"
            return Result(claimed.sms_id, state, reason_of(error))

    async def _hand_over(self, tracing: Tracing, ready: Ready) -> Result:
        span = tracing.begin("sms", ready.traceparent) if is_sampled(ready.traceparent) else None
        encoding, _, segments = ready.segments
        verdict, reason, ids = await self.gateway.send(ready.sms_id, ready.phone, ready.text, encoding)
        if span is not None:
            span.end()
        return Result(
            ready.sms_id,
            _STATE[verdict],
            reason,
            ready.language,
            encoding,
            segments,
            operator=ready.operator,
            gateway_message_ids=ids,
        )

    async def _write(
        self, service: Service, claim: str, claimed: Sequence[Claimed], results: Sequence[Result]
    ) -> None:
        for wait in (*WRITE_AGAIN_AFTER_S, None):
            try:
                async with service.db.acquire() as db, db.transaction():
                    versions = await store.finish(db, claim, results, self.limits.receipt_window_s)
                    await store_receipts.name(db, claim, results)
                    written = await self._announce(db, _finished(claimed, results, versions))
                break
            except Exception as error:
                if wait is None or not is_transient(error):
                    raise
                log.warning("outcomes could not be written, trying again", exc_info=error)
                await asyncio.sleep(wait)
        self.counters.count(each for each in results if each.sms_id in versions)
        await service.courier.bring(LANE, written)

    async def _announce(self, db: Connection, finished: Sequence[Finished]) -> Written:
        now = self.now()
        records = (sms.announce(each, self.gateway.name, now) for each in finished)
        return await outbox.write(db, LANE, [record for record in records if record is not None])
