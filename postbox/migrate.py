"""Schema migrations: numbered `.sql` files, applied once each, in order, and never edited afterwards."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from postbox.message import Connection

MIGRATIONS = Path(__file__).parent / "migrations"

_TABLE = """
create table if not exists migration (
    component text not null, file text not null, sha256 text not null,
    applied_at timestamptz not null default now(), primary key (component, file))
"""


class MigrationChanged(Exception):
    """A migration that was applied already has been edited; add a new file instead."""


async def apply_all(db: Connection, folders: Sequence[Path]) -> None:
    """Apply postbox's own migrations, then each folder's; a component is named by its folder's parent."""
    for folder in (MIGRATIONS, *folders):
        await apply(db, folder.parent.name, folder)


async def apply(db: Connection, component: str, folder: Path) -> list[str]:
    """Apply what is new in `folder`, in one transaction; returns the files applied.

    Two processes may start at once: the second waits for the first. Raises `MigrationChanged`.
    """
    async with db.transaction():
        await db.execute("select pg_advisory_xact_lock(7011)")
        await db.execute(_TABLE)
        rows = await db.fetch("select file, sha256 from migration where component = $1", component)
        known: dict[str, str] = {row["file"]: row["sha256"] for row in rows}
        applied = []
        for name, statements in _files(folder):
            digest = hashlib.sha256(statements.encode()).hexdigest()
            if known.get(name, digest) != digest:
                raise MigrationChanged(f"{component}/{name}: {MigrationChanged.__doc__}")
            if name not in known:
                await db.execute(statements)
                await db.execute(
                    "insert into migration (component, file, sha256) values ($1, $2, $3)",
                    component,
                    name,
                    digest,
                )
                applied.append(name)
        return applied


def _files(folder: Path) -> list[tuple[str, str]]:
    return [(path.name, path.read_text()) for path in sorted(folder.glob("*.sql"))]
