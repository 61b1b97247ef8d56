"""Messages set aside with their reason, and the keys they hold back; all can be replayed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import msgpack
from asyncpg import Record as Row

from postbox.errors import Handling
from postbox.message import Connection, Headers, Raw


class Set(NamedTuple):
    """One message to set aside: `key` is None where its own is unusable; `item` is its number in a record
    that holds many, 0 where it is the record."""

    record: Raw
    key: str | None
    handling: Handling
    reason: str
    traceparent: str | None = None
    item: int = 0


@dataclass(slots=True)
class Parked:
    """A parked message as it is read back; it has the shape of its record, so that it can run again."""

    id: int
    key_text: str | None
    topic: str
    partition: int
    offset: int
    item: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    handling: str
    reason: str
    attempts: int
    parked_at: datetime
    deadline: datetime | None


class Dismissed(NamedTuple):
    """A message a person dismissed: `reason` is why it was parked, `why` why it will never be handled."""

    id: int
    key: str | None
    topic: str
    partition: int
    offset: int
    item: int
    reason: str
    dismissed_by: str
    why: str
    dismissed_at: datetime


class Change(NamedTuple):
    """What another try of a parked message brought."""

    id: int
    handling: Handling
    reason: str


class DeadLetter(NamedTuple):
    """A parked message as a record: the original bytes, why and where in headers."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    partition_by: bytes | None = None


_PARKED = """
select p.*, b.record_value as bundle from parked p left join bundle b
on p.item > 0 and (b.topic, b.partition, b."offset") = (p.topic, p.partition, p."offset")
"""


async def is_any_held(db: Connection) -> bool:
    """As a rule nobody is: asked first, it spares sending all keys."""
    return bool(await db.fetchval("select exists (select from hold)"))


async def held(db: Connection, keys: Sequence[str]) -> set[str]:
    """Which of these keys are held; the holds can't be released until the transaction ends."""
    rows = await db.fetch("select key from hold where key = any($1) order by key for share", keys)
    return {row["key"] for row in rows}


async def park(db: Connection, sets: Sequence[Set], *, retry_s: float, deadline_s: float) -> None:
    """Write parked messages, in one statement; `wait` ones are tried again after `retry_s`."""
    if not sets:
        return
    await _keep_bundles(db, [each.record for each in sets if each.item])
    await db.execute(
        """
        insert into parked (key, topic, partition, "offset", record_key, record_value, headers,
                            handling, reason, traceparent, item, retry_at, deadline)
        select t.*,
               case when t.handling = 'wait' then now() + make_interval(secs => $12) end,
               case when t.handling = 'wait' then now() + make_interval(secs => $13) end
        from unnest($1::text[], $2::text[], $3::int[], $4::bigint[], $5::bytea[], $6::bytea[], $7::bytea[],
                    $8::text[], $9::text[], $10::text[], $11::int[])
             as t(key, topic, partition, "offset", record_key, record_value, headers,
                  handling, reason, traceparent, item)
        on conflict (topic, partition, "offset", item) do nothing
        """,
        [s.key for s in sets],
        [s.record.topic for s in sets],
        [s.record.partition for s in sets],
        [s.record.offset for s in sets],
        [s.record.key for s in sets],
        [None if s.item else s.record.value for s in sets],
        [msgpack.packb(list(s.record.headers)) for s in sets],
        [s.handling for s in sets],
        [s.reason for s in sets],
        [s.traceparent for s in sets],
        [s.item for s in sets],
        retry_s,
        deadline_s,
    )


async def _keep_bundles(db: Connection, records: Iterable[Raw]) -> None:
    """The bytes of records that hold many messages, once, however many of those are parked."""
    bundles = {(each.topic, each.partition, each.offset): each.value for each in records}
    if bundles:
        topics, partitions, offsets = zip(*bundles, strict=True)
        await db.execute(
            'insert into bundle (topic, partition, "offset", record_value) '
            "select * from unnest($1::text[], $2::int[], $3::bigint[], $4::bytea[]) on conflict do nothing",
            *(topics, partitions, offsets, list(bundles.values())),
        )


async def hold(db: Connection, reasons: dict[str, str]) -> None:
    """Hold keys back, with the reason; a key already held keeps its first reason."""
    if reasons:
        keys = sorted(reasons)
        await db.execute(
            "insert into hold (key, reason) select * from unnest($1::text[], $2::text[]) "
            "on conflict do nothing",
            keys,
            [reasons[key] for key in keys],
        )


async def retry_now(db: Connection, keys: Sequence[str]) -> None:
    """Let what waits under these keys be tried again at once: what it waited for has arrived."""
    if keys and await is_any_held(db):
        await db.execute(
            "update parked set retry_at = now() where key = any($1) and handling = 'wait'", list(keys)
        )


async def due(db: Connection, most: int) -> list[str]:
    """Keys of which a waiting message should be tried again now."""
    rows = await db.fetch(
        "select key, min(retry_at) from parked where retry_at <= now() and key is not null "
        "group by key order by 2 limit $1",
        most,
    )
    return sorted(row["key"] for row in rows)


async def lock_holds(db: Connection, keys: Sequence[str]) -> list[str]:
    """Lock the holds of these keys, so that live batches of them wait; returns those that exist."""
    rows = await db.fetch("select key from hold where key = any($1) order by key for update", list(keys))
    return [row["key"] for row in rows]


