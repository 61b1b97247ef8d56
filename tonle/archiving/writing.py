"""From topics to Parquet files, from where the archive ends to where the log ends now."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow
import pyarrow.parquet
from aiokafka import ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient

from postbox.broker import Broker
from tonle.archiving import layout
from tonle.archiving.layout import LAYOUT, SCHEMA, UNFINISHED, ArchiveRefused, Origin
from tonle.checking import told

FILE_ROWS = 50_000
Told = Callable[[str, int], None]
"""Called with a topic and how many of its records were archived by now."""


async def write(
    folder: Path, kafka: Broker, prefix: str, topics: Sequence[str], say: Told = lambda *_: None
) -> dict[str, int]:
    """Add to an archive what the topics hold beyond it; gives how many records, by topic.

    Can be stopped anywhere: what is finished is kept, and the next call goes on after it. Memory is bounded
    by one row group a partition. Raises `ArchiveRefused`.
    """
    added = {}
    with layout.claimed(folder, Origin(layout=LAYOUT, cluster=await _cluster(kafka), prefix=prefix)):
        for topic in topics:
            added[topic] = await _topic(folder, kafka, prefix, topic, say)
    return added


async def _topic(folder: Path, kafka: Broker, prefix: str, topic: str, say: Told) -> int:
    done = 0
    begins = {
        int(path.name.partition("=")[2]): layout.next_offset(path)
        for path in (folder / f"topic={topic}").glob("partition=*")
    }
    with ExitStack() as open_files:
        files: dict[int, PartitionFile] = {}
        try:
            async for records in told.whole(kafka, prefix + topic, begins):
                for number, batch in _by_partition(records).items():
                    if number not in files:
                        place = layout.partition(folder, topic, number)
                        files[number] = open_files.enter_context(PartitionFile(place))
                    files[number].add(batch)
                done += len(records)
                say(topic, done)
        except told.LogShorter as error:
            raise ArchiveRefused(
                f"{prefix}{topic} ends at offset {error.end}, and its archive goes on to {error.begin}.",
                "If the broker lost records, run `tonle recover` first; else name another folder.",
            ) from None
        for each in files.values():
            each.finish()
    return done


class PartitionFile:
    """A partition's next file: written as records come, named when it is whole. Use it as a context."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._draft = folder / f"next{UNFINISHED}"
        self._writer: pyarrow.parquet.ParquetWriter | None = None
        self._first = self._last = self._rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._writer is not None:
            self._writer.close()
            self._draft.unlink(missing_ok=True)

    def add(self, records: Sequence[ConsumerRecord]) -> None:
        if self._writer is None:
            self._writer = pyarrow.parquet.ParquetWriter(self._draft, SCHEMA, compression="zstd")
            self._first, self._rows = records[0].offset, 0
        self._writer.write_batch(pyarrow.RecordBatch.from_pylist([_row(each) for each in records], SCHEMA))
        self._last = records[-1].offset
        self._rows += len(records)
        if self._rows >= FILE_ROWS:
            self.finish()

    def finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            layout.finish(self._draft, self._folder / layout.name(self._first, self._last))


def _by_partition(records: Sequence[ConsumerRecord]) -> dict[int, list[ConsumerRecord]]:
    found: dict[int, list[ConsumerRecord]] = {}
    for record in records:
        found.setdefault(record.partition, []).append(record)
    return found


def _row(record: ConsumerRecord) -> dict[str, object]:
    """A record's columns; `headers` and `value` are its bytes as they came, whatever they hold."""
    headers = dict(record.headers)
    return {
        "offset": record.offset,
        "time": datetime.fromtimestamp(record.timestamp / 1000, UTC),
        "key": _text(record.key),
        "event_id": _text(headers.get("ce_id")),
        "event_time": _time(headers.get("ce_time")),
        "sequence": _number(headers.get("ce_sequence")),
        "headers": [{"name": name, "value": value} for name, value in record.headers],
        "value": record.value,
    }


def _text(value: bytes | None) -> str | None:
    return value.decode(errors="replace") if value is not None else None


def _number(value: bytes | None) -> int | None:
    return int(value) if value is not None and value.isdigit() and len(value) < 19 else None


def _time(value: bytes | None) -> datetime | None:
    try:
        time = datetime.fromisoformat(_text(value) or "")
    except ValueError:
        return None
    return time if time.tzinfo else None


async def _cluster(kafka: Broker) -> str:
    admin = AIOKafkaAdminClient(**kafka.options)
    await admin.start()
    try:
        return str((await admin.describe_cluster())["cluster_id"])
    finally:
        await admin.close()
