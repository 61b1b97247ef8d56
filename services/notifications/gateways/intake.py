"""What gateways tell of SMS: receipts, booked many at a time, and those that never came."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from prometheus_client import Counter

from postbox import outbox
from postbox.message import Connection
from postbox.outbox import Written
from postbox.service import Job, Service
from services.notifications import receipts, sms, store_receipts
from services.notifications.gateways.outcome import Gateway
from services.notifications.receipts import Known, Receipt
from services.notifications.sms import Finished

log = logging.getLogger(__name__)

LANE = "receipts"
AT_ONCE = 500
ASKED_AT_ONCE = 32


@dataclass
class Intake:
    """Books receipts. `again`: templates whose SMS may be sent once more when nobody learns of the first.

    `counted` counts receipts by what they were: delivered, failed, repeated, contradicted, unknown_id, ...
    """

    now: Callable[[], datetime]
    counted: Counter
    again: Sequence[str] = ()
    service: Service | None = None
    _waiting: list[tuple[Receipt, "asyncio.Future[None]"]] = field(default_factory=list)
    _task: "asyncio.Task[None] | None" = None

    def jobs(self, gateway: Gateway, every_s: float) -> tuple[Job, ...]:
        """What is to be done beside the stream."""
        return (
            # The first to begin is the last to end: senders that stop still get their answers.
            Job("gateway", partial(_listen, gateway)),
            Job("parked-receipts", self.again_parked, every_s),
            Job("overdue-receipts", partial(self.expire, gateway), every_s),
        )

    async def keep(self, receipt: Receipt) -> None:
        """Returns once the receipt is booked or parked, on disk. Raises where it can't be kept now."""
        kept = asyncio.get_running_loop().create_future()
        self._waiting.append((receipt, kept))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._book_waiting())
        await kept

    def count(self, what: str) -> None:
        """One more that was refused."""
        self.counted.labels(what).inc()

    async def again_parked(self, service: Service) -> bool:
        """Book what came before its SMS was known (a job)."""
        async with service.db.acquire() as db, db.transaction():
            taken = await store_receipts.take_parked(db, AT_ONCE)
            written = await self._book(db, taken) if taken else {}
            await store_receipts.forget_parked(db)
        if written:
            await service.courier.bring(LANE, written)
        return len(taken) == AT_ONCE

    async def expire(self, gateway: Gateway, service: Service) -> bool:
        """Ask the gateway for receipts that did not come in time, then end the wait (a job)."""
        async with service.db.acquire() as db:
            due = await store_receipts.overdue(db, AT_ONCE)
        if not due:
            return False
        await self._ask(gateway, [theirs for each in due for theirs in each.gateway_message_ids])
        async with service.db.acquire() as db, db.transaction():
            silent, queued = await store_receipts.expire(db, [each.sms_id for each in due], self.again)
            written = await self._announce(db, silent)
        if silent or queued:
            log.warning("%d SMS without a receipt are unknown now, %d are sent again", len(silent), queued)
        await service.courier.bring(LANE, written)
        return len(due) == AT_ONCE

    async def _ask(self, gateway: Gateway, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), ASKED_AT_ONCE):
            asked = ids[start : start + ASKED_AT_ONCE]
            said = await asyncio.gather(*map(gateway.ask, asked))
            for receipt in said:
                if receipt is not None:
                    await self.keep(receipt)

    async def _book_waiting(self) -> None:
        service = self.service
        while self._waiting:
            batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
            try:
                if service is None:
                    raise RuntimeError("not started")
                async with service.db.acquire() as db, db.transaction():
                    written = await self._book(db, [receipt for receipt, _ in batch])
            except Exception as error:
                # Who gave them hears it, and the gateway tells again.
                for _, kept in batch:
                    if not kept.done():
                        kept.set_exception(error)
                continue
            for _, kept in batch:
                if not kept.done():
                    kept.set_result(None)
            await service.courier.bring(LANE, written)

    async def _book(self, db: Connection, told: Iterable[Receipt]) -> Written:
        told = list(told)
        known, owners = await store_receipts.load(db, told)
        changed: dict[str, Known] = {}
        waiting: dict[Receipt, str] = {}
        for receipt in told:
            sms_id = receipt.sms_id or owners.get(receipt.gateway_message_id or "", "")
            after = receipts.book(changed.get(sms_id, known.get(sms_id)), receipt)
            if isinstance(after, Known):
                changed[sms_id] = after
            elif after in receipts.WAITING:
                waiting[receipt] = after.value
            self.counted.labels(receipt.status.value if isinstance(after, Known) else after.value).inc()
        await store_receipts.park(db, waiting)
        return await self._announce(db, await store_receipts.save(db, list(changed.values())))

    async def _announce(self, db: Connection, finished: Sequence[Finished]) -> Written:
        now = self.now()
        records = (sms.announce(each, "", now) for each in finished)
        return await outbox.write(db, LANE, [record for record in records if record is not None])


async def _listen(gateway: Gateway, _: Service) -> bool:
    await gateway.listen()
    return False
