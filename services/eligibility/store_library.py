"""SQL of the library: programme files by hash, and which of them decided together."""

from datetime import datetime
from typing import NamedTuple

from postbox.message import Connection
from services.eligibility.packages import Panel


class Archived(NamedTuple):
    """A programme file as it was first used."""

    hash: str
    content: bytes


async def archived(db: Connection) -> dict[str, list[Archived]]:
    """Every file kept, by programme, the oldest first."""
    rows = await db.fetch("select programme, hash, content from programme_file order by first_used_at, hash")
    found: dict[str, list[Archived]] = {}
    for programme, file_hash, content in rows:
        found.setdefault(programme, []).append(Archived(file_hash, content))
    return found


async def has_decided(db: Connection, programme: str, is_sensitive: bool) -> bool:
    """Whether a programme has decided; of a sensitive one that is not written, so it counts as having."""
    if is_sensitive:
        return True
    return bool(
        await db.fetchval("select exists (select 1 from every_decision where programme = $1)", programme)
    )


async def add(db: Connection, panel: Panel, now: datetime) -> None:
    """Keep the files of a panel and that they decide together; those kept before stay as they are."""
    await db.executemany(
        "insert into programme_file (hash, programme, content, first_used_at) values ($1, $2, $3, $4)"
        " on conflict do nothing",
        [(each.hash, each.id, each.content, now) for each in panel.programmes.values()],
    )
    await db.execute(
        "insert into catalogue (hash, programme_hashes, first_used_at) values ($1, $2, $3)"
        " on conflict do nothing",
        panel.catalogue,
        [panel.programmes[name].hash for name in sorted(panel.programmes)],
        now,
    )


async def file(db: Connection, file_hash: str) -> bytes | None:
    """A programme file by its hash."""
    found: bytes | None = await db.fetchval("select content from programme_file where hash = $1", file_hash)
    return found


async def catalogue(db: Connection, catalogue_hash: str) -> dict[str, bytes]:
    """The files of a catalogue by name; empty for one that is not known."""
    rows = await db.fetch(
        """
        select f.programme || '.yaml', f.content from catalogue c
        join programme_file f on f.hash = any(c.programme_hashes) where c.hash = $1
        """,
        catalogue_hash,
    )
    return {row[0]: row[1] for row in rows}
