"""How a household was first registered: with the household, and before migration 041 in a row of its own."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from postbox import migrate
from services.registration import app, store, store_duplicates, store_imports
from services.registration.events import Registration
from services.registration.store import Change, Origin
from services.registration.store_imports import Upload
from tests.conftest import MakeDatabase

pytestmark = pytest.mark.stack
AT, LATER = datetime(2023, 6, 1, tzinfo=UTC), datetime(2023, 6, 2, tzinfo=UTC)
FILE = Upload("an-import", "a.csv", "csv", 1, "", [], 1, "commune-office", "", AT)
BEFORE = Change("old", 1, "registered", AT, "commune-office", None, "an-import", 2, "a-trace")
LEFT = Change("old", 2, "exited", AT, "a-desk", "moved", None, None, "a-trace")


def _household(household_id: str) -> Registration:
    return Registration(household_id, household_id, 1, "020606", "rural", "poor_1", b"", b"{}", b"{}", "", "")


async def _upgraded(database: MakeDatabase, folder: Path) -> asyncpg.Connection:
    """A database in which the version before registered `old` from a file, and let it exit."""
    shutil.copytree(app.MIGRATIONS, folder, ignore=lambda _, names: [n for n in names if n >= "041"])
    db = await asyncpg.connect(await database("registration", [folder]))
    await store_imports.add_import(db, FILE)
    await db.execute(
        "insert into household values"
        " ('old', 'old', 2, 'exited', '020606', 'rural', '', '', '', '', '', '', $1)",
        FILE.import_id,
    )
    await store.record(db, BEFORE)
    await store.record(db, LEFT)
    await migrate.apply(db, "registration", app.MIGRATIONS)
    return db


async def test_what_was_registered_before_and_since_is_told_alike(
    database: MakeDatabase, tmp_path: Path
) -> None:
    db = await _upgraded(database, tmp_path / "registration" / "migrations")
    origins = [
        Origin(LATER, None, FILE.import_id, 3, "b-trace"),
        Origin(LATER, "a-desk", None, None, "c-trace"),
    ]
    await store.add(db, list(zip(map(_household, ("by-file", "by-hand")), origins, strict=True)))
    assert await store.changes(db, "old") == [BEFORE, LEFT]
    assert await store.changes(db, "by-file") == [
        Change("by-file", 1, "registered", LATER, FILE.caller, None, FILE.import_id, 3, "b-trace")
    ]
    assert await store.changes(db, "by-hand") == [
        Change("by-hand", 1, "registered", LATER, "a-desk", None, None, None, "c-trace")
    ]
    assert await store.changed_by_hand(db) == {"registered": 1, "exited": 1}
    assert await store_duplicates.order(db, ["by-hand", "by-file", "old"]) == {
        "old": 0,
        "by-file": 1,
        "by-hand": 2,
    }
    await db.close()
