"""The job `shocks`: households of a shock's communes scored again, a chunk a transaction."""

from datetime import UTC, datetime

from postbox import outbox
from postbox.message import Connection
from postbox.outbox import Written
from postbox.service import Service
from services.eligibility import jobs, store, store_shocks
from services.eligibility.handlers import Office

SHOCKS = "shocks"
CHUNK = 500


async def run(office: Office, service: Service, *, chunk: int = CHUNK) -> bool:
    """Do the next chunk of the oldest unfinished job; True where more is left.

    Can be stopped anywhere: how far it got is written with what it decided.
    """
    async with service.db.acquire() as db, db.transaction():
        done = await score_chunk(office, db, chunk)
    if done is None:
        return False
    await service.courier.bring(*done)
    return True


async def score_chunk(office: Office, db: Connection, most: int) -> tuple[str, Written] | None:
    """A chunk in the caller's transaction: its lane and what was written; None where no job is unfinished."""
    now = datetime.now(UTC)
    # Shocks and cycles before households: the order in which the stream locks them, too.
    terms = await store.terms_for_scoring(db)
    turn = await store_shocks.next_turn(db)
    if turn is None:
        return None
    found = await store_shocks.chunk_of(db, turn, most)
    day = turn.judged_on
    judged = [(each.until(day) if day else each, kept) for each, kept in found]
    again = await jobs.decide_again(office, db, terms, judged, cause_id=turn.cause_id, now=now)
    await store_shocks.add_failures(db, turn, again.failed, now)
    finished_at = now if len(found) < most else None
    await store_shocks.go_on(db, turn, [each.household_id for each, _ in found], again.told, finished_at)
    return lane(turn.name), await outbox.write(db, lane(turn.name), again.records)


def lane(name: str) -> str:
    """The outbox's lane of what a shock tells and makes to be told."""
    return f"shock:{name}"
