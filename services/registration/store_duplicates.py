"""All SQL about searches for duplicates that hide, the pairs they found, and what was decided about them."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from asyncpg import Record
from pydantic import TypeAdapter

from postbox.message import Connection
from services.registration.likeness import Likeness, Pair

_LIKENESS = TypeAdapter(Likeness)
_SEARCH = (
    "search_id, state, least_bits, caller, area, created_at, step, steps_total, persons, pairs_new, model,"
    " error, remedy, finished_at"
)


class Search(NamedTuple):
    """One search for duplicates in an area, and how far it is."""

    search_id: str
    state: str
    least_bits: float
    caller: str
    area: str
    created_at: datetime
    step: int = 0
    steps_total: int | None = None
    persons: int | None = None
    pairs_new: int = 0
    model: str | None = None
    error: str | None = None
    remedy: str | None = None
    finished_at: datetime | None = None


class Enrolled(NamedTuple):
    """A household as a search reads it; persons and payee are JSON in the clear."""

    household_id: str
    commune: str
    persons: str
    payee: str


class Found(NamedTuple):
    """A pair of households that look like one, where they are now, and what stands decided about them."""

    pair_id: int
    first_household_id: str
    later_household_id: str
    first_commune: str
    later_commune: str
    first_revision: int
    later_revision: int
    bits: float
    likeness: Likeness
    found_at: datetime
    decision: str | None


class Decision(NamedTuple):
    """What a person decided about a pair; `exited_household_id` where a household had to go for it."""

    decision: str
    decided_by: str
    at: datetime
    exited_household_id: str | None = None
    exit_revision: int | None = None


class Selection(NamedTuple):
    """Which pairs are meant: both households in an area, open or decided; `after` the page before's last."""

    area: str
    decided: bool
    after: int | None
    most: int


async def add_search(db: Connection, search: Search) -> None:
    """Write down a search that is waiting to begin."""
    await db.execute(
        "insert into duplicate_search (search_id, state, least_bits, caller, area, created_at)"
        " values ($1, $2, $3, $4, $5, $6)",
        *search[:6],
    )


async def next_search(db: Connection, area: str | None = None) -> Search | None:
    """The oldest search that has not ended, of an area or of any."""
    row = await db.fetchrow(
        f"select {_SEARCH} from duplicate_search where state in ('waiting', 'running')"  # noqa: S608  constants
        " and ($1::text is null or area = $1) order by created_at limit 1",
        area,
    )
    return Search(*row) if row else None


async def searches(db: Connection, area: str, most: int) -> list[Search]:
    """The latest searches within an area, the newest first."""
    rows = await db.fetch(
        f"select {_SEARCH} from duplicate_search where starts_with(area, $1)"  # noqa: S608  constants
        " order by created_at desc limit $2",
        area,
        most,
    )
    return [Search(*row) for row in rows]


async def find_search(db: Connection, search_id: str) -> Search | None:
    """One search."""
    row = await db.fetchrow(f"select {_SEARCH} from duplicate_search where search_id = $1", search_id)  # noqa: S608
    return Search(*row) if row else None


async def begin(db: Connection, search_id: str, persons: int, steps_total: int, model: str) -> None:
    """Everybody was gathered and the model learnt: the first step is done."""
    await db.execute(
        "update duplicate_search set state = 'running', step = 1, persons = $2, steps_total = $3, model = $4"
        " where search_id = $1",
        search_id,
        persons,
        steps_total,
        model,
    )


async def advance(db: Connection, search_id: str, step: int, pairs_new: int) -> None:
    """A further step is done, in the transaction that keeps its pairs."""
    await db.execute(
        "update duplicate_search set step = $2, pairs_new = pairs_new + $3 where search_id = $1",
        search_id,
        step,
        pairs_new,
    )


async def end(
    db: Connection, search_id: str, at: datetime, *, error: str | None = None, remedy: str | None = None
) -> None:
    """A search is done, or failed with a reason; the pairs it found stay."""
    await db.execute(
        "update duplicate_search set state = case when $3::text is null then 'finished' else 'failed' end,"
        " error = $3, remedy = $4, finished_at = $2 where search_id = $1",
        search_id,
        at,
        error,
        remedy,
    )


