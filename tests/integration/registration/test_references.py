"""Refused rows and duplicates are known by their reference, those from before as well."""

import json
import shutil
from pathlib import Path

import asyncpg
import pytest

from postbox import migrate
from services.registration import app
from tests.conftest import MakeDatabase
from tests.integration.registration.conftest import numbered

pytestmark = pytest.mark.stack


async def test_what_was_refused_under_a_computed_id_is_known_by_its_reference(
    database: MakeDatabase, tmp_path: Path
) -> None:
    before = tmp_path / "registration" / "migrations"
    shutil.copytree(app.MIGRATIONS, before, ignore=lambda _, names: [n for n in names if n >= "042"])
    db = await asyncpg.connect(await database("registration", [before]))
    await db.execute(
        "insert into household values ($1, 'R-1', 1, 'registered', $2, 'rural', '', '', '', '', '', '')",
        numbered(1),
        "010201",
    )
    await db.execute(
        "insert into import (import_id, file_name, format, size_bytes, sha256, columns, state, caller, area,"
        " created_at) values ('i', 'f', 'csv', 1, '', '{}', 'finished', 'c', '', now())"
    )
    for number, said in enumerate(("R-1", "R" * 65, "")):
        await db.execute(
            "insert into quarantine (row_hash, outcome, import_id, row_number, household_id, flaws, original,"
            " imported_by, at) values ($1, 'quarantined', 'i', $2, 'an id', '[]', $3, 'c', now())",
            bytes([number]),
            number,
            json.dumps({"reference": said} if said else {}),
        )
    await db.execute(
        "insert into duplicate_case (household_id, first_household_id, kind, opened_by, opened_at)"
        " values ($1, 'first', 'equity_card', 'c', now())",
        numbered(1),
    )
    await migrate.apply(db, "registration", app.MIGRATIONS)
    found = await db.fetch("select reference from quarantine order by row_number")
    assert [each["reference"] for each in found] == ["R-1", None, None]
    assert await db.fetchval("select reference from duplicate_case") == "R-1"
    await db.close()
