"""The event log as Parquet files, from a real broker."""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest
from aiokafka import AIOKafkaProducer

from contracts import topics
from tests.broker import whole
from tonle.archiving import writing
from tonle.archiving.layout import ArchiveRefused
from tonle.stack.access import ADMIN, AUDITOR
from tonle.stack.supervisor import Stack

pytestmark = pytest.mark.stack
TOPIC = topics.HOUSEHOLD_EXITED.name


async def tell(stack: Stack, prefix: str, numbers: Sequence[int]) -> None:
    producer = AIOKafkaProducer(**stack.state.kafka.broker(ADMIN).options)
    await producer.start()
    for number in numbers:
        headers = [("ce_id", b"e-%d" % number), ("ce_sequence", b"%d" % number), ("ce_time", b"no time")]
        await producer.send(prefix + TOPIC, key=b"h-%d" % number, value=b"\xff%d" % number, headers=headers)
    await producer.stop()


async def archive(stack: Stack, prefix: str, folder: Path) -> int:
    broker = stack.state.kafka.broker(AUDITOR)
    return (await writing.write(folder, broker, prefix, [TOPIC]))[TOPIC]


async def test_an_archive_holds_each_record_once_however_often_it_is_written(
    stack: Stack, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "archive"
    monkeypatch.setattr(writing, "FILE_ROWS", 3)
    await tell(stack, topic_prefix, range(20))
    assert [await archive(stack, topic_prefix, folder) for _ in range(2)] == [20, 0]
    unfinished = folder / f"topic={TOPIC}" / "partition=0" / "next.new"
    unfinished.write_bytes(b"half a file")
    await tell(stack, topic_prefix, range(20, 25))
    assert await archive(stack, topic_prefix, folder) == 5
    read = f"""select partition, "offset", key, event_id, sequence, value, headers[1].value
        from '{folder}/**/*.parquet'"""
    rows = duckdb.connect().execute(read).fetchall()
    told = await whole(stack.state.kafka.broker(ADMIN), topic_prefix + TOPIC)
    assert sorted(rows) == sorted(
        (r.partition, r.offset, r.key.decode(), f"e-{n}", n, r.value, b"e-%d" % n)
        for r in told
        for n in [int(r.key[2:])]
    )
    assert not unfinished.exists()


async def test_an_archive_is_of_one_log_alone_and_has_no_gap(
    stack: Stack, topic_prefix: str, tmp_path: Path
) -> None:
    for _ in range(3):
        await tell(stack, topic_prefix, range(8))
        await archive(stack, topic_prefix, tmp_path)
    with pytest.raises(ArchiveRefused, match="archive of another log"):
        await archive(stack, "", tmp_path)
    _, second, third = sorted(tmp_path.rglob("partition=0/*.parquet"))
    taken_away = second.rename(tmp_path / "elsewhere")
    with pytest.raises(ArchiveRefused, match="not what comes after"):
        await archive(stack, topic_prefix, tmp_path)
    taken_away.rename(second.with_name(f"{second.name[:20]}-{'9' * 20}.parquet"))
    third.unlink()
    with pytest.raises(ArchiveRefused, match="ends at offset"):
        await archive(stack, topic_prefix, tmp_path)
