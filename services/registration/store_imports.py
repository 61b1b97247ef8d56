"""All SQL about import files and the rows they left in quarantine."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from postbox.message import Connection
from services.registration.cells import Flaw
from services.registration.quarantine import Refused

_IMPORT = (
    "import_id, file_name, format, size_bytes, sha256, columns, rows_total, state, row_number, rows_done,"
    " registered, quarantined, duplicates, unchanged, error, remedy, caller, area, created_at, started_at,"
    " finished_at"
)


class Tally(NamedTuple):
    """What became of rows: they add up to `rows_done`."""

    registered: int = 0
    quarantined: int = 0
    duplicates: int = 0
    unchanged: int = 0


class Upload(NamedTuple):
    """A file that was uploaded and whose columns are right."""

    import_id: str
    file_name: str
    format: str
    size_bytes: int
    sha256: str
    columns: Sequence[str]
    rows_total: int | None
    caller: str
    area: str
    created_at: datetime


class Import(NamedTuple):
    """One uploaded file and how far it is. `row_number` is the last row that was done."""

    import_id: str
    file_name: str
    format: str
    size_bytes: int
    sha256: str
    columns: list[str]
    rows_total: int | None
    state: str
    row_number: int
    rows_done: int
    registered: int
    quarantined: int
    duplicates: int
    unchanged: int
    error: str | None
    remedy: str | None
    caller: str
    area: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Entry(NamedTuple):
    """A refused row in quarantine."""

    quarantine_id: int
    outcome: str
    import_id: str
    row_number: int
    reference: str | None
    flaws: list[Flaw]
    original: dict[str, str]
    imported_by: str
    at: datetime
    resolved_at: datetime | None


class Selection(NamedTuple):
    """Which entries of quarantine are meant, among those the caller may see."""

    caller: str
    area: str
    import_id: str | None = None
    outcome: str | None = None
    resolved: bool = False


async def add_import(db: Connection, new: Upload) -> None:
    """Write down a file that is waiting to be imported."""
    await db.execute(
        "insert into import (import_id, file_name, format, size_bytes, sha256, columns, rows_total, state,"
        " caller, area, created_at) values ($1, $2, $3, $4, $5, $6, $7, 'waiting', $8, $9, $10)",
        *new,
    )


async def next_import(db: Connection) -> Import | None:
    """The oldest import that is not done."""
    row = await db.fetchrow(
        _select_import("where state in ('waiting', 'running') order by created_at limit 1")
    )
    return Import(*row) if row else None


async def find_import(db: Connection, import_id: str) -> Import | None:
    """One import."""
    row = await db.fetchrow(_select_import("where import_id = $1"), import_id)
    return Import(*row) if row else None


async def imports(db: Connection, caller: str, area: str, most: int) -> list[Import]:
    """The latest imports of a caller, or of everybody within its area."""
    rows = await db.fetch(
        _select_import("where caller = $1 or starts_with(area, $2) order by created_at desc limit $3"),
        caller,
        area,
        most,
    )
    return [Import(*row) for row in rows]


async def open_imports(db: Connection) -> set[str]:
    """The ids of imports that still need their file."""
    rows = await db.fetch("select import_id from import where state in ('waiting', 'running')")
    return {row[0] for row in rows}


async def lock_import(db: Connection, import_id: str, row_number: int) -> bool:
    """Lock an import for one chunk; False when another process has done that chunk or the import ended."""
    found = await db.fetchval(
        "select true from import where import_id = $1 and row_number = $2"
        " and state in ('waiting', 'running') for update",
        import_id,
        row_number,
    )
    return bool(found)


async def advance(db: Connection, import_id: str, row_number: int, tally: Tally, at: datetime) -> None:
    """Move the cursor past a chunk, in the chunk's transaction."""
    await db.execute(
        """
        update import set row_number = $2, state = 'running', started_at = coalesce(started_at, $7),
               rows_done = rows_done + $3 + $4 + $5 + $6, registered = registered + $3,
               quarantined = quarantined + $4, duplicates = duplicates + $5, unchanged = unchanged + $6,
               rows_total = greatest(rows_total, rows_done + $3 + $4 + $5 + $6)
        where import_id = $1
        """,
        import_id,
        row_number,
        *tally,
        at,
    )


