"""The job `calendar`: milestones reached by a day, a chunk a transaction, each once whenever it is run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from contracts.household import HouseholdId
from contracts.milestone import MilestoneKind
from contracts.topics import HOUSEHOLD_REGISTERED
from contracts.wire import Cause, Record
from postbox import outbox
from postbox.message import Connection
from postbox.outbox import Written
from postbox.service import Service
from services.eligibility import milestones, store, store_calendar
from services.eligibility.agenda import PHNOM_PENH
from services.eligibility.due import due
from services.eligibility.grounds import Registration
from services.eligibility.handlers import Office
from services.eligibility.households import Desk, Household, score_again
from services.eligibility.jobs import judging
from services.eligibility.milestones import Reached
from vault import keyring
from vault.sealing import Keys

CALENDAR = "calendar"
LANE = "job:calendar"
SCHEDULER = "scheduler"
CHUNK = 500


@dataclass
class Done:
    """What one chunk came to. `next_on`: the day of each household's next milestone, None for none."""

    changed: list[Household] = field(default_factory=list)
    reached: list[tuple[Reached, Registration]] = field(default_factory=list)
    next_on: dict[HouseholdId, date | None] = field(default_factory=dict)
    failed: dict[HouseholdId, str] = field(default_factory=dict)


async def run(office: Office, service: Service, *, chunk: int = CHUNK) -> bool:
    """Do the next chunk of the oldest unfinished run, today's among them; True where more is left.

    Can be stopped anywhere: what was reached is written with the day of the household's next milestone.
    """
    now = datetime.now(UTC)
    async with service.db.acquire() as db, db.transaction():
        await store_calendar.begin(db, now.astimezone(PHNOM_PENH).date(), SCHEDULER, now)
        written = await reach_chunk(office, db, chunk, now)
    if written is None:
        return False
    await service.courier.bring(LANE, written)
    return True


async def reach_chunk(office: Office, db: Connection, most: int, now: datetime) -> Written | None:
    """A chunk in the caller's transaction: what was written; None where no run is unfinished."""
    # Cycles before households: the order in which the stream locks them, too.
    terms = await store.terms_for_scoring(db)
    turn = await store_calendar.next_run(db)
    if turn is None:
        return None
    found = await store_calendar.due(db, turn.day, most)
    sealed = [part for _, kept in found for part in (kept.persons, kept.payee)]
    keys = await keyring.load(db, office.master, (part.key_id for part in sealed))
    done = reach_each(office.desk(terms, keys), found, turn.day)
    await store.save(db, done.changed, now)
    await store_calendar.put_off(db, done.next_on)
    await store_calendar.add_failures(db, turn.day, done.failed, now)
    rescored = sum(len(each.scored) for each in done.changed)
    finished_at = now if len(found) < most else None
    await store_calendar.go_on(db, turn, (len(found), len(done.reached), rescored), finished_at)
    told = [_record(each, kept, keys, now) for each, kept in done.reached]
    return await outbox.write(db, LANE, [*told, *office.told(done.changed, keys, now)])


def reach_each(desk: Desk, found: Sequence[tuple[Household, Registration]], day: date) -> Done:
    """Milestones of each household by a day, in order; what may pass by waiting is raised."""
    done = Done()
    for household, kept in found:
        done.next_on[household.household_id] = None
        with judging(household, done.failed):
            after, reached, next_on = _reach(desk, household, kept, day)
            done.changed += [after] if after != household else []
            done.reached += [(each, kept) for each in reached]
            done.next_on[household.household_id] = next_on
    return done


def _reach(
    desk: Desk, household: Household, kept: Registration, day: date
) -> tuple[Household, list[Reached], date | None]:
    ahead = due(desk, household, kept, day)
    payee = desk.open_sealed(kept.payee, kept.event_id, HOUSEHOLD_REGISTERED.name)
    reached = []
    for milestone in ahead.milestones if payee is not None else ():
        assert payee is not None
        each = Reached(
            household.household_id, household.revision, kept.commune, milestone, payee, kept.payee.key_id
        )
        reached.append(each)
        if milestone.kind is MilestoneKind.CIRCUMSTANCES_CHANGED:
            household = household.until(milestone.day)
            household = score_again(desk, household, kept, each.event_id) or household
    return household, reached, ahead.next_on


def _record(reached: Reached, kept: Registration, keys: Keys, now: datetime) -> Record:
    cause = Cause(kept.event_id, kept.correlation_id, kept.traceparent)
    return milestones.record(reached, keys, at=now, cause=cause)
