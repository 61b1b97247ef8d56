"""The job that takes partners' files: each is checked whole, then booked chunk by chunk."""

import asyncio
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import NamedTuple

from contracts.payment import ReportStatus
from postbox import outbox
from postbox.message import Connection
from postbox.service import Service
from services.payments import store_files, store_outgoing
from services.payments.events import PHNOM_PENH
from services.payments.handlers import Office
from services.payments.partners import rows, statements
from services.payments.partners.iso20022 import camt, pain002
from services.payments.partners.iso20022.pain002 import Said, Whole
from services.payments.partners.iso20022.reading import PAIN_002, FileRefused, in_its_thread
from services.payments.store_files import File, Row, Tally

INTAKE = "intake"
"""The job's name; wake it when a file was loaded."""
CHUNK_ROWS = 2_000
LANE = "job:intake"
TWICE = "payment: named twice in this file"
NO_FILE = "file: no such file of ours"
ENDS = frozenset({ReportStatus.FAILED, ReportStatus.CANCELLED})
"""How a pain.002 says that a payment is over."""

Item = Said | camt.Statement | camt.Line


def mark(id: str) -> int:
    """An id in eight bytes, whether a bank wrote it with its hyphens or without."""
    return int.from_bytes(blake2b(id.replace("-", "").encode(), digest_size=8).digest())


class Checked(NamedTuple):
    """A file that is valid: how many rows it has, sorted marks of what it names, its words on whole files.

    So 700,000 rows are judged in some 30 MB, and kept in none.
    """

    rows: int
    named: "array[int]"
    wholes: Sequence[Whole]

    def names(self, id: str) -> bool:
        """Whether a row is about this payment."""
        one = mark(id)
        at = bisect_left(self.named, one)
        return at < len(self.named) and self.named[at] == one

    @property
    def twice(self) -> frozenset[int]:
        """Marks of what is named more than once."""
        return frozenset(one for one, following in pairwise(self.named) if one == following)


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
            checked = await in_its_thread(partial(_checked, path, file.message))
            async with service.db.acquire() as db:
                said = await spread(db, file.partner, checked)
                await store_files.count_rows(db, file, checked.rows + len(said))
            items = await in_its_thread(partial(_from, path, file, said))
            stream = self._stream = _Stream(file, file.rows_done, items, checked.twice)
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
            said = [(at, each) for at, each in numbered if isinstance(each, Said)]
            asked = await _answered(db, file, [each for _, each in said])
            found = [_row(file, at, each, stream.named_twice) for at, each in said]
            moved = [(at, each) for at, each in numbered if not isinstance(each, Said)]
            kept, returned = await statements.keep(db, file, moved)
            tally, records = await rows.book(
                *(self._office, db, found + returned, now, service.new_traceparent()),
                answers=asked,
                final=[each.payment_id for each in returned if each.payment_id],
            )
            written = await outbox.write(db, LANE, records)
            total = Tally(*map(sum, zip(kept, tally, strict=True)))
            await store_files.go_on(db, file, total)
        stream.done += len(chunk)
        await service.courier.bring(LANE, written)

    async def _end(self, service: Service, file: File, refused: tuple[str, str] | None) -> None:
        self._stream = None
        async with service.db.acquire() as db:
            await store_files.end(db, file, refused, datetime.now(UTC))
            await store_files.look_anew(db)
        spooled(self._folder, *file[:2]).unlink(missing_ok=True)


def spooled(folder: Path, partner: str, sha256: str) -> Path:
    """Where a loaded file waits."""
    return folder / "loaded" / f"{partner}-{sha256}.xml"


def _checked(path: Path, message: str) -> Checked:
    """What has to be known of a file before a row of it is booked; may raise `FileRefused`."""
    if message != PAIN_002:
        return Checked(camt.count(path, message), array("Q"), ())
    marks, total = array("Q"), 0
    wholes: list[Whole] = []
    for each in pain002.named(path):
        if isinstance(each, Whole):
            wholes.append(each)
            continue
        total += 1
        if each:
            marks.append(mark(each))
    return Checked(total, array("Q", sorted(marks)), wholes)


async def spread(db: Connection, partner: str, checked: Checked) -> list[Said]:
    """A bank's words on whole files of ours, as rows about each payment in them that has none of its own."""
    found = []
    for whole in checked.wholes:
        ordered = await store_outgoing.ordered_in(db, partner, whole.message_id)
        about = _about(whole, None, NO_FILE if not ordered else whole.flaw)
        if about.flaw:
            found.append(about)
        else:
            found += [_about(whole, each, None) for each in ordered if not checked.names(each)]
    return found


def _about(whole: Whole, payment_id: str | None, flaw: str | None) -> Said:
    return Said(
        payment_id, whole.status, None, None, whole.reason, whole.occurred_at, flaw, whole.occurred_at
    )


def _from(path: Path, file: File, said: Sequence[Said]) -> Iterator[Item]:
    """The rows of a file from where the job stands, those of its words on whole files at the end."""
    reports = file.message == PAIN_002
    rows: Iterator[Item] = (
        pain002.rows(path, checked=True) if reports else camt.read(path, file.message, checked=True)
    )
    return islice(chain(rows, said), file.rows_done, None)


def _ahead(stream: _Stream) -> "asyncio.Future[list[Item]]":
    return asyncio.ensure_future(in_its_thread(partial(_take, stream)))


def _take(stream: _Stream) -> list[Item]:
    return list(islice(stream.items, CHUNK_ROWS))


async def _answered(db: Connection, file: File, said: Sequence[Said]) -> dict[str, str]:
    """By payment the question of ours that a bank's file answers: one told before the file was written."""
    ended = {each.payment_id: each.said_at for each in said if each.payment_id and each.status in ENDS}
    written = next((_instant(at) for at in ended.values() if at), None)
    return await store_outgoing.asked_before(db, file.partner, [*ended], written) if written else {}


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