async def enrolled(db: Connection, area: str, after: str, most: int) -> list[Enrolled]:
    """A page of the registered households of an area, by id."""
    rows = await db.fetch(
        "select household_id, commune, persons, payee from household"
        " where state = 'registered' and starts_with(commune, $1) and household_id > $2"
        " order by household_id limit $3",
        area,
        after,
        most,
    )
    return [Enrolled(*row) for row in rows]


async def order(db: Connection, household_ids: Collection[str]) -> dict[str, int]:
    """The place of each household in the order in which they were registered."""
    rows = await db.fetch(
        "select household_id from every_change where household_id = any($1::text[]) and revision = 1"
        " order by at, import_id, row_number, household_id",
        sorted(household_ids),
    )
    return {row[0]: place for place, row in enumerate(rows)}


async def keep(db: Connection, search_id: str, pairs: Sequence[Pair], at: datetime) -> int:
    """Keep pairs, sorted; of one that is known only how alike it is changes. Gives how many are new."""
    rows = await db.fetch(
        """
        insert into duplicate_pair
            (first_household_id, later_household_id, bits, likeness, search_id, found_at)
        select t.*, $5, $6 from unnest($1::text[], $2::text[], $3::real[], $4::text[]) as t
        on conflict (first_household_id, later_household_id)
            do update set bits = excluded.bits, likeness = excluded.likeness
        returning search_id = $5 and found_at = $6
        """,
        [pair.first for pair in pairs],
        [pair.later for pair in pairs],
        [pair.likeness.bits for pair in pairs],
        [json.dumps(pair.likeness) for pair in pairs],
        search_id,
        at,
    )
    return sum(row[0] for row in rows)


async def pairs(db: Connection, which: Selection) -> list[Found]:
    """A page of pairs, the likest first; those with a household that is gone are open no more."""
    rows = await db.fetch(
        """
        select p.pair_id, p.first_household_id, p.later_household_id, first.commune, later.commune,
               first.revision, later.revision, p.bits, p.likeness, p.found_at, stands.decision
        from duplicate_pair p
        join household first on first.household_id = p.first_household_id
        join household later on later.household_id = p.later_household_id
        left join lateral (select nullif(decision, 'undone') as decision from duplicate_decision d
                           where d.pair_id = p.pair_id order by decision_id desc limit 1) stands on true
        where starts_with(first.commune, $1) and starts_with(later.commune, $1)
          and (stands.decision is not null) = $2
          and ($2 or (first.state = 'registered' and later.state = 'registered'))
          and ($3::bigint is null
               or (-p.bits, p.pair_id) > (select -bits, pair_id from duplicate_pair where pair_id = $3))
        order by -p.bits, p.pair_id limit $4
        """,
        *which,
    )
    return [_found(row) for row in rows]


async def find(db: Connection, pair_id: int) -> Found | None:
    """One pair."""
    row = await db.fetchrow(
        """
        select p.pair_id, p.first_household_id, p.later_household_id, first.commune, later.commune,
               first.revision, later.revision, p.bits, p.likeness, p.found_at,
               (select nullif(decision, 'undone') from duplicate_decision d
                where d.pair_id = p.pair_id order by decision_id desc limit 1)
        from duplicate_pair p
        join household first on first.household_id = p.first_household_id
        join household later on later.household_id = p.later_household_id
        where p.pair_id = $1
        """,
        pair_id,
    )
    return _found(row) if row else None


async def lock(db: Connection, pair_id: int) -> None:
    """Let this transaction alone decide about a pair."""
    await db.execute("select from duplicate_pair where pair_id = $1 for update", pair_id)


async def decisions(db: Connection, pair_id: int) -> list[Decision]:
    """All that was decided about a pair, oldest first."""
    rows = await db.fetch(
        "select decision, decided_by, at, exited_household_id, exit_revision from duplicate_decision"
        " where pair_id = $1 order by decision_id",
        pair_id,
    )
    return [Decision(*row) for row in rows]


async def decide(db: Connection, pair_id: int, decision: Decision) -> None:
    """Write a decision down."""
    await db.execute(
        "insert into duplicate_decision"
        " (pair_id, decision, decided_by, at, exited_household_id, exit_revision)"
        " values ($1, $2, $3, $4, $5, $6)",
        pair_id,
        *decision,
    )


def _found(row: Record) -> Found:
    return Found(*row)._replace(likeness=_LIKENESS.validate_json(row["likeness"]))
