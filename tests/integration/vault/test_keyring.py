"""The keyring on a real PostgreSQL: what is kept, what a destroyed key leaves, what a batch loads."""

from collections.abc import AsyncIterator
from itertools import permutations

import asyncpg
import pytest
import pytest_asyncio

from postbox.message import Connection
from tests.conftest import MakeDatabase
from vault import keyring
from vault.keyring import WrappedKey
from vault.master import MasterKey
from vault.sealing import KeyDestroyed, KeyMissing, SealBroken, new_key

pytestmark = pytest.mark.stack

MASTER = MasterKey(b"\x05" * 32)
EVENT = {"event_id": "e-1", "event_type": "payment.issued.v1"}


@pytest_asyncio.fixture
async def db(database: MakeDatabase) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(await database("payments", [keyring.MIGRATIONS]))
    yield connection
    await connection.close()


def active(household_id: str, key_id: str, key: bytes, *, master: MasterKey = MASTER) -> WrappedKey:
    wrapped = master.wrap(key, bound_to=f"{household_id}/{key_id}")
    return WrappedKey(household_id, key_id, "payee", "active", master.id, wrapped)


def destroyed(household_id: str, key_id: str) -> WrappedKey:
    return WrappedKey(household_id, key_id, "payee", "destroyed", None, None)


async def test_a_key_that_was_kept_opens_what_it_sealed(db: Connection) -> None:
    key_id, key = new_key()
    assert await keyring.keep(db, [active("h-1", key_id, key)]) == ["h-1"]
    blob = (await keyring.load(db, MASTER, [key_id])).seal(key_id, b"Sok Dara", **EVENT)
    assert (await keyring.load(db, MASTER, [key_id, key_id])).open(key_id, blob, **EVENT) == b"Sok Dara"


async def test_a_key_that_never_arrived_is_missing(db: Connection) -> None:
    keys = await keyring.load(db, MASTER, ["nowhere"])
    assert keys.state("nowhere") == "missing"
    with pytest.raises(KeyMissing):
        keys.open("nowhere", b"\x00" * 40, **EVENT)


async def test_a_destroyed_key_leaves_no_material_and_is_served_no_more(db: Connection) -> None:
    await keyring.keep(db, [active("h-1", "k-1", b"\x01" * 32)])
    before = await keyring.load(db, MASTER, ["k-1"])
    before.seal("k-1", b"plain", **EVENT)
    await keyring.keep(db, [destroyed("h-1", "k-1")])
    row = await db.fetchrow("select state, wrapped, master_key_id from household_key")
    assert row is not None
    assert tuple(row) == ("destroyed", None, None)
    after = await keyring.load(db, MASTER, ["k-1"])
    assert after.state("k-1") == "destroyed"
    with pytest.raises(KeyDestroyed):
        after.seal("k-1", b"plain", **EVENT)


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
async def test_destroyed_is_final_whatever_the_order(
    db: Connection, order: tuple[int, ...], together: bool
) -> None:
    said = [active("h-1", "k-1", b"\x01" * 32), destroyed("h-1", "k-1"), active("h-1", "k-1", b"\x01" * 32)]
    arriving = [said[i] for i in order]
    for batch in [arriving] if together else [[key] for key in arriving]:
        await keyring.keep(db, batch)
    assert await db.fetchval("select state from household_key") == "destroyed"


async def test_only_households_whose_keys_changed_are_named_and_sorted(db: Connection) -> None:
    known = active("h-2", "k-2", b"\x02" * 32)
    await keyring.keep(db, [known])
    new = [active("h-3", "k-3", b"\x03" * 32), known, active("h-1", "k-1", b"\x01" * 32)]
    assert await keyring.keep(db, new) == ["h-1", "h-3"]
    assert await keyring.keep(db, new) == []
    assert await keyring.keep(db, []) == []


async def test_a_key_never_moves_to_another_household(db: Connection) -> None:
    await keyring.keep(db, [active("h-1", "k-1", b"\x01" * 32)])
    assert await keyring.keep(db, [active("h-2", "k-1", b"\x02" * 32), destroyed("h-2", "k-1")]) == []
    keys = await keyring.load(db, MASTER, ["k-1"])
    assert keys.state("k-1") == "active"
    assert keys.seal("k-1", b"plain", **EVENT)


async def test_a_row_moved_to_another_household_does_not_unwrap(db: Connection) -> None:
    await keyring.keep(db, [active("h-1", "k-1", b"\x01" * 32)])
    await db.execute("update household_key set household_id = 'h-2'")
    with pytest.raises(SealBroken):
        (await keyring.load(db, MASTER, ["k-1"])).seal("k-1", b"plain", **EVENT)


async def test_another_master_key_waits_and_names_both(db: Connection) -> None:
    other = MasterKey(b"\x06" * 32)
    await keyring.keep(db, [active("h-1", "k-1", b"\x01" * 32, master=other)])
    keys = await keyring.load(db, MASTER, ["k-1"])
    with pytest.raises(KeyMissing, match=f"wrapped by master key {other.id}, this service has {MASTER.id}"):
        keys.seal("k-1", b"plain", **EVENT)


async def test_a_key_wrapped_anew_replaces_the_old_wrapping(db: Connection) -> None:
    await keyring.keep(db, [active("h-1", "k-1", b"\x01" * 32, master=MasterKey(b"\x06" * 32))])
    assert await keyring.keep(db, [active("h-1", "k-1", b"\x01" * 32)]) == ["h-1"]
    assert (await keyring.load(db, MASTER, ["k-1"])).seal("k-1", b"plain", **EVENT)


@pytest.mark.parametrize(
    "key",
    [
        WrappedKey("h-1", "k-1", "payee", "active", MASTER.id, None),
        WrappedKey("h-1", "k-1", "payee", "active", None, b"\x00" * 60),
        WrappedKey("h-1", "k-1", "payee", "destroyed", None, b"\x00" * 60),
        WrappedKey("h-1", "k-1", "payee", "lost", None, None),
    ],
    ids=["active without material", "by no master key", "destroyed with material", "another state"],
)
async def test_a_key_record_that_contradicts_itself_is_refused(db: Connection, key: WrappedKey) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await keyring.keep(db, [key])
