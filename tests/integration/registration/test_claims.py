"""Who holds what only one household may hold."""

import shutil
from pathlib import Path

import asyncpg
import pytest

from postbox import migrate
from services.registration import app, store
from services.registration.duplicates import Holder
from tests.conftest import MakeDatabase
from tests.integration.registration.conftest import numbered

pytestmark = pytest.mark.stack
HOLDER = Holder(numbered(1), "020606")
HELD = ["c788", "n788", "awing/788"]


async def _database(database: MakeDatabase, folder: Path) -> asyncpg.Connection:
    db = await asyncpg.connect(await database("registration", [folder]))
    await db.execute(
        "insert into household values ($1, 'R-1', 1, 'registered', $2, 'rural', '', '', '', '', '', '')",
        *HOLDER,
    )
    return db


async def test_what_households_held_before_claims_they_hold_afterwards(
    database: MakeDatabase, tmp_path: Path
) -> None:
    before = tmp_path / "registration" / "migrations"
    shutil.copytree(app.MIGRATIONS, before, ignore=lambda _, names: [n for n in names if n >= "040"])
    db = await _database(database, before)
    kinds = ("equity_card", "national_id", "account")
    rows = [(kind, held[1:], HOLDER.household_id) for kind, held in zip(kinds, HELD, strict=True)]
    await db.executemany("insert into identity values ($1, $2, $3)", rows)
    await migrate.apply(db, "registration", app.MIGRATIONS)
    assert await store.holders(db, [*HELD, "awing/789"]) == dict.fromkeys(HELD, HOLDER)
    await db.close()


async def test_the_same_number_as_card_and_id_is_given_back_as_one_of_them(database: MakeDatabase) -> None:
    db = await _database(database, app.MIGRATIONS)
    await store.claim(db, dict.fromkeys(HELD, HOLDER.household_id))
    await store.give_back(db, numbered(2), HELD)
    await store.give_back(db, HOLDER.household_id, HELD[:1])
    assert await store.holders(db, HELD) == dict.fromkeys(HELD[1:], HOLDER)
    await db.close()
