"""The wrapped keys a service holds, cached nowhere, so that a destroyed key is gone at once."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from asyncpg import UniqueViolationError

from postbox.message import Connection
from vault.master import MasterKey
from vault.sealing import KeyMissing, Keys

MIGRATIONS = Path(__file__).parent / "migrations"


class WrappedKey(NamedTuple):
    """One household's key for one purpose; `destroyed` has neither `wrapped` nor `master_key_id`."""

    household_id: str
    key_id: str
    purpose: str
    state: str
    master_key_id: str | None
    wrapped: bytes | None


async def load(db: Connection, master: MasterKey, key_ids: Iterable[str]) -> Keys:
    """The keys named, in one query; those not there are `missing`."""
    rows = await db.fetch(
        "select key_id, household_id, wrapped, nullif(master_key_id, $2) from household_key"
        " where key_id = any($1::text[])",
        sorted(set(key_ids)),
        master.id,
    )
    wrapped: dict[str, Callable[[], bytes]] = {}
    destroyed: list[str] = []
    for key_id, household_id, blob, other_master_key_id in rows:
        if blob is None:
            destroyed.append(key_id)
        else:
            wrapped[key_id] = partial(_unwrap, master, other_master_key_id, blob, f"{household_id}/{key_id}")
    return Keys(wrapped, destroyed)


def _unwrap(master: MasterKey, other_master_key_id: str | None, wrapped: bytes, bound_to: str) -> bytes:
    if other_master_key_id is not None:
        raise KeyMissing(f"wrapped by master key {other_master_key_id}, this service has {master.id}")
    return master.unwrap(wrapped, bound_to=bound_to)


async def keep(db: Connection, keys: Sequence[WrappedKey]) -> list[str]:
    """Write keys down by key id; once destroyed a key stays so, whatever comes later.

    A key keeps its household and purpose. Returns the households whose keys changed, sorted.
    """
    latest: dict[str, WrappedKey] = {}
    for key in keys:
        known = latest.get(key.key_id)
        if known is None or known.state != "destroyed":
            latest[key.key_id] = key
    if not latest:
        return []
    rows = [latest[key_id] for key_id in sorted(latest)]
    if await _added(db, rows):
        return sorted({key.household_id for key in rows})
    changed = await db.fetch(
        """
        insert into household_key (household_id, key_id, purpose, state, master_key_id, wrapped)
        select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[])
        on conflict (key_id) do update
            set state = excluded.state, master_key_id = excluded.master_key_id, wrapped = excluded.wrapped
            where household_key.state <> 'destroyed'
              and household_key.household_id = excluded.household_id
              and (household_key.state, household_key.master_key_id, household_key.wrapped)
                  is distinct from (excluded.state, excluded.master_key_id, excluded.wrapped)
        returning household_id
        """,
        *([key[at] for key in rows] for at in range(len(WrappedKey._fields))),
    )
    return sorted({row["household_id"] for row in changed})


async def _added(db: Connection, rows: Sequence[WrappedKey]) -> bool:
    """Add keys nobody holds, as nearly all are; False, and nothing added, where one is held."""
    try:
        async with db.transaction():
            await add(db, rows)
    except UniqueViolationError:
        return False
    return True


async def add(db: Connection, keys: Sequence[WrappedKey]) -> None:
    """Write down keys that were just made, so that nobody can hold them yet; cheaper than `keep`."""
    await db.copy_records_to_table("household_key", records=keys, columns=WrappedKey._fields)
