"""From an archive's files to facts in columns: seals are opened as eligibility may, in several processes."""

import asyncio
import gc
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import asyncpg
import pyarrow.compute
import pyarrow.parquet

from contracts import topics
from contracts.condition import ConditionKind, ConditionReport, ConditionReported
from contracts.household import AreaType, HouseholdExited, Level
from contracts.sealed import Sealed
from contracts.shock import ShockDeclared, ShockEnded
from contracts.topics import Topic
from contracts.wire import M, WireError, load
from services.eligibility import shocks
from services.eligibility.answers import Home
from services.eligibility.lab.columns import (
    EXITS,
    PERSONS,
    REPORTS,
    REVISIONS,
    SHOCKS,
    Columns,
    Readable,
    Registered,
    Rows,
    batch,
    reported,
    shock_rows,
)
from services.eligibility.lab.store import TABLES
from services.eligibility.scorecards import Scorecard
from services.eligibility.structs import read
from vault import keyring
from vault.master import MasterKey
from vault.sealing import Keys, SealBroken

T = TypeVar("T")
ROWS_AT_ONCE = 5_000
PHNOM_PENH_AHEAD = pyarrow.scalar(timedelta(hours=7))
_REVISIONS_A_FILE = 1 << 32


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
    """Registrations, condition reports by whether they could be read, and records that were neither."""

    registrations: int = 0
    reports: Counter[Readable] = field(default_factory=Counter)
    not_events: int = 0

    @property
    def events(self) -> int:
        """How many events were looked at."""
        return self.registrations + self.reports.total()

    def and_(self, more: "Extracted") -> "Extracted":
        """Both together."""
        return Extracted(
            self.registrations + more.registrations,
            self.reports + more.reports,
            self.not_events + more.not_events,
        )


Read = Callable[[Source, int, Path], Awaitable[Extracted]]
"""Reads a file of the archive, and writes its facts in files of that number."""


def extract(source: Source, told: Callable[[int], None]) -> Extracted:
    """Write everybody's facts below `source.facts`; memory is bounded by a few thousand households a process.

    `told` hears how many registrations and condition reports were read by now.
    """
    for table in TABLES:
        (source.facts / table).mkdir(mode=0o700)
    found = _exits(source).and_(_shocks(source))
    _write(source, "report", REPORTS, [])
    files = [(_registrations, path) for path in registrations(source.archive)]
    files += [(_reports, path) for path in reports(source.archive)]
    with ProcessPoolExecutor(source.processes, get_context("spawn")) as processes:
        tasks = [processes.submit(_file, read, source, at, path) for at, (read, path) in enumerate(files)]
        for task in as_completed(tasks):
            found = found.and_(task.result())
            told(found.events)
    return found


def registrations(archive: Path) -> list[Path]:
    """The archive's files of registrations, the largest first."""
    return _files(archive, topics.HOUSEHOLD_REGISTERED.name)


def reports(archive: Path) -> list[Path]:
    """The archive's files of condition reports, the largest first."""
    return _files(archive, topics.CONDITION_REPORTED.name)


def count(files: Iterable[Path]) -> int:
    """How many records files hold."""
    return sum(pyarrow.parquet.read_metadata(path).num_rows for path in files)


def _files(archive: Path, topic: str) -> list[Path]:
    files = (archive / f"topic={topic}").glob("partition=*/*.parquet")
    return sorted(files, key=lambda path: path.stat().st_size, reverse=True)


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


def _file(read: Read, source: Source, number: int, path: Path) -> Extracted:
    gc.disable()  # nothing here refers to itself, and looking for what does took two thirds of the time
    return asyncio.run(_whole(read(source, number, path)))


async def _whole(reading: Awaitable[Extracted]) -> Extracted:
    return await reading


async def _registrations(source: Source, number: int, path: Path) -> Extracted:
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
            said = list(_decoded(Registered, records))
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
    return Extracted(events, not_events=bad)


async def _reports(source: Source, number: int, path: Path) -> Extracted:
    master = MasterKey.from_file(source.master_key_file)
    found, bad = Counter[Readable](), 0
    db = await asyncpg.connect(source.database)
    with pyarrow.parquet.ParquetWriter(source.facts / "report" / f"{number}.parquet", REPORTS) as file:
        for records in _chunks(path):
            said = list(_decoded(ConditionReported, records))
            bad += len(records) - len(said)
            keys = await keyring.load(db, master, (each.report.key_id for _, _, each in said))
            rows = [_report(keys, event_id, each) for event_id, _, each in said]
            found.update(each if isinstance(each, Readable) else Readable.READ for each in rows)
            if read := [each for each in rows if not isinstance(each, Readable)]:
                file.write_batch(batch(REPORTS, read))
    await db.close()
    return Extracted(reports=found, not_events=bad)


def _report(keys: Keys, event_id: str, said: ConditionReported) -> tuple[object, ...] | Readable:
    """A report's row, or why there is none; of a kind that is unknown there is none, as in the stream."""
    reads = partial(load, ConditionReport)
    opened = _opened(keys, said.report, event_id, topics.CONDITION_REPORTED.name, reads)
    if isinstance(opened, Readable):
        return opened
    if opened.kind is ConditionKind.UNRECOGNISED:
        return Readable.BROKEN
    return reported(said.household_id, said.number, opened)


def _rows(columns: Columns, keys: Keys, at: int, told: tuple[str, date, Registered]) -> Rows:
    """A revision's facts, or why there are none."""
    event_id, on, said = told
    everyone = _opened(keys, said.persons, event_id, topics.HOUSEHOLD_REGISTERED.name, partial(read, Home))
    if isinstance(everyone, Readable):
        return columns.unread(at, said, on, everyone)
    if said.level is Level.UNRECOGNISED or said.area_type is AreaType.UNRECOGNISED:
        return columns.unread(at, said, on, Readable.BROKEN)
    return columns.read(at, said, on, everyone)


def _opened(
    keys: Keys, sealed: Sealed, event_id: str, event_type: str, reads: Callable[[bytes], T]
) -> T | Readable:
    """What was sealed, or why it can't be read."""
    state = keys.state(sealed.key_id)
    if state != "active":
        return Readable.FORGOTTEN if state == "destroyed" else Readable.KEY_MISSING
    try:
        return reads(keys.open(sealed.key_id, sealed.blob, event_id=event_id, event_type=event_type))
    except (SealBroken, WireError):
        return Readable.BROKEN


Raw = tuple[str, date, bytes]
"""An event's id, its day in Phnom Penh, and its bytes."""


def _decoded(contract: type[M], records: Iterable[Raw]) -> Iterator[tuple[str, date, M]]:
    """Of each that can be read its event id, its day, and what it says."""
    for event_id, day, value in records:
        try:
            said = load(contract, value)
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
