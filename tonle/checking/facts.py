"""What one audit has read: one table of facts per source, in a scratch file, so that memory stays small."""

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

ROWS_AT_ONCE = 20_000
_TABLE = 'create table "{0}" (household text not null, key text not null, value text not null)'
_TOLD = """create table "{0} records" (
    household text not null, key text not null, value text not null,
    about text not null, event_id text not null, sequence integer not null, place integer not null)"""
# A republished event is no second event: of each id the first copy counts (SQLite takes min()'s own row).
_FIRST = """create table "{0}" as
    select household, key, value, about, event_id, sequence, min(place) as place
    from "{0} records" group by event_id, key"""
_LATEST = """create view "{0}, latest" as select household, key, value from "{0}" as told
    join (select about as latest_of, max(sequence) as top from "{0}" group by about)
    on about = latest_of and sequence = top"""


class Fact(NamedTuple):
    """One thing a record says: whose it is, what names it, and what others must agree on."""

    household: str
    key: str
    value: str = ""


class Told(NamedTuple):
    """A fact as an event told it. `about` is the aggregate whose versions `sequence` counts."""

    household: str
    key: str
    value: str
    about: str
    event_id: str
    sequence: int
    place: int


class Facts:
    """The scratch file: filled source by source, then asked. Use it as a context."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder`: where the scratch file may grow to about 200 bytes per fact; removed at the end."""
        self._folder = tempfile.TemporaryDirectory(prefix="check-", dir=folder)
        self._db = sqlite3.connect(Path(self._folder.name) / "facts.sqlite", isolation_level=None)
        self._db.executescript(
            "pragma journal_mode = off; pragma synchronous = off; pragma temp_store = file;"
            "pragma cache_size = -65536;"
        )
        self._sources: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._db.close()
        self._folder.cleanup()

    def keep(self, source: str, facts: Iterable[Fact]) -> int:
        """Add what a database or a simulator holds; returns how many facts."""
        self._declare(source, _TABLE)
        return self._insert(f'insert into "{source}" values (?, ?, ?)', facts)  # noqa: S608

    def hear(self, topic: str, told: Iterable[Told]) -> int:
        """Add what a topic says; call `heard` when all of it was added."""
        self._declare(topic, _TOLD)
        return self._insert(f'insert into "{topic} records" values (?, ?, ?, ?, ?, ?, ?)', told)  # noqa: S608

    def heard(self, topic: str) -> None:
        """The topic was read to its end: sources `<topic>` and `<topic>, latest` can be asked now."""
        self._declare(topic, _TOLD)
        self._db.execute(_FIRST.format(topic))
        self._db.execute(_LATEST.format(topic))

    def derive(self, source: str, query: str) -> None:
        """A source made of others."""
        self._db.execute(f'create view "{source}" as {query}')

    def ask(self, query: str) -> Iterator[tuple[object, ...]]:
        """Rows of a query over the sources, streamed."""
        return iter(self._db.execute(query))

    def count(self, source: str) -> int:
        """How many facts a source holds."""
        return int(self._db.execute(f'select count(*) from "{source}"').fetchone()[0])  # noqa: S608

    def _declare(self, source: str, table: str) -> None:
        if source not in self._sources:
            self._db.execute(table.format(source))
            self._sources.add(source)

    def _insert(self, statement: str, rows: Iterable[tuple[object, ...]]) -> int:
        added = 0
        rows = iter(rows)
        while batch := list(islice(rows, ROWS_AT_ONCE)):
            self._db.execute("begin")
            self._db.executemany(statement, batch)
            self._db.execute("commit")
            added += len(batch)
        return added
