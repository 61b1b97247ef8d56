"""All SQL about households, their claims, changes and requests."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from postbox.message import Connection
from services.registration.admission import Known
from services.registration.duplicates import Case, Holder
from services.registration.events import Registration


class Change(NamedTuple):
    """One step of a household's life here. `import_id` and `row_number` where a file brought it."""

    household_id: str
    revision: int
    kind: str
    at: datetime
    actor: str
    reason: str | None
    import_id: str | None
    row_number: int | None
    traceparent: str


class Origin(NamedTuple):
    """How a household came here first: `by` whom, or in which row of which file."""

    at: datetime
    by: str | None
    import_id: str | None
    row_number: int | None
    traceparent: str


class Kept(NamedTuple):
    """A household as it is kept."""

    registration: Registration
    exited: bool


class Answered(NamedTuple):
    """What a request id was answered first."""

    content_hash: bytes
    household_id: str
    revision: int


async def known(db: Connection, references: Iterable[str]) -> dict[str, Known]:
    """Those of these references that are registered."""
    rows = await db.fetch(
        "select reference, household_id, revision, state = 'exited', content_hash, commune, import_id"
        " from household where reference = any($1::text[])",
        sorted(set(references)),
    )
    return {reference: Known(*known) for reference, *known in rows}


async def holders(db: Connection, claims: Iterable[str]) -> dict[str, Holder]:
    """Which household holds each of these claims."""
    rows = await db.fetch(
        "select c.claim, h.household_id, h.commune from claim c"
        " join household h on h.household_id = c.household_id::text where c.claim = any($1::text[])",
        sorted(set(claims)),
    )
    return {claim: Holder(*holder) for claim, *holder in rows}


async def met(
    db: Connection, references: Iterable[str], claims: Iterable[str]
) -> tuple[dict[str, Known], dict[str, Holder]]:
    """What households would meet that are to be registered: who is `known`, and the `holders` of claims."""
    # Holders first: a household that is registered in between is known then, and no duplicate of itself.
    held = await holders(db, claims)
    return await known(db, references), held


async def add(db: Connection, households: Sequence[tuple[Registration, Origin]]) -> None:
    """Write households of which nothing was kept yet, and how they came; sorted by id."""
    columns = (
        "household_id", "reference", "revision", "state", "commune", "area_type", "level", "content_hash",
        "persons", "payee", "person_key", "payee_key", "registered_at", "registered_by", "import_id",
        "row_number", "traceparent",
    )  # fmt: skip
    rows = [
        (
            each.household_id, each.reference, each.revision, "registered", each.commune, each.area_type,
            each.level, each.content_hash, each.persons.decode(), each.payee.decode(), each.person_key,
            each.payee_key, *origin,
        )
        for each, origin in households
    ]  # fmt: skip
    await db.copy_records_to_table("household", records=rows, columns=columns)


async def replace(db: Connection, household: Registration) -> None:
    """Write a household's new revision over the one before; its keys stay."""
    await db.execute(
        """
        update household set revision = $2, state = 'registered', commune = $3, area_type = $4, level = $5,
               content_hash = $6, persons = $7, payee = $8 where household_id = $1
        """,
        household.household_id,
        household.revision,
        household.commune,
        household.area_type,
        household.level,
        household.content_hash,
        household.persons.decode(),
        household.payee.decode(),
    )


async def mark_exited(db: Connection, household_id: str, revision: int) -> None:
    """The household left; its content stays as it was."""
    await db.execute(
        "update household set state = 'exited', revision = $2 where household_id = $1", household_id, revision
    )


async def claim(db: Connection, claims: Mapping[str, str]) -> None:
    """Write which household makes which claim, sorted. A unique violation means another was faster."""
    rows = sorted(claims.items())
    await db.copy_records_to_table("claim", records=rows, columns=("claim", "household_id"))


async def give_back(db: Connection, household_id: str, claims: Iterable[str]) -> None:
    """Free what a household claimed."""
    await db.execute(
        "delete from claim where household_id = $1 and claim = any($2::text[])",
        household_id,
        sorted(claims),
    )


async def record(db: Connection, change: Change) -> None:
    """Write down what became of a household after it was registered first."""
    await db.copy_records_to_table("household_change", records=[change], columns=Change._fields)


async def changes(db: Connection, household_id: str) -> list[Change]:
    """A household's changes, oldest first."""
    rows = await db.fetch(
        "select household_id, revision, kind, at, actor, reason, import_id, row_number, traceparent"
        " from every_change where household_id = $1 order by revision",
        household_id,
    )
    return [Change(*row) for row in rows]


async def lock(db: Connection, household_id: str) -> None:
    """Let this transaction alone change a household."""
    await db.execute("select from household where household_id = $1 for update", household_id)


async def references(db: Connection, households: Sequence[str], area: str) -> dict[str, str]:
    """Household -> reference, of those that are registered now and lie in an area (a gazetteer prefix)."""
    rows = await db.fetch(
        "select household_id, reference from household where household_id = any($1::text[])"
        " and state = 'registered' and starts_with(commune, $2)",
        households,
        area,
    )
    return {row["household_id"]: row["reference"] for row in rows}


async def find(db: Connection, household_id: str) -> Kept | None:
    """A household as it is kept."""
    row = await db.fetchrow(
        "select household_id, reference, revision, commune, area_type, level, content_hash, persons, payee,"
        " person_key, payee_key, state from household where household_id = $1",
        household_id,
    )
    if row is None:
        return None
    registration = Registration(
        household_id=row["household_id"],
        reference=row["reference"],
        revision=row["revision"],
        commune=row["commune"],
        area_type=row["area_type"],
        level=row["level"],
        content_hash=row["content_hash"],
        persons=row["persons"].encode(),
        payee=row["payee"].encode(),
        person_key=row["person_key"],
        payee_key=row["payee_key"],
    )
    return Kept(registration, row["state"] == "exited")


async def answered(db: Connection, caller: str, request_id: str) -> Answered | None:
    """What a request id was answered first, if it was."""
    row = await db.fetchrow(
        "select content_hash, household_id, revision from request where caller = $1 and request_id = $2",
        caller,
        request_id,
    )
    return Answered(*row) if row else None


async def remember(db: Connection, caller: str, request_id: str, answer: Answered, at: datetime) -> None:
    """Write a request's answer down. A unique violation: the same request came twice at once."""
    await db.execute(
        "insert into request (caller, request_id, content_hash, household_id, revision, at)"
        " values ($1, $2, $3, $4, $5, $6)",
        caller,
        request_id,
        *answer,
        at,
    )


async def open_cases(db: Connection, cases: Iterable[Case], by: str, at: datetime) -> dict[Case, int]:
    """Each case's number; a case that is open already keeps its own."""
    wanted = sorted(set(cases))
    if not wanted:
        return {}
    rows = await db.fetch(
        """
        insert into duplicate_case (reference, first_household_id, kind, opened_by, opened_at)
        select *, $4, $5 from unnest($1::text[], $2::text[], $3::text[])
        on conflict (reference, first_household_id, kind) do update set kind = excluded.kind
        returning reference, first_household_id, kind, case_number
        """,
        *map(list, zip(*wanted, strict=True)),
        by,
        at,
    )
    return {Case(*row[:3]): row[3] for row in rows}


async def changed_by_hand(db: Connection) -> dict[str, int]:
    """How many changes no file brought, by kind."""
    rows = await db.fetch("select kind, count(*) from every_change where import_id is null group by kind")
    return {row[0]: row[1] for row in rows}
