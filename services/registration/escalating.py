"""The job that sends grievances up that were not settled in time."""

from dataclasses import dataclass
from datetime import UTC, datetime

from postbox import outbox
from postbox.service import Service
from services.registration import complaints
from services.registration.complaints import Rulebook

ESCALATING = "escalate"
EVERY_S = 600.0
AT_ONCE = 200


@dataclass(frozen=True)
class Escalator:
    """Looks every ten minutes; late grievances go up in chunks of 200."""

    book: Rulebook

    async def run(self, service: Service) -> bool:
        """Send a chunk up; True when there may be more."""
        async with service.db.acquire() as db, db.transaction():
            told = await complaints.escalate(db, self.book, datetime.now(UTC), AT_ONCE)
            await outbox.write(db, ESCALATING, told)
        service.courier.take([ESCALATING])
        return len(told) == AT_ONCE
