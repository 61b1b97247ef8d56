"""All SQL of eligibility: households under lock, one statement a table, and what is shown of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from contracts.shock import ShockKind
from postbox.message import Connection
from services.eligibility import store_referrals, store_scorings, store_told
from services.eligibility.cycles import Caseload, Cycle
from services.eligibility.grounds import Registration
from services.eligibility.households import Household
from services.eligibility.shocks import Shock
from services.eligibility.store_told import household_of

# Batches that score take this lock shared, a change of cycles or shocks takes it alone: so each household
# either sees the change or is in its caseload.
_TERMS_LOCK = 0x546F6E6C65

WITH_REGISTRATION = """
    select h.household_id, h.revision, h.exit_revision, h.registered_at, h.sequence, h.standing, h.riel,
        h.in_cycle, h.basis, h.reports, h.appeals, h.judged_on, h.referrals,
        r.event_id, r.commune, r.area_type, r.level, r.person_key_id, r.persons,
        r.payee_key_id, r.payee, r.correlation_id, r.traceparent, r.due_on
    from household h join registration r using (household_id)
"""


class Terms(NamedTuple):
    """What households are scored under besides the programmes."""

    cycles: list[Cycle]
    shocks: list[Shock]


async def terms_for_scoring(db: Connection) -> Terms:
    """All cycles and shocks; none changes until the transaction ends."""
    await db.execute("select pg_advisory_xact_lock_shared($1)", _TERMS_LOCK)
    return Terms(await _cycles(db), await _shocks(db))


async def lock_terms(db: Connection) -> None:
    """Cycles and shocks may be changed: nothing is scored until the transaction ends."""
    await db.execute("select pg_advisory_xact_lock($1)", _TERMS_LOCK)


async def cycles_for_change(db: Connection) -> dict[str, Cycle]:
    """All cycles by id; nothing is scored until the transaction ends."""
    await lock_terms(db)
    return {cycle.cycle_id: cycle for cycle in await _cycles(db)}


async def save_cycles(db: Connection, cycles: Sequence[Cycle]) -> None:
    """Write cycles, sorted by id, each once."""
    await db.execute(
        """
        insert into cycle (cycle_id, programme, period, reference_date, version, opened_at, ended_at,
            cause_id)
        select * from unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::bigint[], $6::timestamptz[],
            $7::timestamptz[], $8::text[])
        on conflict (cycle_id) do update set programme = excluded.programme, period = excluded.period,
            reference_date = excluded.reference_date, version = excluded.version,
            opened_at = excluded.opened_at, ended_at = excluded.ended_at, cause_id = excluded.cause_id
        """,
        [each.cycle_id for each in cycles],
        [each.programme for each in cycles],
        [each.period for each in cycles],
        [each.reference_date for each in cycles],
        [each.version for each in cycles],
        [each.opened_at for each in cycles],
        [each.ended_at for each in cycles],
        [each.cause_id for each in cycles],
    )


async def add_caseloads(db: Connection, caseloads: Sequence[Caseload], now: datetime) -> None:
    """Have households scored again, with how many there are."""
    await db.execute(
        """
        insert into caseload (cycle_id, version, cause_id, since, households, created_at)
        select c.cycle_id, c.version, c.cause_id, c.since, (select count(*) from household h
            where h.revision > h.exit_revision and (c.since is null or h.registered_at > c.since)), $5
        from unnest($1::text[], $2::bigint[], $3::text[], $4::timestamptz[])
            as c(cycle_id, version, cause_id, since)
        """,
        [each.cycle_id for each in caseloads],
        [each.version for each in caseloads],
        [each.cause_id for each in caseloads],
        [each.since for each in caseloads],
        now,
    )


async def load(db: Connection, household_ids: Sequence[str]) -> dict[str, Household]:
    """Households by id, locked in the order of their ids (sorted); those not known yet are left out."""
    rows = await db.fetch(
        """
        select household_id, revision, exit_revision, registered_at, sequence, standing, riel, in_cycle,
            basis, reports, appeals, judged_on, referrals
        from household where household_id = any($1) order by household_id for update
        """,
        household_ids,
    )
    found = [household_of(row) for row in rows]
    return {each.household_id: each for each in await store_told.with_told(db, found)}


async def save(db: Connection, households: Sequence[Household], now: datetime) -> None:
    """Write households (sorted, each once), the events that brought them, and what was just decided."""
    last = await store_scorings.add(db, households, now)
    await _insert(db, [each for each in households if each.is_new], last)
    await _update(db, [each for each in households if not each.is_new], last)
    await store_told.add_reports(db, households)
    await store_referrals.save(db, (told for each in households for told in each.letters), now)


class Turn(NamedTuple):
    """A caseload whose next chunk this transaction does; `after` is the last household seen."""

    cycle_id: str
    version: int
    cause_id: str
    since: datetime | None
    after: str


async def next_turn(db: Connection) -> Turn | None:
    """The oldest unfinished caseload that no other process works on now, its row locked."""
    row = await db.fetchrow(
        """
        select cycle_id, version, cause_id, since, after from caseload where finished_at is null
        order by created_at, cycle_id, version limit 1 for update skip locked
        """
    )
    return Turn(*row) if row else None


async def chunk_of(db: Connection, turn: Turn, most: int) -> list[tuple[Household, Registration]]:
    """The next households of a caseload with their sealed events, locked, by id."""
    rows = await db.fetch(
        f"""
        {WITH_REGISTRATION}
        where household_id > $1 and h.revision > h.exit_revision
            and ($2::timestamptz is null or h.registered_at > $2)
        order by household_id limit $3 for update of h
        """,
        turn.after,
        turn.since,
        most,
    )
    return await store_told.paired(db, rows)


async def chunk_after(db: Connection, household_id: str, most: int) -> list[tuple[Household, Registration]]:
    """The next households by id that have not left, with their sealed events; not locked."""
    rows = await db.fetch(
        f"""
        {WITH_REGISTRATION} where household_id > $1 and h.revision > h.exit_revision
        order by household_id limit $2
        """,
        household_id,
        most,
    )
    return await store_told.paired(db, rows)


async def registered(db: Connection, household_id: str) -> tuple[Household, Registration] | None:
    """A household with its latest sealed event; None for one that is not known."""
    row = await db.fetchrow(f"{WITH_REGISTRATION} where household_id = $1", household_id)
    return (await store_told.paired(db, [row]))[0] if row else None


async def go_on(
    db: Connection, turn: Turn, seen: Sequence[str], scored: int, finished_at: datetime | None
) -> None:
    """Write how far a caseload got: the households seen, by id, and how many were scored."""
    await db.execute(
        """
        update caseload set seen = seen + $3, scored = scored + $4, after = $5, finished_at = $6
        where cycle_id = $1 and version = $2
        """,
        turn.cycle_id,
        turn.version,
        len(seen),
        scored,
        seen[-1] if seen else turn.after,
        finished_at,
    )


async def add_failures(db: Connection, turn: Turn, reasons: Mapping[str, str], now: datetime) -> None:
    """Write which households (by id) a caseload could not score, and why."""
    if reasons:
        await db.execute(
            """
            insert into caseload_failure (cycle_id, version, household_id, reason, at)
            select $1, $2, t.*, $5 from unnest($3::text[], $4::text[]) as t
            """,
            turn.cycle_id,
            turn.version,
            list(reasons),
            list(reasons.values()),
            now,
        )


async def decisions_of(db: Connection, household_id: str) -> list[asyncpg.Record]:
    """Every decision about a household, oldest first."""
    return await db.fetch(
        """
        select sequence, programme, programme_hash, revision, cause_id, as_of, cycle_id, period, outcome,
            amount, reasons, lines, traceparent, decided_at
        from every_decision where household_id = $1 order by sequence, programme
        """,
        household_id,
    )


async def totals(db: Connection) -> dict[str, int]:
    """Households by their latest decisions, and how far caseloads got."""
    row = await db.fetchrow(
        """
        select h.*, c.*, f.* from
            (select count(*) filter (where standing in ('eligible', 'refused')) as households,
                count(*) filter (where standing = 'eligible') as eligible,
                count(*) filter (where standing = 'refused') as refused,
                count(*) filter (where standing = 'forgotten') as forgotten,
                count(*) filter (where revision > 0 and exit_revision >= revision) as exited,
                coalesce(sum(riel), 0)::bigint as riel,
                count(*) filter (where standing in ('eligible', 'refused') and in_cycle) as in_cycle,
                count(*) filter (where standing in ('eligible', 'refused') and not in_cycle) as without_cycle
            from household) h,
            (select count(*) as caseloads_running,
                coalesce(sum(households), 0)::bigint as caseload_households,
                coalesce(sum(seen), 0)::bigint as caseload_seen
            from caseload where finished_at is null) c,
            (select count(*) as caseload_failed from caseload_failure) f
        """
    )
    assert row is not None
    return dict(row)


async def caseloads(db: Connection) -> list[asyncpg.Record]:
    """Every caseload and how far it got, the latest first; of households that failed at most 20."""
    return await db.fetch(
        """
        select c.cycle_id, c.version, c.since, c.households, c.seen, c.scored, c.created_at, c.finished_at,
            array(select f.household_id || ': ' || f.reason from caseload_failure f
                where (f.cycle_id, f.version) = (c.cycle_id, c.version) order by 1 limit 20) as failed
        from caseload c order by c.created_at desc, c.cycle_id, c.version desc
        """
    )


async def _cycles(db: Connection) -> list[Cycle]:
    rows = await db.fetch(
        "select cycle_id, programme, period, reference_date, version, opened_at, ended_at, cause_id "
        "from cycle"
    )
    return [Cycle(*row) for row in rows]


async def _shocks(db: Connection) -> list[Shock]:
    return [shock_of(row) for row in await db.fetch("select * from shock")]


def shock_of(row: asyncpg.Record) -> Shock:
    """A row of `shock`."""
    communes = frozenset(row["communes"])
    return Shock(
        *(row["name"], ShockKind(row["kind"]), communes, row["first_day"], row["last_day"]),
        version=row["version"],
        ended_on=row["ended_on"],
    )


_HOUSEHOLD_COLUMNS = (
    *("household_id", "revision", "exit_revision", "registered_at", "sequence", "standing", "riel"),
    *("in_cycle", "basis", "reports", "appeals", "judged_on", "referrals", *store_scorings.LAST),
)
LastScorings = Mapping[str, store_scorings.Row]
"""By household, of those that were just scored."""
_NOT_SCORED: store_scorings.Row = (None,) * len(store_scorings.LAST)
_LAST_SCORING = ", ".join(f"{name} = coalesce(t.{name}, h.{name})" for name in store_scorings.LAST)
_REGISTRATION_COLUMNS = (
    *("household_id", "event_id", "commune", "area_type", "level", "person_key_id", "persons"),
    *("payee_key_id", "payee", "correlation_id", "traceparent", "due_on"),
)


async def _insert(db: Connection, households: Sequence[Household], last: LastScorings) -> None:
    # No `on conflict`: if another batch brought the household meanwhile, this one must look again.
    if households:
        rows = (_row(each, last) for each in households)
        await db.copy_records_to_table("household", columns=_HOUSEHOLD_COLUMNS, records=rows)
        await db.copy_records_to_table(
            "registration", columns=_REGISTRATION_COLUMNS, records=_registrations(households)
        )


async def _update(db: Connection, households: Sequence[Household], last: LastScorings) -> None:
    if households:
        await db.execute(
            f"""
            update household h set revision = t.revision, exit_revision = t.exit_revision,
                registered_at = t.registered_at, sequence = t.sequence, standing = t.standing, riel = t.riel,
                in_cycle = t.in_cycle, basis = t.basis, reports = t.reports, appeals = t.appeals,
                judged_on = t.judged_on, referrals = t.referrals,
                {_LAST_SCORING}
            from unnest($1::text[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::bigint[], $6::text[],
                    $7::bigint[], $8::boolean[], $9::text[],
                    $10::bigint[], $11::bigint[], $12::date[],
                    $13::bigint[], $14::bigint[], $15::bigint[], $16::text[], $17::text[],
                    $18::timestamptz[], $19::bigint[]) as t({", ".join(_HOUSEHOLD_COLUMNS)})
            where h.household_id = t.household_id
            """,  # noqa: S608 - constants
            *zip(*(_row(each, last) for each in households), strict=True),
        )
        await _replace_registrations(db, households)


def _row(each: Household, last: LastScorings) -> store_scorings.Row:
    return (
        *(each.household_id, each.revision, each.exit_revision, each.registered_at, each.sequence),
        *(each.standing, each.riel, each.in_cycle, each.basis),
        *(each.reports, each.appeals, each.judged_on, each.referrals),
        *last.get(each.household_id, _NOT_SCORED),
    )


async def _replace_registrations(db: Connection, households: Iterable[Household]) -> None:
    rows = list(_registrations(households))
    if rows:
        await db.execute(
            """
            insert into registration (household_id, event_id, commune, area_type, level, person_key_id,
                persons, payee_key_id, payee, correlation_id, traceparent, due_on)
            select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                $7::bytea[], $8::text[], $9::bytea[], $10::text[], $11::text[], $12::date[])
            on conflict (household_id) do update set event_id = excluded.event_id,
                commune = excluded.commune, area_type = excluded.area_type, level = excluded.level,
                person_key_id = excluded.person_key_id, persons = excluded.persons,
                payee_key_id = excluded.payee_key_id, payee = excluded.payee,
                correlation_id = excluded.correlation_id, traceparent = excluded.traceparent,
                due_on = excluded.due_on
            """,
            *zip(*rows, strict=True),
        )


def _registrations(households: Iterable[Household]) -> Iterator[tuple[object, ...]]:
    for each in households:
        if came := each.arrived:
            yield (
                *(each.household_id, came.event_id, came.commune, came.area_type, came.level),
                *(came.persons.key_id, came.persons.blob, came.payee.key_id, came.payee.blob),
                *(came.correlation_id, came.traceparent, came.due_on),
            )
