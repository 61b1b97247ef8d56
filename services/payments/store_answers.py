"""SQL about what eligibility answered of cycles."""

from collections.abc import Sequence
from datetime import datetime

from postbox import positions
from postbox.message import Connection
from services.payments.answers import Answer

_ANSWERS = "select cycle_id, partition, opening, partitions, answered_below, unanswered from answer "


async def load(db: Connection, keys: Sequence[str]) -> dict[str, Answer]:
    """The last answers of these cycles and partitions, locked in order, by their key."""
    rows = await db.fetch(
        _ANSWERS + "where cycle_id || '/' || partition = any($1) order by cycle_id, partition for update",
        keys,
    )
    found = [Answer(*row) for row in rows]
    return {each.key: each for each in found}


async def save(db: Connection, answers: Sequence[Answer], now: datetime) -> None:
    """Write answers, sorted, each once."""
    await db.executemany(
        "insert into answer (cycle_id, partition, opening, partitions, answered_below, unanswered, at) "
        "values ($1, $2, $3, $4, $5, $6, $7) on conflict (cycle_id, partition) do update set "
        "opening = excluded.opening, partitions = excluded.partitions, "
        "answered_below = excluded.answered_below, unanswered = excluded.unanswered, at = excluded.at",
        [(*each, now) for each in answers],
    )


async def of_cycle(db: Connection, cycle_id: str) -> list[Answer]:
    """What eligibility said of one cycle."""
    return [Answer(*row) for row in await db.fetch(_ANSWERS + "where cycle_id = $1", cycle_id)]


async def read_below(db: Connection, topic: str) -> dict[int, int]:
    """The offset that is read next of each partition of a topic (as the broker names it)."""
    stands = await positions.read_all(db)
    return {place.partition: at.next_offset for place, at in stands.items() if place.topic == topic}
