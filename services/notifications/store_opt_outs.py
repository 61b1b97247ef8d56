"""SQL about numbers that asked for silence; a number is known by its keyed hash alone."""

from collections.abc import Collection

from postbox.message import Connection


async def opt_out(db: Connection, number_hash: bytes) -> bool:
    """No SMS to this number from now on. False where that was so already."""
    added = await db.fetchval(
        "insert into opt_out (number_hash) values ($1) on conflict do nothing returning true", number_hash
    )
    return bool(added)


async def opt_in(db: Connection, number_hash: bytes) -> bool:
    """SMS may go to this number again. False where that was so already."""
    deleted = await db.fetchval("delete from opt_out where number_hash = $1 returning true", number_hash)
    return bool(deleted)


async def silent(db: Connection, number_hashes: Collection[bytes]) -> frozenset[bytes]:
    """Which of these numbers asked for silence."""
    rows = await db.fetch(
        "select number_hash from opt_out where number_hash = any($1::bytea[])", sorted(number_hashes)
    )
    return frozenset(row[0] for row in rows)
