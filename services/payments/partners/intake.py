"""The job that takes partners' files: each is checked whole, then booked chunk by chunk."""

import asyncio
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from itertools import islice, pairwise
from pathlib import Path

from postbox import outbox
from postbox.service import Service
from services.payments import store_files
from services.payments.events import PHNOM_PENH
from services.payments.handlers import Office
from services.payments.partners import rows, statements
from services.payments.partners.iso20022 import camt, pain002
from services.payments.partners.iso20022.pain002 import Said
from services.payments.partners.iso20022.reading import PAIN_002, FileRefused, in_its_thread
from services.payments.store_files import File, Row, Tally

INTAKE = "intake"
"""The job's name; wake it when a file was loaded."""
CHUNK_ROWS = 2_000
LANE = "job:intake"
TWICE = "payment: named twice in this file"

Item = Said | camt.Statement | camt.Line


def mark(id: str) -> int:
    """An id in eight bytes."""
    return int.from_bytes(blake2b(id.encode(), digest_size=8).digest())


def twice(marks: "array[int]") -> frozenset[int]:
    """Which marks come more than once: a file of 700,000 rows is judged in some 30 MB, and kept in none."""
    return frozenset(one for one, following in pairwise(sorted(marks)) if one == following)


@dataclass
class _Stream:
    """A file that is being read; `done` items of it were taken."""

    file: File
    done: int
    items: Iterator[Item]
    named_twice: frozenset[int]
    ahead: "asyncio.Future[list[Item]] | None" = None


class Intake:
    """The job `intake`: takes the oldest open file and does one chunk of it at each run."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._folder = office.exchange.folder
        self._stream: _Stream | None = None

    async def run(self, service: Service) -> bool:
        """Do one chunk; False when no file is open."""
        async with service.db.acquire() as db:
            file = await store_files.next_file(db)
        if file is None:
            return False
        try:
            stream = await self._opened(service, file)
            chunk = await (stream.ahead or _ahead(stream))
        except FileRefused as error:
            await self._end(service, file, (error.reason, error.remedy))
        except FileNotFoundError:
            await self._end(service, file, ("the loaded file is gone", "Load it again."))
        else:
            if chunk:
                stream.ahead = _ahead(stream)  # the next rows are read while these are booked
                await self._do(service, stream, chunk)
            else:
                await self._end(service, file, None)
        return True

    async def _opened(self, service: Service, file: File) -> _Stream:
        """The file from where the job stands, after all of it was found valid."""
        stream = self._stream
        if stream is None or (*stream.file[:2], stream.done) != (*file[:2], file.rows_done):
            path = spooled(self._folder, *file[:2])
            total, named_twice = await in_its_thread(partial(_checked, path, file.message))
            items = await in_its_thread(partial(_from, path, file.message, file.rows_done))
            stream = self._stream = _Stream(file, file.rows_done, items, named_twice)
            async with service.db.acquire() as db:
                await store_files.count_rows(db, file, total)
        stream.file = file
        return stream

    async def _do(self, service: Service, stream: _Stream, chunk: Sequence[Item]) -> None:
        """A chunk in one transaction, the place where it ends included."""
        file, now = stream.file, datetime.now(UTC)
        async with service.db.acquire() as db, db.transaction():
            if not await store_files.lock_file(db, file):
                self._stream = None
                return
            numbered = list(enumerate(chunk, stream.done + 1))
            found = [
                _row(file, at, each, stream.named_twice) for at, each in numbered if isinstance(each, Said)
            ]
            moved = [(at, each) for at, each in numbered if not isinstance(each, Said)]
            kept, returned = await statements.keep(db, file, moved)
            tally, records = await rows.book(
                self._office, db, found + returned, now, service.new_traceparent()
            )
            written = await outbox.write(db, LANE, records)
            total = Tally(*map(sum, zip(kept, tally, strict=True)))
            await store_files.go_on(db, file, total)
        stream.done += len(chunk)
        service.courier.take([LANE], written)
        await service.courier.until_room()

    async def _end(self, service: Service, file: File, refused: tuple[str, str] | None) -> None:
        self._stream = None
        async with service.db.acquire() as db:
            await store_files.end(db, file, refused, datetime.now(UTC))
            await store_files.look_anew(db)
        spooled(self._folder, *file[:2]).unlink(missing_ok=True)


def spooled(folder: Path, partner: str, sha256: str) -> Path:
    """Where a loaded file waits."""
    return folder / "loaded" / f"{partner}-{sha256}.xml"


def _checked(path: Path, message: str) -> tuple[int, frozenset[int]]:
    """How many items a file holds, and marks of what it names twice; may raise `FileRefused`."""
    if message != PAIN_002:
        return camt.count(path, message), frozenset()
    marks, total = array("Q"), 0
    for total, said in enumerate(pain002.read(path), 1):  # noqa: B007 - the last number is the total
        if said.payment_id:
            marks.append(mark(said.payment_id))
    return total, twice(marks)


def _items(path: Path, message: str) -> Iterator[Item]:
    return pain002.read(path) if message == PAIN_002 else camt.read(path, message)


def _from(path: Path, message: str, done: int) -> Iterator[Item]:
    return islice(_items(path, message), done, None)


def _ahead(stream: _Stream) -> "asyncio.Future[list[Item]]":
    return asyncio.ensure_future(in_its_thread(partial(_take, stream)))


def _take(stream: _Stream) -> list[Item]:
    return list(islice(stream.items, CHUNK_ROWS))


def _row(file: File, number: int, said: Said, named_twice: frozenset[int]) -> Row:
    why = said.flaw or (TWICE if mark(said.payment_id or "") in named_twice else "")
    return Row(
        partner=file.partner,
        sha256=file.sha256,
        position=number,
        payment_id=said.payment_id,
        status=said.status,
        amount=said.amount,
        reference=said.reference,
        reason_code=said.reason,
        occurred_at=_instant(said.occurred_at),
        why=why,
        flawed=bool(why),
    )


def _instant(at: datetime | None) -> datetime | None:
    """A time without an offset is Phnom Penh's."""
    return at if at is None or at.tzinfo else at.replace(tzinfo=PHNOM_PENH)
