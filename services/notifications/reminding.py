"""The job that reminds of money that was not collected yet, some days before the last."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from postbox.service import Service
from services.notifications import store, store_payments, telling
from services.notifications.manners import PHNOM_PENH

EVERY_S = 60.0
PAYMENTS_AT_ONCE = 1_000


@dataclass(frozen=True)
class Reminder:
    """Reminds `days` days before the last day to collect; `now` is the clock, `senders` the jobs to wake."""

    days: int
    now: Callable[[], datetime]
    senders: Sequence[str]

    async def run(self, service: Service) -> bool:
        """Remind of some payments; True when there may be more."""
        now = self.now()
        today = now.astimezone(PHNOM_PENH).date()
        async with service.db.acquire() as db, db.transaction():
            until = today + timedelta(days=self.days)
            to_collect = await store_payments.take_to_collect(db, until, PAYMENTS_AT_ONCE)
            due = await store_payments.remind(db, to_collect, today) if to_collect else []
            await store.add(db, [telling.remind(payment, now) for payment in due])
        if due:
            for sender in self.senders:
                service.wake(sender)
        return bool(to_collect)