async def of_keys(db: Connection, keys: Sequence[str]) -> list[Parked]:
    """Everything parked under these keys, in the order it was parked."""
    return [_parked(row) for row in await db.fetch(f"{_PARKED} where key = any($1) order by id", list(keys))]


async def one(db: Connection, parked_id: int) -> Parked | None:
    """One parked message, its row locked."""
    row = await db.fetchrow(f"{_PARKED} where id = $1 for update of p", parked_id)
    return _parked(row) if row else None


async def listed(db: Connection, after: int, most: int) -> list[Parked]:
    """A page of parked messages by id."""
    rows = await db.fetch(f"{_PARKED} where id > $1 order by id limit $2", after, most)
    return [_parked(row) for row in rows]


async def move_behind(db: Connection, keys: Sequence[str], record: Parked) -> None:
    """Let what was parked under these keys after a record come after the messages of that record."""
    rows = await db.fetch(
        "select id from parked where key = any($1) and id > $2 "
        'and (topic, partition, "offset") <> ($3, $4, $5) order by id',
        list(keys),
        record.id,
        *(record.topic, record.partition, record.offset),
    )
    for row in rows:
        await db.execute("update parked set id = default where id = $1", row["id"])


async def remove(db: Connection, ids: Iterable[int]) -> None:
    """Forget messages that were handled after all."""
    gone = await db.fetch(
        'delete from parked where id = any($1) returning topic, partition, "offset", item', sorted(ids)
    )
    records = sorted({(row["topic"], row["partition"], row["offset"]) for row in gone if row["item"]})
    for record in records:
        await db.execute(
            """
            delete from bundle where (topic, partition, "offset") = ($1, $2, $3) and not exists
                (select from parked where (topic, partition, "offset") = ($1, $2, $3) and item > 0
                 union all
                 select from dismissed where (topic, partition, "offset") = ($1, $2, $3) and item > 0)
            """,
            *record,
        )


async def dismiss(db: Connection, parked_id: int, by: str, why: str) -> None:
    """Move a parked message to those that will never be handled, with who says so and why."""
    await db.execute(
        """
        with gone as (delete from parked where id = $1 returning *)
        insert into dismissed (id, key, topic, partition, "offset", item, record_key, record_value, headers,
            reason, attempts, parked_at, dismissed_by, why)
        select id, key, topic, partition, "offset", item, record_key, record_value, headers, reason, attempts,
            parked_at, $2, $3 from gone
        """,
        parked_id,
        by,
        why,
    )


async def dismissed(db: Connection, after: int, most: int) -> list[Dismissed]:
    """A page of dismissed messages by id."""
    rows = await db.fetch(
        """
        select id, key, topic, partition, "offset", item, reason, dismissed_by, why, dismissed_at
        from dismissed where id > $1 order by id limit $2
        """,
        after,
        most,
    )
    return [Dismissed(*row) for row in rows]


async def release(db: Connection, keys: Iterable[str]) -> None:
    """Lift the holds of these keys."""
    await db.execute("delete from hold where key = any($1)", sorted(keys))


async def again(db: Connection, changes: Sequence[Change], *, retry_s: float) -> None:
    """Write what another try brought; waiting ones back off by attempts."""
    await db.execute(
        """
        update parked p set attempts = attempts + 1, handling = t.handling, reason = t.reason,
            retry_at = case when t.handling = 'wait'
                then now() + make_interval(secs => least(60, $4 * power(2, least(attempts, 16)))) end
        from unnest($1::bigint[], $2::text[], $3::text[]) as t(id, handling, reason) where p.id = t.id
        """,
        [change.id for change in changes],
        [change.handling for change in changes],
        [change.reason for change in changes],
        retry_s,
    )


async def counts(db: Connection) -> dict[str, int]:
    """How many messages are parked, by handling, and how many keys are held (`held`)."""
    rows = await db.fetch("select handling, count(*) as n from parked group by handling")
    found = {row["handling"]: row["n"] for row in rows}
    return {name: found.get(name, 0) for name in ("wait", "behind", "park")} | {
        "held": await db.fetchval("select count(*) from hold")
    }


def dead_letter(topic: str, record: Raw, items: Sequence[int], reason: str, at: datetime) -> DeadLetter:
    """The dead letter of a record: raw bytes untouched, its own headers kept where they are readable.

    `items`: the numbers of the messages in it that are meant, where it holds many.
    """
    own = tuple((name, value) for name, value in record.headers if value is not None)
    return DeadLetter(
        topic=topic,
        key=record.key or b"",
        value=record.value or b"",
        headers=(
            *own,
            ("dead_letter_reason", reason.encode()),
            ("dead_letter_topic", record.topic.encode()),
            ("dead_letter_partition", b"%d" % record.partition),
            ("dead_letter_offset", b"%d" % record.offset),
            *((("dead_letter_items", " ".join(map(str, items)).encode()),) if items else ()),
            ("dead_letter_time", at.isoformat().encode()),
            ("dead_letter_null_value", b"1" if record.value is None else b"0"),
        ),
    )


def _parked(row: Row) -> Parked:
    headers = msgpack.unpackb(row["headers"], use_list=False)
    return Parked(
        id=row["id"],
        key_text=row["key"],
        topic=row["topic"],
        partition=row["partition"],
        offset=row["offset"],
        item=row["item"],
        key=row["record_key"],
        value=row["bundle"] if row["item"] else row["record_value"],
        headers=headers,
        handling=row["handling"],
        reason=row["reason"],
        attempts=row["attempts"],
        parked_at=row["parked_at"],
        deadline=row["deadline"],
    )
