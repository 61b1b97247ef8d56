"""A service that only counts, so that a lost or doubled effect shows: run as a process by the fault tests."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from postbox import parking
from postbox.errors import Park, Wait
from postbox.message import Batch, Connection, Headers, Item, Subscription
from postbox.service import Service, ServiceSettings, run

ADDED = "number.added.v1"
ANSWERED = "answer.given.v1"
COUNTED = "number.counted.v1"
MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(slots=True)
class Number:
    """`amount` below 0 parks, 0 waits until an answer has come; `break` makes the database refuse it."""

    key: str
    traceparent: str
    id: int
    amount: int
    breaks: bool


class Counted(NamedTuple):
    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    partition_by: bytes | None = None


class NotANumber(Exception):
    handling = "park"


def decode(topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> Number | list[Item]:
    """Bytes to a number, or to many, each with a `key` of its own; refuses what is neither."""
    try:
        found = json.loads(value or b"")
        traceparent = (dict(headers).get("traceparent") or b"").decode()
        if isinstance(found, list):
            return [Item(each["key"].encode(), _one(each["key"], traceparent, each)) for each in found]
        number = _one((key or b"").decode(), traceparent, found)
    except (ValueError, KeyError, TypeError):
        raise NotANumber("value: not a number") from None
    if isinstance(number, NotANumber):
        raise number
    return number


def _one(key: str, traceparent: str, found: Mapping[str, object]) -> Number | NotANumber:
    match found:
        case {"id": int(id_), "amount": int(amount)}:
            return Number(key, traceparent, id_, amount, bool(found.get("break", False)))
        case _:
            return NotANumber("value: not a number")


@dataclass(slots=True)
class Total:
    key: str
    sum: int
    sequence: int
    done: tuple[tuple[int, int, str], ...] = ()


async def count(batch: Batch[Number], db: Connection) -> Sequence[Counted]:
    """Add the numbers of each key; every one has one effect row and one outgoing record."""
    rows = await db.fetch(
        "select key, sum, sequence from total where key = any($1) order by key for update", batch.keys
    )
    answered = {
        row["key"] for row in await db.fetch("select key from answer where key = any($1)", batch.keys)
    }

    def add(total: Total | None, number: Number) -> Total:
        if number.amount < 0:
            raise Park("negative")
        if number.amount == 0 and number.key not in answered:
            raise Wait("no answer yet")
        was = total or Total(number.key, 0, 0)
        done = (*was.done, (-1 if number.breaks else number.id, was.sequence + 1, number.traceparent))
        return Total(number.key, was.sum + number.amount, was.sequence + 1, done)

    totals = batch.fold({row["key"]: Total(row["key"], row["sum"], row["sequence"]) for row in rows}, add)
    await db.execute(
        "insert into total select * from unnest($1::text[], $2::bigint[], $3::bigint[]) "
        "on conflict (key) do update set sum = excluded.sum, sequence = excluded.sequence",
        [t.key for t in totals],
        [t.sum for t in totals],
        [t.sequence for t in totals],
    )
    await db.execute(
        "insert into effect (id, key) select * from unnest($1::bigint[], $2::text[])",
        [id_ for t in totals for id_, _, _ in t.done],
        [t.key for t in totals for _ in t.done],
    )
    return [_counted(total, *done) for total in totals for done in total.done]


def _counted(total: Total, id_: int, sequence: int, traceparent: str) -> Counted:
    headers = (("sequence", b"%d" % sequence), ("traceparent", traceparent.encode()))
    return Counted(COUNTED, total.key.encode(), str(id_).encode(), headers)


async def answer(batch: Batch[Number], db: Connection) -> Sequence[Counted]:
    """An answer lets what waits under its key go on."""
    await db.execute("insert into answer select * from unnest($1::text[]) on conflict do nothing", batch.keys)
    await parking.retry_now(db, batch.keys)
    return []


def build(settings: ServiceSettings, *, holds: bool = True) -> Service:
    """The service on these settings."""
    return Service(
        "counting",
        settings,
        subscriptions=[
            Subscription(ANSWERED, decode, answer, Number, compacted=True),
            Subscription(ADDED, decode, count, Number, holds=holds),
        ],
        migrations=[MIGRATIONS],
    )


if __name__ == "__main__":
    run(build(ServiceSettings()))
