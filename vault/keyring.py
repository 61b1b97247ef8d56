"""The wrapped keys a service holds, cached nowhere, so that a destroyed key is gone at once."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

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
        "select key_id, household_id, state, wrapped, master_key_id from household_key"
        " where key_id = any($1::text[])",
        sorted(set(key_ids)),
    )
    wrapped: dict[str, Callable[[], bytes]] = {}
    destroyed: list[str] = []
    for key_id, household_id, state, blob, master_key_id in rows:
        if state == "destroyed":
            destroyed.append(key_id)
        else:
            wrapped[key_id] = partial(_unwrap, master, master_key_id, blob, f"{household_id}/{key_id}")
    return Keys(wrapped, destroyed)


def _unwrap(master: MasterKey, master_key_id: str, wrapped: bytes, bound_to: str) -> bytes:
    if master_key_id != master.id:
        raise KeyMissing(f"wrapped by master key {master_key_id}, this service has {master.id}")
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
    rows = [latest[key_id] for key_id in sorted(latest)]
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


async def add(db: Connection, keys: Sequence[WrappedKey]) -> None:
    """Write down keys that were just made, so that nobody can hold them yet; cheaper than `keep`."""
    await db.copy_records_to_table("household_key", records=keys, columns=WrappedKey._fields)
