"""Work beside the stream, a chunk a transaction: score again where a cycle changed, count who is reached."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

from contracts.wire import Record
from postbox import outbox
from postbox.errors import handling_of, reason_of
from postbox.message import Connection
from postbox.outbox import Written
from postbox.service import Service
from services.eligibility import coverage, store, store_coverage
from services.eligibility.coverage import Reach
from services.eligibility.grounds import Registration, facts_on
from services.eligibility.handlers import Office
from services.eligibility.households import Desk, Household, entitled, score_again
from services.eligibility.store import Terms
from services.eligibility.store_coverage import Counting
from vault import keyring

CHUNK = 500


async def score_caseload(office: Office, service: Service, *, chunk: int = CHUNK) -> bool:
    """Score the next chunk of households that a cycle concerns; True where more is left.

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
    # Cycles before households: the order in which the stream locks them, too.
    terms = await store.terms_for_scoring(db)
    turn = await store.next_turn(db)
    if turn is None:
        return None
    found = await store.chunk_of(db, turn, most)
    again = await decide_again(office, db, terms, found, cause_id=turn.cause_id, now=now)
    await store.add_failures(db, turn, again.failed, now)
    done = now if len(found) < most else None
    await store.go_on(db, turn, [each.household_id for each, _ in found], again.told, done)
    lane = f"job:{turn.cycle_id}"
    return lane, await outbox.write(db, lane, again.records)


class Again(NamedTuple):
    """What deciding a chunk anew brought: who can't be judged and why, how often told, and what goes out."""

    failed: dict[str, str]
    told: int
    records: list[Record]


async def decide_again(
    office: Office,
    db: Connection,
    terms: Terms,
    found: Sequence[tuple[Household, Registration]],
    *,
    cause_id: str,
    now: datetime,
) -> Again:
    """Decide these (locked) households anew on the terms read before them, and save what came of it."""
    sealed = [part for _, kept in found for part in (kept.persons, kept.payee)]
    keys = await keyring.load(db, office.master, (part.key_id for part in sealed))
    changed, failed = _score_each(office.desk(terms, keys), found, cause_id)
    await store.save(db, changed, now)
    return Again(failed, sum(len(each.scored) for each in changed), office.told(changed, keys, now))


def _score_each(
    desk: Desk, found: Sequence[tuple[Household, Registration]], cause_id: str
) -> tuple[list[Household], dict[str, str]]:
    """Those scored again, and the reason for each that can't be."""
    changed: list[Household] = []
    failed: dict[str, str] = {}
    for household, kept in found:
        with judging(household, failed):
            again = score_again(desk, household, kept, cause_id)
            changed += [again] if again is not None else []
    return changed, failed


@contextmanager
def judging(household: Household, failed: dict[str, str]) -> Iterator[None]:
    """Note in `failed` why this household can't be judged; what may pass by waiting is raised."""
    try:
        yield
    except Exception as error:
        if handling_of(error) == "wait":
            raise
        failed[household.household_id] = reason_of(error)


async def count_coverage(office: Office, service: Service, *, chunk: int = CHUNK) -> bool:
    """Count the next chunk of households; True where more is left."""
    async with service.db.acquire() as db, db.transaction():
        counting = await store_coverage.next_counting(db)
        if counting is not None:
            await _count_chunk(office, db, counting, chunk)
    return counting is not None


async def _count_chunk(office: Office, db: Connection, counting: Counting, most: int) -> None:
    terms = await store.terms_for_scoring(db)
    found = await store.chunk_after(db, counting.after, most)
    keys = await keyring.load(db, office.master, (kept.persons.key_id for _, kept in found))
    unreadable = _add_each(office.desk(terms, keys), counting, found)
    await store_coverage.go_on(db, counting, [each.household_id for each, _ in found], unreadable)
    if len(found) < most:
        programmes = [
            Reach(each.id, each.document.sensitive) for each in office.programmes if not each.document.draft
        ]
        report = coverage.report(counting.counts, programmes)
        await store_coverage.finish(db, counting.as_of, report, datetime.now(UTC))


def _add_each(desk: Desk, counting: Counting, found: Sequence[tuple[Household, Registration]]) -> int:
    """Households that can't be read (forgotten ones, say) are left out; gives how many."""
    unreadable = 0
    for household, kept in found:
        known = None
        with judging(household, {}):
            known = desk.opened(household, kept)
        if known is None:
            unreadable += 1
            continue
        facts = facts_on(counting.as_of, kept, known)
        coverage.add(counting.counts, facts, entitled(desk, household, kept, known))
    return unreadable
