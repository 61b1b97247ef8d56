"""SQL about SMS that came in, how often numbers were answered, and requests for protection."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import NamedTuple

from postbox.message import Connection


class Sender(NamedTuple):
    """Whose number a message came from: the one household that has it, with its sealed payee."""

    household_id: str
    event_id: str
    key_id: str
    payee: bytes | None


class Message(NamedTuple):
    """An SMS that came in; `sender` and `text` are encrypted, bound to `message_id`."""

    message_id: str
    kind: str
    household_id: str | None
    sender: bytes
    text: bytes | None
    language: str
    received_at: datetime


_COLUMNS = ", ".join(Message._fields)


async def is_new(db: Connection, message_id: str, on: date) -> bool:
    """Note that a message came; False where it came before."""
    added = await db.fetchval(
        "insert into message_seen (message_id, on_date) values ($1, $2)"
        " on conflict do nothing returning true",
        message_id,
        on,
    )
    return bool(added)


async def sender(db: Connection, number_hash: bytes) -> Sender | None:
    """The household that has this number, where it is one household's alone."""
    rows = await db.fetch(
        "select household_id, event_id, key_id, payee from contact where number_hash = $1 limit 2",
        number_hash,
    )
    return Sender(*rows[0]) if len(rows) == 1 else None


async def senders(db: Connection, households: Sequence[str]) -> dict[str, Sender]:
    """These households, as their SMS would reach them."""
    rows = await db.fetch(
        "select household_id, event_id, key_id, payee from contact where household_id = any($1::text[])",
        households,
    )
    return {row[0]: Sender(*row) for row in rows}


async def add(db: Connection, message: Message) -> None:
    """Write a message down."""
    await db.copy_records_to_table("message", records=[message], columns=Message._fields)


async def find(db: Connection, message_ids: Sequence[str]) -> dict[str, Message]:
    """These messages, by id."""
    rows = await db.fetch(
        f"select {_COLUMNS} from message where message_id = any($1::text[])",  # noqa: S608 - constants
        sorted(message_ids),
    )
    return {row[0]: Message(*row) for row in rows}


async def forget(db: Connection, households: Collection[str]) -> None:
    """Nothing is kept of what these households wrote."""
    await db.execute("delete from message where household_id = any($1::text[])", sorted(households))


async def forget_older(db: Connection, before: date) -> None:
    """Nothing is kept of what was written before a day."""
    await db.execute("delete from message where received_at < $1::date", before)
    for table in ("message_seen", "answered", "protection_request"):
        await db.execute(f"delete from {table} where on_date < $1", before)  # noqa: S608 - constants


async def count_answer(db: Connection, number_hash: bytes, on: date, *, unknown: bool) -> tuple[int, int]:
    """How often a number was answered on a day, with this time: in all, and as not understood."""
    row = await db.fetchrow(
        """
        insert into answered (number_hash, on_date, answers, unknown) values ($1, $2, 1, $3)
        on conflict (number_hash, on_date) do update set answers = answered.answers + 1,
            unknown = answered.unknown + excluded.unknown
        returning answers, unknown
        """,
        number_hash,
        on,
        int(unknown),
    )
    assert row is not None
    return row["answers"], row["unknown"]


async def ask_for_protection(db: Connection, request_id: str, sealed: bytes, on: date) -> None:
    """Keep a request, sealed."""
    await db.execute(
        "insert into protection_request (request_id, sealed, on_date) values ($1, $2, $3)",
        request_id,
        sealed,
        on,
    )


async def protection_requests(db: Connection, reader: str) -> list[tuple[str, bytes]]:
    """Every request that is kept, sealed; that they were read is written down with them."""
    rows = await db.fetch("select request_id, sealed from protection_request order by on_date, request_id")
    await db.execute("insert into protection_reading (reader, requests) values ($1, $2)", reader, len(rows))
    return [(row[0], row[1]) for row in rows]


async def protection_readings(db: Connection) -> list[dict[str, object]]:
    """Who read requests, how many, and when, the latest first."""
    rows = await db.fetch(
        "select reader, requests, at from protection_reading order by reading_id desc limit 500"
    )
    return [dict(row) for row in rows]
