"""How an archive lies in its folder, so that any engine that reads Parquet finds its way. `docs/archive.md`.

`topic=<name>/partition=<n>/<first offset>-<last offset>.parquet`, and `archive.json` beside the topics.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow
from pydantic import BaseModel, ValidationError

LAYOUT = 1
UNFINISHED = ".new"
_COLUMNS: dict[str, pyarrow.DataType] = {
    "offset": pyarrow.int64(),
    "time": pyarrow.timestamp("ms", tz="UTC"),
    "key": pyarrow.string(),
    "event_id": pyarrow.string(),
    "event_time": pyarrow.timestamp("us", tz="UTC"),
    "sequence": pyarrow.int64(),
    "headers": pyarrow.list_(
        pyarrow.struct([pyarrow.field("name", pyarrow.string()), pyarrow.field("value", pyarrow.binary())])
    ),
    "value": pyarrow.binary(),
}
SCHEMA = pyarrow.schema(_COLUMNS)
_FILE = re.compile(r"(\d{20})-(\d{20})\.parquet")


class ArchiveRefused(Exception):
    """An archive that can't be used: what is wrong, and what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


class Origin(BaseModel):
    """`archive.json`: the version of the layout, and the log that this is an archive of."""

    layout: int
    cluster: str
    prefix: str


def partition(folder: Path, topic: str, number: int) -> Path:
    """Where a partition's files are; `topic` is without a prefix."""
    return folder / f"topic={topic}" / f"partition={number}"


def name(first: int, last: int) -> str:
    """A file's name, by its first and last offset: sorted by name is sorted by offset."""
    return f"{first:020}-{last:020}.parquet"


def next_offset(folder: Path) -> int:
    """The first offset that a partition's folder lacks. Raises `ArchiveRefused` where a file is missing."""
    wanted = 0
    for path in sorted(folder.glob("*.parquet")):
        found = _FILE.fullmatch(path.name)
        if found is None or (wanted and int(found[1]) != wanted):
            raise ArchiveRefused(
                f"{path} is not what comes after offset {wanted - 1}.",
                "Put the missing file back, or remove the files after it: they are written again.",
            )
        wanted = int(found[2]) + 1
    return wanted


def origin(folder: Path) -> Origin | None:
    """What the folder is an archive of; None where nothing is written yet. Raises `ArchiveRefused`."""
    try:
        return Origin.model_validate_json((folder / "archive.json").read_text())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ArchiveRefused(f"{folder / 'archive.json'} can't be read.", "Name another folder.") from error


@contextmanager
def claimed(folder: Path, mine: Origin) -> Iterator[None]:
    """The folder for one writer, made where it is not there. Raises `ArchiveRefused` for another log's."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ArchiveRefused(
                f"Another command is writing to {folder}.", "Wait until it has ended."
            ) from None
        found = origin(folder)
        if found is None:
            write_whole(folder / "archive.json", mine.model_dump_json(indent=1).encode())
        elif found != mine:
            raise ArchiveRefused(
                f"{folder} is the archive of another log, or of another version.", "Name another folder."
            )
        for unfinished in folder.rglob(f"*{UNFINISHED}"):
            unfinished.unlink()
        yield


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole, or not at all."""
    draft = path.with_name(path.name + UNFINISHED)
    draft.write_bytes(content)
    finish(draft, path)


def finish(draft: Path, path: Path) -> None:
    """Give a file its name once all of it is on the disk."""
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(path)
