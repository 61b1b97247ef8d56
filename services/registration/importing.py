"""Import files, worked through as a job: one transaction a chunk, its cursor included, so that it resumes."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from asyncpg import DataError, IntegrityConstraintViolationError, ProgramLimitExceededError

from contracts import wire
from postbox import outbox
from postbox.message import Connection
from postbox.service import Service
from services.registration import admission, registering, store, store_imports
from services.registration.admission import New, Unchanged
from services.registration.cells import Flaw, SourceRow
from services.registration.columns import FileRefused
from services.registration.office import Office
from services.registration.quarantine import Examined, Judged, Refused, examined, refused
from services.registration.readers import open_table
from services.registration.registering import LANE_IMPORT, Act, Arrival
from services.registration.store_imports import Import, Tally

IMPORTING = "import"
"""The job's name; wake it when a file has been uploaded."""

UNKEEPABLE = (DataError, IntegrityConstraintViolationError, ProgramLimitExceededError, ValueError)
"""What the database or the wire says to a row that it will never take."""


@dataclass
class _Stream:
    """A file that is being read; `row_number` is the last row that was taken."""

    import_id: str
    row_number: int
    columns: tuple[str, ...]
    rows: Iterator[SourceRow]


class Importer:
    """The job `import`: takes the oldest open import and does one chunk of it at each run."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._stream: _Stream | None = None
        self._started = datetime.now(UTC).timestamp()
        self._tidied = False

    async def run(self, service: Service) -> bool:
        """Do one chunk. False when nothing is open, or the outbox is too full to go on."""
        async with service.db.acquire() as db:
            await self._tidy(db)
            run = await store_imports.next_import(db)
            if run is None:
                return False
            if await outbox.backlog(db) > self._office.outbox_messages_most // 2:
                return False
        try:
            chunk = await asyncio.to_thread(self._read, run)
        except FileRefused as error:
            return await self._end(service, run, error.reason, error.remedy)
        except FileNotFoundError:
            return await self._end(service, run, "the uploaded file is gone", "Upload it again.")
        if not chunk:
            return await self._end(service, run)
        await self._do(service, run, chunk)
        return True

    async def _do(self, service: Service, run: Import, chunk: Sequence[Examined]) -> None:
        """A chunk in one transaction; where a row can't be kept, row by row, so that it alone is refused."""
        try:
            await self._commit(service, run, chunk)
        except UNKEEPABLE:
            for each in chunk:
                try:
                    await self._commit(service, run, [each])
                except UNKEEPABLE as error:
                    await self._commit(service, run, [_unkept(each, error)])
                run = run._replace(row_number=each.number)

    async def _commit(self, service: Service, run: Import, chunk: Sequence[Examined]) -> None:
        async with service.db.acquire() as db, db.transaction():
            # Nothing is done where another process has done this chunk meanwhile.
            if not await store_imports.lock_import(db, run.import_id, run.row_number):
                return
            written = await self._save(db, service, run, chunk)
        await service.courier.bring(LANE_IMPORT, written)

    def _read(self, run: Import) -> list[Examined]:
        stream = self._stream
        if stream is None or (stream.import_id, stream.row_number) != (run.import_id, run.row_number):
            table = open_table(self._office.spool / run.import_id, run.format)
            stream = self._stream = _Stream(
                run.import_id, run.row_number, table.columns, table.rows_after(run.row_number)
            )
        rows = list(islice(stream.rows, self._office.chunk_rows))
        stream.row_number = rows[-1].number if rows else stream.row_number
        today = datetime.now(UTC).date()
        return [examined(row, stream.columns, self._office.gazetteer, today) for row in rows]

    async def _save(
        self, db: Connection, service: Service, run: Import, chunk: Sequence[Examined]
    ) -> outbox.Written:
        act = Act(run.caller, datetime.now(UTC), LANE_IMPORT, run.import_id)
        judged = await _judge(db, self._office, run, chunk)
        arrivals = [
            Arrival(answer.household_id, *each.candidate, _cause(service, run, each.number), each.number)
            for each, answer in judged
            if each.candidate is not None and isinstance(answer, New)
        ]
        written = await registering.register(db, self._office.master, arrivals, act)
        await _resolve(db, run, [each.household.reference for each in arrivals], judged, act)
        await store_imports.quarantine(db, run, await _refused(db, run, judged, act), act.at)
        outcomes = [each.outcome for each in judged]
        tally = Tally(*map(outcomes.count, ("registered", "quarantined", "duplicate", "unchanged")))
        await store_imports.advance(db, run.import_id, chunk[-1].number, tally, act.at)
        return written

    async def _end(
        self, service: Service, run: Import, error: str | None = None, remedy: str | None = None
    ) -> bool:
        at = datetime.now(UTC)
        async with service.db.acquire() as db:
            await store_imports.end_import(db, run.import_id, at, error=error, remedy=remedy)
        self._stream = None
        (self._office.spool / run.import_id).unlink(missing_ok=True)
        return True

    async def _tidy(self, db: Connection) -> None:
        """Once: delete uploads that an earlier process left and no open import needs."""
        if self._tidied:
            return
        still_open = await store_imports.open_imports(db)
        for path in self._office.spool.iterdir():
            if path.name not in still_open and path.stat().st_mtime < self._started:
                path.unlink(missing_ok=True)
        self._tidied = True


def _unkept(each: Examined, error: Exception) -> Examined:
    # The class alone: the text of an error may quote the row.
    flaw = Flaw("", "", f"can't be kept ({type(error).__name__})", "Tell the operator of this system.")
    return each._replace(candidate=None, flaws=(flaw,))


async def _judge(db: Connection, office: Office, run: Import, chunk: Sequence[Examined]) -> list[Judged]:
    candidates = [each.candidate for each in chunk if each.candidate is not None]
    households = [candidate.household for candidate in candidates]
    known, holders = await store.met(
        db,
        [household.reference for household in households],
        [claim for household in households for claim in household.claims],
    )
    answers = iter(
        admission.admit(
            candidates,
            known,
            holders,
            lambda commune: commune.startswith(run.area),
            run.import_id,
            id_of=office.household_id,
        )
    )
    return [Judged(each, next(answers) if each.candidate is not None else None) for each in chunk]


def _cause(service: Service, run: Import, row_number: int) -> wire.Cause:
    traceparent = service.tracing.mark("import row", service.new_traceparent())
    return wire.Cause(f"{run.import_id}:{row_number}", run.import_id, traceparent)


async def _resolve(
    db: Connection, run: Import, registered: Sequence[str], judged: Sequence[Judged], act: Act
) -> None:
    named = [
        int(text)
        for each in judged
        if (text := each.examined.row.get("quarantine_id", ""))
        and isinstance(each.answer, New | Unchanged)
        and text.isdecimal()
        and len(text) < 18
    ]
    if registered or named:
        await store_imports.resolve(
            db, references=registered, entries=named, caller=run.caller, area=run.area, at=act.at
        )


async def _refused(db: Connection, run: Import, judged: Sequence[Judged], act: Act) -> list[Refused]:
    found = [(each, each.case(run.area)) for each in judged if each.outcome in ("quarantined", "duplicate")]
    numbers = await store.open_cases(db, [case for _, case in found if case is not None], act.by, act.at)
    return [refused(each, numbers[case] if case is not None else None) for each, case in found]
