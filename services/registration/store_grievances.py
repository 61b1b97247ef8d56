"""All SQL about grievances and their steps."""

from datetime import date, datetime
from typing import NamedTuple

from asyncpg import Record

from contracts.grievance import GrievanceState
from postbox.message import Connection
from services.registration.grievances import NATION, OPEN, Grievance

_COLUMNS = ", ".join(Grievance._fields)
_OPEN = sorted(state.value for state in OPEN)


class Step(NamedTuple):
    """One line of a grievance's story; `note` says why where the step needs it."""

    grievance_id: str
    sequence: int
    step: str
    state: str
    level: int
    due_on: date
    actor: str
    note: str | None
    at: datetime


class Selection(NamedTuple):
    """Which grievances: of an area, in a state (open ones where None), late ones, of one household."""

    area: str
    state: str | None
    late_on: date | None
    household_id: str | None
    after: str
    most: int


async def next_number(db: Connection) -> str:
    """What people are told of a new grievance: `G-000123`."""
    number: int = await db.fetchval("select nextval('grievance_number')")
    return f"G-{number:06}"


async def add(db: Connection, new: Grievance) -> bool:
    """Write a grievance down; False where it is there already."""
    marks = ", ".join(f"${number}" for number in range(1, len(Grievance._fields) + 1))
    added = await db.fetchval(
        f"insert into grievance ({_COLUMNS}) values ({marks})"  # noqa: S608 - constants
        " on conflict do nothing returning true",
        *new,
    )
    return bool(added)


async def update(db: Connection, changed: Grievance) -> None:
    """Write how a grievance stands now; locked before."""
    await db.execute(
        "update grievance set state = $2, level = $3, due_on = $4, assigned_to = $5, sequence = $6"
        " where grievance_id = $1",
        changed.grievance_id,
        changed.state,
        changed.level,
        changed.due_on,
        changed.assigned_to,
        changed.sequence,
    )


async def record(db: Connection, step: Step) -> None:
    """Write a step down."""
    await db.copy_records_to_table("grievance_step", records=[step], columns=Step._fields)


async def locked(db: Connection, id_or_number: str) -> Grievance | None:
    """A grievance by its id or number, locked until the transaction ends."""
    return _one(await db.fetchrow(f"{_FIND} for update", id_or_number))


async def find(db: Connection, id_or_number: str) -> Grievance | None:
    """A grievance by its id or number."""
    return _one(await db.fetchrow(_FIND, id_or_number))


async def late(db: Connection, today: date, most: int) -> list[Grievance]:
    """Open grievances past their deadline that can go a level up, locked; others skip them."""
    rows = await db.fetch(
        f"select {_COLUMNS} from grievance where state = any($1::text[]) and level < $2 and due_on < $3"  # noqa: S608
        " order by due_on, grievance_id limit $4 for update skip locked",
        _OPEN,
        NATION,
        today,
        most,
    )
    return [_grievance(row) for row in rows]


async def steps(db: Connection, grievance_id: str) -> list[Step]:
    """A grievance's steps, oldest first."""
    rows = await db.fetch(
        f"select {', '.join(Step._fields)} from grievance_step where grievance_id = $1 order by sequence",  # noqa: S608
        grievance_id,
    )
    return [Step(*row) for row in rows]


async def listed(db: Connection, which: Selection) -> list[Grievance]:
    """A page of grievances by number."""
    rows = await db.fetch(
        f"select {_COLUMNS} from grievance"  # noqa: S608 - constants
        " where starts_with(commune, $1) and state = any($2::text[]) and ($3::date is null or due_on < $3)"
        " and ($4::text is null or household_id = $4) and number > $5 order by number limit $6",
        which.area,
        [which.state] if which.state else _OPEN,
        which.late_on,
        which.household_id,
        which.after,
        which.most,
    )
    return [_grievance(row) for row in rows]


_FIND = f"select {_COLUMNS} from grievance where grievance_id = $1 or number = $1"  # noqa: S608 - constants


def _one(row: Record | None) -> Grievance | None:
    return _grievance(row) if row else None


def _grievance(row: Record) -> Grievance:
    return Grievance(*row)._replace(state=GrievanceState(row["state"]))
