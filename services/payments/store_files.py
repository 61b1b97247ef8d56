"""SQL about partners' files: what was loaded, where the job stands, and the rows that could not be booked."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from postbox.message import Connection
from services.payments.partners.iso20022.camt import Line, Statement

REFUSED_MOST = 1_000
"""How many calls back that were refused are kept of one partner."""
_PARKED = """
select partner, sha256, position, payment_id, status, amount, reference, reason_code, occurred_at, why, flawed
from partner_row
where resolved_at is null and ($1::text is null or partner = $1)
    and (partner, sha256, position) > ($2, $3, $4) and (not $6 or not flawed)
order by partner, sha256, position limit $5
"""


class File(NamedTuple):
    """One file as it was loaded; the counts of rows add up to `rows_done`."""

    partner: str
    sha256: str
    message: str
    state: str
    reason: str | None
    remedy: str | None
    size_bytes: int
    rows_total: int | None
    rows_done: int
    rows_booked: int
    rows_known: int
    rows_parked: int
    loaded_by: str
    loaded_at: datetime
    finished_at: datetime | None


class Loaded(NamedTuple):
    """A file that nobody has looked into yet."""

    partner: str
    sha256: str
    message: str
    size_bytes: int
    loaded_by: str
    loaded_at: datetime


class Tally(NamedTuple):
    """What became of a chunk's rows."""

    booked: int
    known: int
    parked: int


class Row(NamedTuple):
    """A row that was set aside, and `why`; no persons, amounts in riel. `flawed`: it can't ever be booked."""

    partner: str
    sha256: str
    position: int
    payment_id: str | None
    status: str | None
    amount: int | None
    reference: str | None
    reason_code: str | None
    occurred_at: datetime | None
    why: str
    flawed: bool


class Refused(NamedTuple):
    """A call back that was refused whole, and why; `body` is its beginning."""

    partner: str
    digest: str
    action: str
    why: str
    body: bytes
    at: datetime


class RefusedShown(NamedTuple):
    """One as it is listed; `times`: how often the same bytes came."""

    partner: str
    digest: str
    action: str
    why: str
    times: int
    first_at: datetime
    last_at: datetime
    body: str


async def add_file(db: Connection, file: Loaded) -> bool:
    """Note a file; False where its bytes are known from this partner."""
    row = await db.fetchval(
        "insert into partner_file (partner, sha256, message, state, size_bytes, loaded_by, loaded_at) "
        "values ($1, $2, $3, 'received', $4, $5, $6) on conflict do nothing returning 1",
        *file,
    )
    return row is not None


async def add_refused(db: Connection, file: Loaded, reason: str, remedy: str) -> None:
    """Note a file that was not even taken in."""
    if await add_file(db, file):
        found = await find_file(db, file.partner, file.sha256)
        assert found is not None
        await end(db, found, (reason, remedy), file.loaded_at)


async def find_file(db: Connection, partner: str, sha256: str) -> File | None:
    """One file."""
    row = await db.fetchrow("select * from partner_file where partner = $1 and sha256 = $2", partner, sha256)
    return File(*row) if row else None


async def files(db: Connection, partner: str | None, most: int) -> list[File]:
    """The latest files, the newest first."""
    rows = await db.fetch(
        "select * from partner_file where $1::text is null or partner = $1 order by loaded_at desc limit $2",
        partner,
        most,
    )
    return [File(*row) for row in rows]


async def next_file(db: Connection) -> File | None:
    """The oldest file that is not done."""
    row = await db.fetchrow("select * from partner_file where state = 'received' order by loaded_at limit 1")
    return File(*row) if row else None


async def lock_file(db: Connection, file: File) -> bool:
    """Lock a file's row; False where another process went on with it meanwhile."""
    done = await db.fetchval(
        "select rows_done from partner_file where partner = $1 and sha256 = $2 and state = "
        "'received' for update",
        file.partner,
        file.sha256,
    )
    return bool(done == file.rows_done)


async def go_on(db: Connection, file: File, tally: Tally) -> None:
    """A chunk is done."""
    await db.execute(
        "update partner_file set rows_done = rows_done + $3 + $4 + $5, rows_booked = rows_booked + $3, "
        "rows_known = rows_known + $4, rows_parked = rows_parked + $5 where partner = $1 and sha256 = $2",
        file.partner,
        file.sha256,
        *tally,
    )


async def count_rows(db: Connection, file: File, rows: int) -> None:
    """A file was found valid, and holds so many rows."""
    await db.execute(
        "update partner_file set rows_total = $3 where partner = $1 and sha256 = $2",
        file.partner,
        file.sha256,
        rows,
    )


async def end(db: Connection, file: File, refused: tuple[str, str] | None, now: datetime) -> None:
    """All rows are done, or the file is refused: (reason, remedy)."""
    await db.execute(
        "update partner_file set state = $3, reason = $4, remedy = $5, finished_at = $6 "
        "where partner = $1 and sha256 = $2 and state = 'received'",
        file.partner,
        file.sha256,
        "refused" if refused else "done",
        *(refused or (None, None)),
        now,
    )


