"""From an archive's files to facts in columns: seals are opened as eligibility may, in several processes."""

import asyncio
import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

import asyncpg
import pyarrow.compute
import pyarrow.parquet

from contracts import topics
from contracts.household import AreaType, HouseholdExited, Level
from contracts.shock import ShockDeclared, ShockEnded
from contracts.topics import Topic
from contracts.wire import M, WireError, load
from services.eligibility import shocks
from services.eligibility.lab.columns import (
    EXITS,
    PERSONS,
    REVISIONS,
    SHOCKS,
    Columns,
    Everyone,
    Readable,
    Registered,
    Rows,
    batch,
    shock_rows,
)
from services.eligibility.scorecards import Scorecard
from vault import keyring
from vault.master import MasterKey
from vault.sealing import Keys, SealBroken

ROWS_AT_ONCE = 5_000
PHNOM_PENH_AHEAD = pyarrow.scalar(timedelta(hours=7))
_REVISIONS_A_FILE = 1 << 32
Told = tuple[str, date, Registered]
"""A registration's event id, its day, and what it says."""


@dataclass(frozen=True)
class Source:
    """Where facts come from and go to. `database` is eligibility's, for its keys, read-only."""

    archive: Path
    facts: Path
    database: str
    master_key_file: Path
    scorecard: Scorecard
    on: date
    processes: int


@dataclass(frozen=True)
class Extracted:
    """Events that were read, and how many were none."""

    events: int = 0
    not_events: int = 0


def extract(source: Source, told: Callable[[int], None]) -> Extracted:
    """Write everybody's facts below `source.facts`; memory is bounded by a few thousand households a process.

    `told` hears how many registrations were read by now.
    """
    for table in ("revision", "person", "exit", "shock"):
        (source.facts / table).mkdir(mode=0o700)
    files = registrations(source.archive)
    found = Extracted(not_events=_exits(source).not_events + _shocks(source).not_events)
    with ProcessPoolExecutor(source.processes, get_context("spawn")) as processes:
        tasks = [processes.submit(_file, source, number, path) for number, path in enumerate(files)]
        for task in as_completed(tasks):
            each = task.result()
            found = Extracted(found.events + each.events, found.not_events + each.not_events)
            told(found.events)
    return found


def registrations(archive: Path) -> list[Path]:
    """The archive's files of registrations, the largest first."""
    files = _files(archive, topics.HOUSEHOLD_REGISTERED.name)
    return sorted(files, key=lambda path: path.stat().st_size, reverse=True)


def count(files: Iterable[Path]) -> int:
    """How many records files hold."""
    return sum(pyarrow.parquet.read_metadata(path).num_rows for path in files)


def _files(archive: Path, topic: str) -> list[Path]:
    return sorted((archive / f"topic={topic}").glob("partition=*/*.parquet"))


def _exits(source: Source) -> Extracted:
    exits, bad = _said(source, topics.HOUSEHOLD_EXITED, HouseholdExited)
    _write(source, "exit", EXITS, [(said.household_id, said.revision, day) for day, said in exits])
    return Extracted(not_events=bad)


def _shocks(source: Source) -> Extracted:
    declared, bad = _said(source, topics.SHOCK_DECLARED, ShockDeclared)
    ended, bad_ends = _said(source, topics.SHOCK_ENDED, ShockEnded)
    found = {each.shock: shocks.as_declared(each) for _, each in declared}
    for _, each in ended:  # an end may come earlier later on, never later
        if before := found.get(each.shock):
            found[each.shock] = before.end(each.on) or before
    _write(source, "shock", SHOCKS, shock_rows(found.values()))
    return Extracted(not_events=bad + bad_ends)


def _said(source: Source, topic: Topic, kind: type[M]) -> tuple[list[tuple[date, M]], int]:
    """A small topic's events with their days, and how many records are none."""
    found, bad = [], 0
    for path in _files(source.archive, topic.name):
        for _, day, value in _records(path):
            try:
                found.append((day, load(kind, value)))
            except WireError:
                bad += 1
    return found, bad


def _write(source: Source, table: str, schema: pyarrow.Schema, rows: Sequence[tuple[object, ...]]) -> None:
    with pyarrow.parquet.ParquetWriter(source.facts / table / "all.parquet", schema) as file:
        if rows:
            file.write_batch(batch(schema, rows))


def _file(source: Source, number: int, path: Path) -> Extracted:
    gc.disable()  # nothing here refers to itself, and looking for what does took two thirds of the time
    return asyncio.run(_read(source, number, path))


async def _read(source: Source, number: int, path: Path) -> Extracted:
    master = MasterKey.from_file(source.master_key_file)
    columns = Columns(source.scorecard, source.on)
    events = bad = 0
    db = await asyncpg.connect(source.database)
    name = f"{number}.parquet"
    with (
        pyarrow.parquet.ParquetWriter(source.facts / "revision" / name, REVISIONS) as revisions,
        pyarrow.parquet.ParquetWriter(source.facts / "person" / name, PERSONS) as persons,
    ):
        for records in _chunks(path):
            said = list(_decoded(records))
            bad += len(records) - len(said)
            keys = await keyring.load(db, master, (each.persons.key_id for _, _, each in said))
            first = number * _REVISIONS_A_FILE + events
            rows = [_rows(columns, keys, at, each) for at, each in enumerate(said, first)]
            events += len(said)
            if rows:
                revisions.write_batch(batch(REVISIONS, [each.revision for each in rows]))
            if members := list(chain.from_iterable(each.persons for each in rows)):
                persons.write_batch(batch(PERSONS, members))
    await db.close()
    return Extracted(events, bad)


def _rows(columns: Columns, keys: Keys, at: int, told: Told) -> Rows:
    """A revision's facts, or why there are none."""
    event_id, on, said = told
    state = keys.state(said.persons.key_id)
    if state != "active":
        why = Readable.FORGOTTEN if state == "destroyed" else Readable.KEY_MISSING
        return columns.unread(at, said, on, why)
    if said.level is Level.UNRECOGNISED or said.area_type is AreaType.UNRECOGNISED:
        return columns.unread(at, said, on, Readable.BROKEN)
    event_type = topics.HOUSEHOLD_REGISTERED.name
    try:
        sealed = said.persons
        plain = keys.open(sealed.key_id, sealed.blob, event_id=event_id, event_type=event_type)
        return columns.read(at, said, on, load(Everyone, plain))
    except (SealBroken, WireError):
        return columns.unread(at, said, on, Readable.BROKEN)


Raw = tuple[str, date, bytes]
"""An event's id, its day in Phnom Penh, and its bytes."""


def _decoded(records: Iterable[Raw]) -> Iterator[Told]:
    for event_id, day, value in records:
        try:
            said = load(Registered, value)
        except WireError:
            continue
        yield event_id, day, said


def _chunks(path: Path) -> Iterator[Sequence[Raw]]:
    with pyarrow.parquet.ParquetFile(path) as file:
        for each in file.iter_batches(ROWS_AT_ONCE, columns=["event_id", "event_time", "value"]):
            ids, times, values = each.columns
            days = pyarrow.compute.add(times, PHNOM_PENH_AHEAD).cast(pyarrow.date32())
            yield [
                (event_id or "", day, value or b"")
                for event_id, day, value in zip(
                    ids.to_pylist(), days.to_pylist(), values.to_pylist(), strict=True
                )
                if day is not None
            ]


def _records(path: Path) -> Iterator[Raw]:
    return chain.from_iterable(_chunks(path))
