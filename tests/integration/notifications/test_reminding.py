"""Who is reminded of money that waits: each payment once, while it can be collected."""

import shutil
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import asyncpg
import pytest

from postbox import migrate
from services.notifications import app, store_payments
from services.notifications.store_payments import TOGETHER_MOST
from services.notifications.telling import Payment, Payments
from tests.conftest import MakeDatabase
from vault import keyring

pytestmark = pytest.mark.stack
LAST = date(2023, 7, 1)
MOST = 2 * TOGETHER_MOST


def _payment(number: int, state: str = "issued", *, is_known: bool = True, is_new: bool = True) -> Payment:
    id_ = f"p-{number:03}"
    said = Payment(id_, f"h-{number}", state=state, sequence=1 + (state != "issued"), is_new=is_new)
    return said._replace(programme="covid-19", period="2023-06", amount=100, until=LAST) if is_known else said


def _households(payments: Sequence[Payment]) -> list[Payments]:
    return [
        Payments(each.household_id, {each.payment_id: each}, frozenset((each.payment_id,)))
        for each in payments
    ]


async def _reminded(db: asyncpg.Connection, today: date = LAST, days: int = 5) -> list[str]:
    """All that are reminded of, some at a time."""
    reminded: list[str] = []
    while ids := await store_payments.take_to_collect(db, today + timedelta(days), MOST):
        reminded += [each.payment_id for each in await store_payments.remind(db, ids, today)]
    return sorted(reminded)


async def test_each_payment_that_can_be_collected_is_reminded_of_once_when_its_time_has_come(
    database: MakeDatabase,
) -> None:
    db = await asyncpg.connect(await database("notifications", app.MIGRATIONS))
    many = range(3 * TOGETHER_MOST)
    await store_payments.keep_issued(db, _households([_payment(number) for number in many]))
    ready = [_payment(number, "accepted", is_new=False) for number in many]
    await store_payments.keep_updated(db, _households(ready))
    assert await _reminded(db, LAST - timedelta(days=6)) == []
    await store_payments.keep_updated(db, _households([ready[0]._replace(state="settled", sequence=3)]))
    await store_payments.keep_updated(db, _households([ready[1]._replace(state="unknown", sequence=3)]))
    assert await _reminded(db) == [each.payment_id for each in ready[2:]]
    again = [ready[number]._replace(sequence=4) for number in (1, 2)]
    await store_payments.keep_updated(db, _households(again))
    assert await _reminded(db) == [ready[1].payment_id]
    await db.close()


async def test_what_can_be_collected_before_it_is_known_what_it_is_is_reminded_of_too(
    database: MakeDatabase,
) -> None:
    db = await asyncpg.connect(await database("notifications", app.MIGRATIONS))
    await store_payments.keep_updated(db, _households([_payment(1, "accepted", is_known=False)]))
    assert await _reminded(db) == []
    (known,) = (await store_payments.load(db, ["p-001"])).values()
    issued = _payment(1)._replace(state=known.payments["p-001"].state, is_new=False)
    await store_payments.keep_issued(db, _households([issued]))
    assert await _reminded(db) == ["p-001"]
    await db.close()


async def test_nobody_is_reminded_of_what_can_be_collected_no_more(database: MakeDatabase) -> None:
    db = await asyncpg.connect(await database("notifications", app.MIGRATIONS))
    await store_payments.keep_issued(db, _households([_payment(1)]))
    await store_payments.keep_updated(db, _households([_payment(1, "accepted", is_new=False)]))
    assert await _reminded(db, LAST + timedelta(days=1)) == []
    await db.close()


async def test_what_waited_before_payments_were_noted_by_their_day_is_reminded_of_afterwards(
    database: MakeDatabase, tmp_path: Path
) -> None:
    before, migrations = tmp_path / "notifications" / "migrations", app.FOLDER / "migrations"
    shutil.copytree(migrations, before, ignore=lambda _, names: [n for n in names if n >= "071"])
    db = await asyncpg.connect(await database("notifications", [keyring.MIGRATIONS, before]))
    waiting = [_payment(number, "accepted") for number in range(TOGETHER_MOST + 1)]
    others = [_payment(100, "settled"), _payment(101, "accepted", is_known=False)]
    rows = [each[:-1] for each in (*waiting, *others)]
    await db.copy_records_to_table("payment", columns=Payment._fields[:-1], records=rows)
    await migrate.apply(db, "notifications", migrations)
    assert await _reminded(db) == [each.payment_id for each in waiting]
    await db.close()
