"""Opening complaints and moving them on: each in the caller's transaction, with its step and its event."""

from datetime import date, datetime
from typing import NamedTuple

from contracts import topics, wire
from contracts.grievance import GrievanceChannel, GrievanceOpened, GrievanceState, GrievanceUpdated
from contracts.wire import Cause, Record
from postbox.callers import Caller
from postbox.message import Connection
from postbox.problems import Problem
from services.registration import grievances, store_grievances
from services.registration.grievances import EXPLAINED, Calendar, Grievance, Refused, Rules, Verb
from services.registration.store_grievances import Step


class Complaint(NamedTuple):
    """What somebody complains about, before it is a grievance."""

    grievance_id: str
    household_id: str | None
    message_id: str | None
    commune: str
    channel: GrievanceChannel
    category: str
    text: str | None
    by: str
    at: datetime
    cause: Cause
    decision_id: str | None = None


class Rulebook(NamedTuple):
    """The rules of grievances, and the days that offices work."""

    rules: Rules
    calendar: Calendar

    def due(self, category: str, today: date) -> date:
        """The last day of the first office."""
        return self.calendar.after(today, self.rules.categories[category].days)

    def due_above(self, today: date) -> date:
        """The last day of an office that a late grievance went up to."""
        return self.calendar.after(today, self.rules.escalated_days)


async def open_grievance(
    db: Connection, book: Rulebook, complaint: Complaint
) -> tuple[Grievance, list[Record]]:
    """Take a complaint in; the same one again is the grievance that it is already."""
    known = await store_grievances.find(db, complaint.grievance_id)
    if known is not None:
        return known, []
    by, at = complaint.by, complaint.at
    new = Grievance(
        grievance_id=complaint.grievance_id,
        number=await store_grievances.next_number(db),
        household_id=complaint.household_id,
        message_id=complaint.message_id,
        commune=complaint.commune,
        channel=complaint.channel,
        category=complaint.category,
        text=complaint.text,
        decision_id=complaint.decision_id,
        state=GrievanceState.OPENED,
        level=grievances.first_level(complaint.commune),
        due_on=book.due(complaint.category, grievances.day_of(at)),
        assigned_to=None,
        opened_at=at,
        sequence=1,
    )
    await store_grievances.add(db, new)
    await store_grievances.record(db, _step(new, "open", by, None, at))
    return new, [_opened(new, complaint)]


def _opened(new: Grievance, complaint: Complaint) -> Record:
    said = GrievanceOpened(
        grievance_id=new.grievance_id,
        number=new.number,
        household_id=new.household_id,
        message_id=new.message_id,
        channel=complaint.channel,
        level=new.level,
        due_on=new.due_on,
        opened_by=complaint.by,
    )
    topic = topics.GRIEVANCE_OPENED
    known_as = wire.event_id(topic, new.grievance_id)
    return wire.emit(
        topic, said, id=known_as, key=_key(new), sequence=1, time=complaint.at, cause=complaint.cause
    )


class Move(NamedTuple):
    """A step that somebody takes with a grievance; `note` says why where the step needs it."""

    number: str
    verb: Verb
    note: str | None
    by: Caller
    at: datetime
    cause: Cause


async def move(db: Connection, book: Rulebook, move: Move) -> tuple[Grievance, list[Record]]:
    """Take a step; the same step again changes nothing. Raises `Problem` with what to do."""
    known = within(await store_grievances.locked(db, move.number), move.by)
    if not grievances.may_work(move.by.area, known):
        raise Problem(
            403,
            f"Grievance {known.number} is at level {known.level} of 4 now",
            "It was not settled in time and went up: an office of a larger area works on it.",
        )
    if move.verb in EXPLAINED and not move.note:
        raise Problem(422, f"`{move.verb.value}` needs a note", "Say in a sentence what was found or done.")
    due_on = book.due(known.category, grievances.day_of(move.at))
    try:
        changed = grievances.act(known, move.verb, move.by.name, due_on)
    except Refused as error:
        raise Problem(409, str(error), error.remedy) from None
    if changed is known:
        return known, []
    step = _step(changed, move.verb.value, move.by.name, move.note, move.at)
    return changed, [await _moved(db, changed, step, move.cause)]


async def escalate(db: Connection, book: Rulebook, at: datetime, most: int) -> list[Record]:
    """Send what is late one level up."""
    today = grievances.day_of(at)
    told: list[Record] = []
    for known in await store_grievances.late(db, today, most):
        changed = grievances.escalate(known, book.due_above(today))
        step = _step(changed, "escalate", "deadline", None, at)
        cause = Cause(changed.grievance_id, changed.grievance_id, "")
        told.append(await _moved(db, changed, step, cause))
    return told


def within(found: Grievance | None, caller: Caller) -> Grievance:
    """A grievance of the caller's area; else it is not told that there is one."""
    if found is None or not grievances.covers(caller.area, found):
        raise Problem(404, "No such grievance in your area", "List the grievances to find its number.")
    return found


async def _moved(db: Connection, changed: Grievance, step: Step, cause: Cause) -> Record:
    await store_grievances.update(db, changed)
    await store_grievances.record(db, step)
    said = GrievanceUpdated(
        grievance_id=changed.grievance_id,
        number=changed.number,
        household_id=changed.household_id,
        message_id=changed.message_id,
        state=changed.state,
        level=changed.level,
        due_on=changed.due_on,
        actor=step.actor,
    )
    topic = topics.GRIEVANCE_UPDATED
    known_as = wire.event_id(topic, changed.grievance_id, changed.sequence)
    return wire.emit(
        topic, said, id=known_as, key=_key(changed), sequence=changed.sequence, time=step.at, cause=cause
    )


def _key(grievance: Grievance) -> str:
    return grievance.household_id or grievance.grievance_id


def _step(grievance: Grievance, step: str, by: str, note: str | None, at: datetime) -> Step:
    return Step(
        grievance.grievance_id,
        grievance.sequence,
        step,
        grievance.state,
        grievance.level,
        grievance.due_on,
        by,
        note,
        at,
    )