async def look_anew(db: Connection) -> None:
    """Let the planner know what a file brought: without it, reconciling 20,000 lines took half a minute."""
    await db.execute("analyze bank_line, statement, report, payment, outgoing")


async def park(db: Connection, rows: Sequence[Row], now: datetime) -> None:
    """Set rows aside; one tried again and set aside again keeps its first day, with the newer reason."""
    if rows:
        await db.executemany(
            """
            insert into partner_row (partner, sha256, position, payment_id, status, amount, reference,
                reason_code, occurred_at, why, flawed, parked_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            on conflict (partner, sha256, position)
                do update set why = excluded.why, tried_at = excluded.parked_at
            """,
            [(*each, now) for each in sorted(rows, key=lambda each: each[:3])],
        )


async def parked(
    db: Connection, partner: str | None, after: tuple[str, str, int], most: int, *, lock: bool = False
) -> list[Row]:
    """A page of rows that are set aside, by partner, file and position.

    With `lock` those that can be tried again, to be worked on.
    """
    rows = await db.fetch(
        _PARKED + " for update" if lock else _PARKED,
        partner,
        *after,
        most,
        lock,
    )
    return [Row(*row) for row in rows]


async def close_row(
    db: Connection, key: tuple[str, str, int], by: str, resolution: str, now: datetime
) -> bool:
    """A person has dealt with a row that was set aside; False where there is none open."""
    done = await db.execute(
        "update partner_row set resolved_at = $6, resolved_by = $4, resolution = $5 "
        "where partner = $1 and sha256 = $2 and position = $3 and resolved_at is null",
        *key,
        by,
        resolution,
        now,
    )
    return bool(done == "UPDATE 1")


async def still_parked(db: Connection, tried: Sequence[Row], now: datetime, by: str) -> int:
    """Of rows tried again at `now`, resolve those that were not set aside anew; returns how many were."""
    resolved = 0
    for each in tried:
        done = await db.execute(
            "update partner_row set resolved_at = $4, resolved_by = $5 where partner = $1 and sha256 = $2 "
            "and position = $3 and tried_at is distinct from $4",
            *each[:3],
            now,
            by,
        )
        resolved += done == "UPDATE 1"
    return len(tried) - resolved


async def keep_refused(db: Connection, call: Refused) -> None:
    """Keep a call back that was refused; one that comes again is counted, and the oldest make room."""
    await db.execute(
        "insert into refused_callback (partner, digest, action, why, body, first_at, last_at) "
        "values ($1, $2, $3, $4, $5, $6, $6) on conflict (partner, digest) "
        "do update set times = refused_callback.times + 1, last_at = excluded.last_at, why = excluded.why",
        *call,
    )
    await db.execute(
        "delete from refused_callback where partner = $1 and last_at < (select last_at from refused_callback "
        "where partner = $1 order by last_at desc offset $2 limit 1)",
        call.partner,
        REFUSED_MOST - 1,
    )


async def refused(db: Connection, partner: str | None, most: int) -> list[RefusedShown]:
    """The latest calls back that were refused, the newest first."""
    rows = await db.fetch(
        "select partner, digest, action, why, times, first_at, last_at, body from refused_callback "
        "where $1::text is null or partner = $1 order by last_at desc limit $2",
        partner,
        most,
    )
    return [RefusedShown(**{**row, "body": row["body"].decode(errors="replace")}) for row in rows]


async def add_statement(db: Connection, file: File, each: Statement) -> bool:
    """Keep a statement; False where another file brought it already."""
    sha256 = await db.fetchval(
        "insert into statement (partner, statement_id, account, sha256, message, sequence, day, "
        "opening, closing) "
        "values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (partner, account, statement_id) "
        "do update set partner = excluded.partner returning sha256",
        file.partner,
        each.statement_id,
        each.account,
        file.sha256,
        file.message,
        each.sequence,
        each.day,
        each.opening,
        each.closing,
    )
    return bool(sha256 == file.sha256)


async def owners(
    db: Connection, partner: str, named: Collection[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """Which file (its SHA-256) brought a statement, by (account, statement)."""
    rows = await db.fetch(
        "select s.account, s.statement_id, s.sha256 from statement s join unnest($2::text[], $3::text[]) "
        "as t(account, statement_id) using (account, statement_id) where s.partner = $1",
        partner,
        [account for account, _ in named],
        [statement_id for _, statement_id in named],
    )
    return {(row["account"], row["statement_id"]): row["sha256"] for row in rows}


async def add_lines(db: Connection, file: File, lines: Sequence[tuple[int, Line]]) -> None:
    """Keep what moved on the account: lines without a flaw, each with its position in the file."""
    if lines:
        columns = ("partner", "sha256", "position", *Line._fields[:-1])
        records = [(file.partner, file.sha256, position, *line[:-1]) for position, line in lines]
        await db.copy_records_to_table("bank_line", columns=columns, records=records)
