"""The HTTP interface of the single window: files of households, and the rows they left in quarantine."""

import asyncio
import csv
import hashlib
import io
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, NamedTuple
from uuid import uuid4

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, StringConstraints

from postbox.callers import Caller, allowed
from postbox.problems import Problem
from services.registration import store_imports
from services.registration.api import office_of, refuse_when_full, service_of
from services.registration.columns import FileRefused
from services.registration.importing import IMPORTING
from services.registration.quarantine import export_columns, export_row
from services.registration.readers import format_of, open_table
from services.registration.store_imports import Entry, Import, Selection, Upload

router = APIRouter(tags=["imports"])
Importing = Annotated[Caller, Depends(allowed("household.import"))]
Outcome = Literal["quarantined", "duplicate"]
ImportId = Annotated[str, StringConstraints(max_length=64, pattern=r"^[a-z0-9]+$")]
PAGE_ROWS = 500


class Page(BaseModel):
    """Which entries of quarantine; `after` is the last number of the page before."""

    import_id: ImportId | None = None
    outcome: Outcome | None = None
    resolved: bool = False
    after: Annotated[int, Field(ge=0)] = 0
    most: Annotated[int, Field(ge=1, le=1000)] = 100


class _Spooled(NamedTuple):
    size_bytes: int
    sha256: str
    lines: int
    start: bytes


@router.post("/imports", status_code=202)
@router.post("/quarantine/resubmit", status_code=202)
async def upload(request: Request, caller: Importing) -> dict[str, object]:
    """Upload a file as the request's body; its name stands in Content-Disposition. It is imported as a job.

    A corrected quarantine export comes the same way: entries whose rows are registered now are resolved.
    """
    service, office = service_of(request), office_of(request)
    await refuse_when_full(service, office)
    name = _file_name(request.headers.get("content-disposition", ""))
    import_id = uuid4().hex
    path = office.spool / import_id
    try:
        spooled = await _spool(request, path, office.upload_bytes_most)
        kind = format_of(name, spooled.start)
        table = await asyncio.to_thread(open_table, path, kind)
        new = Upload(
            import_id=import_id,
            file_name=name,
            format=kind,
            size_bytes=spooled.size_bytes,
            sha256=spooled.sha256,
            columns=list(table.columns),
            rows_total=table.rows_total if kind != "csv" else max(spooled.lines - 1, 0),
            caller=caller.name,
            area=caller.area,
            created_at=datetime.now(UTC),
        )
        async with service.db.acquire() as db:
            await store_imports.add_import(db, new)
    except FileRefused as error:
        path.unlink(missing_ok=True)
        raise Problem(422, "The file can't be imported", f"{error.reason}. {error.remedy}") from None
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    service.wake(IMPORTING)
    return {"import_id": import_id, "state": "waiting", "rows_total": new.rows_total}


@router.get("/imports")
async def list_imports(
    request: Request, caller: Importing, most: Annotated[int, Query(ge=1, le=500)] = 50
) -> list[dict[str, object]]:
    """The latest imports, the newest first."""
    async with service_of(request).db.acquire() as db:
        return [_shown(run) for run in await store_imports.imports(db, caller.name, caller.area, most)]


@router.get("/imports/{import_id}")
async def show_import(request: Request, import_id: ImportId, caller: Importing) -> dict[str, object]:
    """How far an import is; the outcomes add up to `rows_done`."""
    async with service_of(request).db.acquire() as db:
        run = await store_imports.find_import(db, import_id)
    if run is None or not (run.caller == caller.name or run.area.startswith(caller.area)):
        raise Problem(404, "No such import", "List the imports to find its id.")
    return _shown(run)


@router.get("/quarantine")
async def list_quarantine(
    request: Request, caller: Importing, page: Annotated[Page, Query()]
) -> list[dict[str, object]]:
    """A page of rows that were not registered: why, and what to do."""
    which = Selection(caller.name, caller.area, page.import_id, page.outcome, page.resolved)
    async with service_of(request).db.acquire() as db:
        found = await store_imports.entries(db, which, page.after, page.most)
    return [{**entry._asdict(), "flaws": [flaw._asdict() for flaw in entry.flaws]} for entry in found]


@router.get(
    "/quarantine/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def export_quarantine(
    request: Request, caller: Importing, import_id: ImportId | None = None, outcome: Outcome | None = None
) -> StreamingResponse:
    """The open rows as a CSV file: the columns as they were, and what is wrong. Correct and resubmit it."""
    service = service_of(request)
    which = Selection(caller.name, caller.area, import_id, outcome)

    async def pages() -> AsyncIterator[list[Entry]]:
        after = 0
        while True:
            async with service.db.acquire() as db:
                page = await store_imports.entries(db, which, after, PAGE_ROWS)
            if not page:
                return
            yield page
            after = page[-1].quarantine_id

    async with service.db.acquire() as db:
        columns = export_columns(await store_imports.columns_used(db, which))
    return StreamingResponse(
        _csv(columns, pages()),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="quarantine.csv"'},
    )


async def _csv(columns: list[str], pages: AsyncIterator[list[Entry]]) -> AsyncIterator[bytes]:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="")
    # With a BOM, so that spreadsheet programs read Khmer as UTF-8.
    buffer.write("\ufeff")
    writer.writeheader()
    async for page in pages:
        for entry in page:
            writer.writerow(export_row(entry.original, entry.quarantine_id, entry.row_number, entry.flaws))
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue().encode()


async def _spool(request: Request, path: Path, most: int) -> _Spooled:
    digest, size, lines, start = hashlib.sha256(), 0, 0, b""
    with await asyncio.to_thread(_private_file, path) as file:
        async for part in request.stream():
            size += len(part)
            if size > most:
                raise Problem(413, "The file is too large", f"Split it: at most {most:,} bytes at a time.")
            digest.update(part)
            lines += part.count(b"\n")
            start = start or part[:16]
            await asyncio.to_thread(file.write, part)
        await asyncio.to_thread(_sync, file)
    return _Spooled(size, digest.hexdigest(), lines, start)


def _private_file(path: Path) -> BinaryIO:
    # The file holds persons in the clear: nobody but this service may read it.
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _file_name(disposition: str) -> str:
    header = Message()
    header["Content-Disposition"] = disposition
    name = header.get_filename("")
    if not name:
        raise Problem(
            422, "The file has no name", 'Send Content-Disposition: attachment; filename="households.csv".'
        )
    return Path(name.replace("\\", "/")).name[:200]


def _shown(run: Import) -> dict[str, object]:
    return {
        name: value for name, value in run._asdict().items() if name not in ("columns", "row_number", "area")
    }