async def end_import(
    db: Connection, import_id: str, at: datetime, *, error: str | None = None, remedy: str | None = None
) -> None:
    """An import is done, or failed with a reason; what it did before stays."""
    await db.execute(
        """
        update import set state = case when $3::text is null then 'finished' else 'failed' end, error = $3,
               remedy = $4, finished_at = $2, started_at = coalesce(started_at, $2),
               rows_total = case when $3::text is null then rows_done else rows_total end
        where import_id = $1 and state in ('waiting', 'running')
        """,
        import_id,
        at,
        error,
        remedy,
    )


async def quarantine(db: Connection, run: Import, refused: Sequence[Refused], at: datetime) -> None:
    """Keep refused rows, numbered as they stand in the file; a row that is kept already stays as it is."""
    if not refused:
        return
    await db.execute(
        """
        insert into quarantine (row_hash, outcome, row_number, reference, commune, flaws, original,
                                import_id, imported_by, at)
        select t.*, $8, $9, $10
        from unnest($1::bytea[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[]) as t
        on conflict (row_hash) do nothing
        """,
        [row.row_hash for row in refused],
        [row.outcome for row in refused],
        [row.row_number for row in refused],
        [row.reference for row in refused],
        [row.commune for row in refused],
        [json.dumps(row.flaws, ensure_ascii=False) for row in refused],
        [json.dumps(row.original, ensure_ascii=False) for row in refused],
        run.import_id,
        run.caller,
        at,
    )


async def resolve(
    db: Connection,
    *,
    references: Iterable[str],
    entries: Iterable[int] = (),
    caller: str,
    area: str,
    at: datetime,
) -> None:
    """Close the open entries of households that were registered after all, and those named by number."""
    await db.execute(
        """
        update quarantine set resolved_at = $5, resolved_by = $3
        where resolved_at is null and (imported_by = $3 or starts_with(coalesce(commune, ''), $4))
          and (reference = any($1::text[]) or quarantine_id = any($2::bigint[]))
        """,
        sorted(set(references)),
        sorted(set(entries)),
        caller,
        area,
        at,
    )


async def entries(db: Connection, which: Selection, after: int, most: int) -> list[Entry]:
    """A page of quarantine, by number."""
    rows = await db.fetch(
        """
        select quarantine_id, outcome, import_id, row_number, reference, flaws, original, imported_by, at,
               resolved_at
        from quarantine
        where quarantine_id > $6 and (imported_by = $1 or starts_with(coalesce(commune, ''), $2))
          and ($3::text is null or import_id = $3) and ($4::text is null or outcome = $4)
          and (resolved_at is not null) = $5
        order by quarantine_id limit $7
        """,
        *which,
        after,
        most,
    )
    return [
        Entry(
            **dict(row)
            | {
                "flaws": [Flaw(*flaw) for flaw in json.loads(row["flaws"])],
                "original": json.loads(row["original"]),
            }
        )
        for row in rows
    ]


async def columns_used(db: Connection, which: Selection) -> list[str]:
    """The columns of all files that have entries in a selection."""
    rows = await db.fetch(
        """
        select distinct unnest(columns) from import
        where import_id in (select import_id from quarantine
            where (imported_by = $1 or starts_with(coalesce(commune, ''), $2))
              and ($3::text is null or import_id = $3) and ($4::text is null or outcome = $4)
              and (resolved_at is not null) = $5)
        """,
        *which,
    )
    return [row[0] for row in rows]


async def totals(db: Connection) -> dict[str, int]:
    """Rows of all imports by what became of them, and how much of quarantine is open."""
    row = await db.fetchrow(
        """
        select coalesce(sum(rows_done), 0)::bigint as imported,
               coalesce(sum(registered), 0)::bigint as registered,
               coalesce(sum(quarantined), 0)::bigint as quarantined,
               coalesce(sum(duplicates), 0)::bigint as duplicates,
               coalesce(sum(unchanged), 0)::bigint as unchanged,
               count(*) filter (where state in ('waiting', 'running')) as imports_running,
               coalesce(sum(greatest(rows_total - rows_done, 0))
                        filter (where state in ('waiting', 'running')), 0)::bigint as rows_left
        from import
        """
    )
    still_open = await db.fetchval("select count(*) from quarantine where resolved_at is null")
    assert row is not None
    return dict(row) | {"quarantine_open": still_open}


def _select_import(rest: str) -> str:
    return f"select {_IMPORT} from import {rest}"  # noqa: S608  both parts are constants of this file
