"""A history for the lab to look at: sample households, registered as registration does it, as an archive."""

import csv
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path

import asyncpg
from aiokafka.structs import ConsumerRecord

from contracts import topics, wire
from contracts.household import Channel
from postbox import migrate
from services.eligibility.app import MIGRATIONS
from services.registration import events
from services.registration.admission import Candidate
from services.registration.cells import SourceRow
from services.registration.events import Registration
from services.registration.gazetteer import load_gazetteer
from services.registration.household import Household, household_id_of
from services.registration.quarantine import examined
from services.registration.registering import fresh_person_ids
from tonle import generate
from tonle.archiving import layout
from tonle.archiving.layout import Origin
from tonle.archiving.writing import PartitionFile
from tonle.sample import COLUMNS, Sampler, Shares
from vault.master import MasterKey
from vault.sealing import Keys

AT = datetime(2023, 6, 1, tzinfo=UTC)
TODAY = date(2023, 6, 1)
AT_ONCE = 1_000
TRACE = "00-11111111111111111111111111111111-2222222222222222-00"
_KEYS = ("household_id", "key_id", "purpose", "state", "master_key_id", "wrapped")


@dataclass(frozen=True)
class Part:
    """One process's share: its own partition, seed and keys."""

    number: int
    households: int
    archive: Path
    keys: Path
    master_key_file: Path


def write(archive: Path, scratch: Path, households: int, processes: int, master_key_file: Path) -> None:
    """Write an archive of that many registrations, and `key_files` with their wrapped keys as rows of CSV."""
    archive.mkdir(parents=True)
    layout.write_whole(
        archive / "archive.json",
        Origin(layout=layout.LAYOUT, cluster="", prefix="").model_dump_json().encode(),
    )
    share, left = divmod(households, processes)
    parts = [
        Part(number, share + (number < left), archive, scratch / f"keys-{number}.csv", master_key_file)
        for number in range(processes)
    ]
    with ProcessPoolExecutor(processes) as running:
        list(running.map(_write_part, parts))


def key_files(scratch: Path) -> list[Path]:
    """What `write` left there."""
    return sorted(scratch.glob("keys-*.csv"))


async def keep_keys(database: str, scratch: Path) -> None:
    """Put the keys that `write` left in `scratch` where eligibility keeps its own, migrated for it."""
    db = await asyncpg.connect(database)
    try:
        await migrate.apply_all(db, MIGRATIONS)
        for file in key_files(scratch):
            await db.copy_to_table("household_key", source=file, columns=_KEYS, format="csv")
        await db.execute("analyze household_key")
    finally:
        await db.close()


def _write_part(part: Part) -> None:
    folder = layout.partition(part.archive, topics.HOUSEHOLD_REGISTERED.name, part.number)
    records = _records(part)
    with PartitionFile(folder) as file:
        while some := list(islice(records, AT_ONCE)):
            file.add(some)
        file.finish()


def households(seed: int, count: int) -> Iterator[Household]:
    """Sample households as registration takes them."""
    for candidate in _candidates(seed, count):
        yield candidate.household


def _candidates(seed: int, count: int) -> Iterator[Candidate]:
    sampler = Sampler(seed, generate.villages_by_province(), Shares(bad=0, duplicate=0))
    columns, gazetteer = tuple(COLUMNS), load_gazetteer()
    for number, cells in enumerate(sampler.rows(count), 1):
        found = examined(SourceRow(number, cells), columns, gazetteer, TODAY)
        assert found.candidate is not None, found.flaws
        yield found.candidate


def _records(part: Part) -> Iterator[ConsumerRecord]:
    master = MasterKey.from_file(part.master_key_file)
    with part.keys.open("w", newline="") as file:
        keys_kept = csv.writer(file)
        for offset, candidate in enumerate(_candidates(part.number + 1, part.households)):
            household = candidate.household
            household_id = household_id_of(master.keyed_hash, household.reference)
            keys = Keys({})
            (own,) = events.fresh_keys([household_id], master, keys)
            for key in own:
                wrapped = "\\x" + (key.wrapped or b"").hex()
                keys_kept.writerow(
                    (key.household_id, key.key_id, key.purpose, key.state, key.master_key_id, wrapped)
                )
            ids = fresh_person_ids(len(household.members))
            registration = Registration(
                household_id,
                household.reference,
                1,
                household.commune,
                household.area_type,
                household.level,
                candidate.content.hash,
                candidate.content.persons_of(ids),
                candidate.content.payee_of(ids[household.collector - 1]),
                own[0].key_id,
                own[1].key_id,
            )
            cause = wire.Cause("bench", "bench", TRACE)
            told = events.registered(registration, keys, by="", channel=Channel.FILE, at=AT, cause=cause)
            yield _as_read(part.number, offset, told)


def _as_read(partition: int, offset: int, record: wire.Record) -> ConsumerRecord:
    return ConsumerRecord(
        topic=record.topic,
        partition=partition,
        offset=offset,
        timestamp=int(AT.timestamp() * 1000),
        timestamp_type=0,
        key=record.key,
        value=record.value,
        checksum=None,
        serialized_key_size=len(record.key),
        serialized_value_size=len(record.value),
        headers=record.headers,
    )
