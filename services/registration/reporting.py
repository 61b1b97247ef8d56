"""Condition reports at the single window: checked, numbered, sealed and told, once per business key."""

import hashlib
from datetime import date, datetime, timedelta, timezone
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from contracts import wire
from contracts.condition import ConditionKind, ConditionReport
from contracts.household import Persons
from postbox import outbox
from postbox.callers import Caller
from postbox.message import Connection
from postbox.problems import Problem
from services.registration import events, store, store_conditions
from services.registration.desk import within
from services.registration.office import Office
from services.registration.registering import LANE_API
from services.registration.store_conditions import Reported
from vault import keyring

PHNOM_PENH = timezone(timedelta(hours=7))


class Report(BaseModel):
    """A visit, a delivery, a vaccination, or attendance of a term, as it is reported.

    `member` is the person's number in the household, from 1. `reference` is the reporter's own number of it;
    without one it is made of kind, person and day. `corrects` lets another content of the same reference
    stand, and `withdrawn` takes it back.
    """

    model_config = ConfigDict(extra="forbid")

    household_id: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9-]+$")]
    member: Annotated[int, Field(ge=1, le=40)]
    kind: ConditionKind
    on: date
    attendance_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    babies: Annotated[int, Field(ge=1, le=5)] | None = None
    reference: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    corrects: bool = False
    withdrawn: bool = False


class Receipt(BaseModel):
    """`number` of the report within its household; `state`: reported, corrected, withdrawn or unchanged."""

    household_id: str
    number: int
    state: str


class Act(NamedTuple):
    """Who reports, when, and in which trace."""

    caller: Caller
    at: datetime
    cause: wire.Cause


async def report(office: Office, db: Connection, act: Act, asked: Report) -> Receipt:
    """Tell a report in the caller's transaction; the same one again changes nothing. Raises `Problem`."""
    household_id, today = asked.household_id, act.at.astimezone(PHNOM_PENH).date()
    await store.lock(db, household_id)
    kept = within(await store.find(db, household_id), act.caller)
    if kept.exited:
        raise Problem(409, "The household left", "Register it again before anything is reported of it.")
    members = wire.load(Persons, kept.registration.persons).members
    _check(asked, len(members), today)
    person_id = members[asked.member - 1].person_id
    reference = asked.reference or f"{asked.kind.value}/{person_id}/{asked.on}"
    named = _hash(household_id, reference)
    before = await store_conditions.of_reference(db, household_id, named)
    told = _told(asked, person_id, reference, before[0].reported_on if before else today)
    content = _hash(household_id, wire.dump(told).decode())
    if before and before[-1].content_hash == content:
        return Receipt(household_id=household_id, number=before[-1].number, state="unchanged")
    if bool(before) != (asked.corrects or asked.withdrawn):
        raise _unexpected(bool(before))
    number = await store_conditions.last_number(db, household_id) + 1
    by, trace = act.caller.name, act.cause.traceparent
    kept_as = Reported(household_id, number, named, content, told.reported_on, by, act.at, trace)
    await store_conditions.add(db, kept_as)
    key_id = kept.registration.person_key
    keys = await keyring.load(db, office.master, (key_id,))
    record = events.condition_reported(
        household_id, number, told, keys, key_id=key_id, by=by, at=act.at, cause=act.cause
    )
    await outbox.write(db, LANE_API, [record])
    state = "withdrawn" if asked.withdrawn else "corrected" if before else "reported"
    return Receipt(household_id=household_id, number=number, state=state)


def _told(asked: Report, person_id: str, reference: str, reported_on: date) -> ConditionReport:
    return ConditionReport(
        reference=reference,
        person_id=person_id,
        kind=asked.kind,
        on=asked.on,
        reported_on=reported_on,
        attendance_percent=asked.attendance_percent,
        babies=asked.babies,
        withdrawn=asked.withdrawn,
    )


def _check(asked: Report, members: int, today: date) -> None:
    flaws = []
    if asked.kind is ConditionKind.UNRECOGNISED:
        flaws.append(("kind", "is not a word known here", "Take antenatal_visit, delivery, ..."))
    if asked.member > members:
        flaws.append(("member", "is no member of the household", f"It has members 1 to {members}."))
    if asked.on > today:
        flaws.append(("on", "lies in the future", "Report it once it happened."))
    is_attendance = asked.kind is ConditionKind.ATTENDANCE
    if is_attendance != (asked.attendance_percent is not None):
        flaws.append(("attendance_percent", "belongs to attendance alone", "Give it there, and only there."))
    if asked.babies is not None and asked.kind is not ConditionKind.DELIVERY:
        flaws.append(("babies", "belongs to a delivery alone", "Leave it out."))
    if flaws:
        raise Problem(
            422,
            "The report can't be taken like this",
            "Correct the fields named in `errors`.",
            errors=[dict(zip(("field", "reason", "remedy"), flaw, strict=True)) for flaw in flaws],
        )


def _unexpected(known: bool) -> Problem:
    if known:
        return Problem(
            409, "This was reported with other content", "If it should be replaced, send it with `corrects`."
        )
    return Problem(409, "Nothing was reported under this reference", "Report it without `corrects`.")


def _hash(household_id: str, text: str) -> bytes:
    return hashlib.sha256(f"{household_id}/{text}".encode()).digest()
