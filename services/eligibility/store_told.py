"""SQL of what households' decisions rest on: their rows read, with the reports and appeals told of them."""

from collections.abc import Iterable, Sequence

import asyncpg

from contracts.appeal import Verdict
from contracts.household import AreaType, Level
from contracts.sealed import Sealed
from postbox.message import Connection
from services.eligibility import store_referrals
from services.eligibility.grounds import Registration, SealedAppeal, SealedReport
from services.eligibility.households import Household, Standing

_REPORT_COLUMNS = ("household_id", "number", "event_id", "key_id", "report")


async def with_told(db: Connection, households: Sequence[Household]) -> list[Household]:
    """The households with the reports, decided appeals and referrals kept of them; most have none."""
    reported = sorted(each.household_id for each in households if each.reports)
    appealed = sorted(each.household_id for each in households if each.appeals)
    referring = sorted(each.household_id for each in households if each.referrals)
    reports = await _reports(db, reported) if reported else {}
    appeals = await _appeals(db, appealed) if appealed else {}
    referred = await store_referrals.standing(db, referring) if referring else {}
    return [
        each._replace(
            reported=tuple(reports.get(each.household_id, ())),
            appealed=tuple(appeals.get(each.household_id, ())),
            referred=referred.get(each.household_id, ()),
        )
        for each in households
    ]


async def paired(db: Connection, rows: Sequence[asyncpg.Record]) -> list[tuple[Household, Registration]]:
    """Rows of households joined with their registrations, whole."""
    households = await with_told(db, [household_of(row) for row in rows])
    return [(each, registration_of(row)) for each, row in zip(households, rows, strict=True)]


async def with_registrations(db: Connection, households: Sequence[Household]) -> dict[str, Household]:
    """The households by id, each with what is registered of it (`kept`), where anything is."""
    rows = await db.fetch(
        "select * from registration where household_id = any($1)",
        [each.household_id for each in households],
    )
    kept = {row["household_id"]: registration_of(row) for row in rows}
    return {each.household_id: each._replace(kept=kept.get(each.household_id)) for each in households}


async def add_reports(db: Connection, households: Iterable[Household]) -> None:
    """Write the condition reports that these households just heard."""
    rows = [
        (each.household_id, heard.number, heard.event_id, heard.report.key_id, heard.report.blob)
        for each in households
        for heard in each.heard
    ]
    if rows:
        await db.copy_records_to_table("condition_report", columns=_REPORT_COLUMNS, records=rows)


async def _reports(db: Connection, household_ids: Sequence[str]) -> dict[str, list[SealedReport]]:
    rows = await db.fetch(
        "select household_id, number, event_id, key_id, report from condition_report"
        " where household_id = any($1) order by household_id, number",
        household_ids,
    )
    found: dict[str, list[SealedReport]] = {}
    for household_id, number, event_id, key_id, blob in rows:
        sealed = SealedReport(number, event_id, Sealed(key_id=key_id, blob=blob))
        found.setdefault(household_id, []).append(sealed)
    return found


async def _appeals(db: Connection, household_ids: Sequence[str]) -> dict[str, list[SealedAppeal]]:
    rows = await db.fetch(
        "select household_id, number, appeal_id, revision, verdict, key_id, ruling from appeal"
        " where household_id = any($1) and number is not null order by household_id, number",
        household_ids,
    )
    found: dict[str, list[SealedAppeal]] = {}
    for household_id, number, appeal_id, revision, verdict, key_id, blob in rows:
        ruling = Sealed(key_id=key_id, blob=blob)
        sealed = SealedAppeal(number, appeal_id, revision, Verdict(verdict), ruling)
        found.setdefault(household_id, []).append(sealed)
    return found


def household_of(row: asyncpg.Record) -> Household:
    standing = row["standing"]
    return Household(
        household_id=row["household_id"],
        revision=row["revision"],
        exit_revision=row["exit_revision"],
        registered_at=row["registered_at"],
        sequence=row["sequence"],
        standing=Standing(standing) if standing else None,
        riel=row["riel"],
        in_cycle=row["in_cycle"],
        basis=row["basis"],
        reports=row["reports"],
        appeals=row["appeals"],
        judged_on=row["judged_on"],
        referrals=row["referrals"],
        is_new=False,
    )


def registration_of(row: asyncpg.Record) -> Registration:
    return Registration(
        event_id=row["event_id"],
        commune=row["commune"],
        area_type=AreaType(row["area_type"]),
        level=Level(row["level"]),
        persons=Sealed(key_id=row["person_key_id"], blob=row["persons"]),
        payee=Sealed(key_id=row["payee_key_id"], blob=row["payee"]),
        correlation_id=row["correlation_id"],
        traceparent=row["traceparent"],
        due_on=row["due_on"],
    )
