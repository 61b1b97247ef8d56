"""Partners over HTTP: how each is talked to, files in and out, and rows that could not be booked."""

import asyncio
import hashlib
import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO, cast
from uuid import uuid4

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from postbox import outbox
from postbox.callers import Caller, allowed
from postbox.problems import Problem
from postbox.service import Service
from services.payments import store_files, store_outgoing
from services.payments.handlers import Office
from services.payments.partners import calls, intake, orders, rows
from services.payments.partners.iso20022 import reading
from services.payments.partners.iso20022.reading import FileRefused
from services.payments.partners.options import FilePartner
from services.payments.store_files import Loaded

FILE_BYTES_MOST = 2 * 1024**3
UNREADABLE = "unreadable"
"""The message of a file that is none we know."""
router = APIRouter(tags=["partners"])
Reader = Annotated[Caller, Depends(allowed("read"))]
Loader = Annotated[Caller, Depends(allowed("partner.load"))]
Most = Annotated[int, Query(ge=1, le=1000)]


class Page(BaseModel):
    """Which rows that were set aside; the next page begins after the last of this one."""

    partner: str | None = None
    after_partner: str = ""
    after_file: str = ""
    after_position: Annotated[int, Field(ge=0)] = 0
    most: Annotated[int, Field(ge=1, le=1000)] = 100


class Why(BaseModel):
    """A reason, which must be given."""

    reason: Annotated[str, Field(min_length=1, max_length=400)]


class Closing(BaseModel):
    """A row that needs nobody any more, and why."""

    partner: str
    file: str
    position: int
    reason: Annotated[str, Field(min_length=1, max_length=400)]


@router.get("/partners")
async def list_partners(request: Request, _: Reader) -> list[dict[str, object]]:
    """Every partner, how it is talked to, and how many instructions wait to be told."""
    office = office_of(request)
    async with service_of(request).db.acquire() as db:
        waiting = await store_outgoing.waiting(db)
        paused = await store_outgoing.pauses(db)
    return [
        {
            "partner": name,
            "kind": _kind(office, name),
            "waiting": waiting.get(name, 0),
            "paused": paused[name].reason if name in paused else None,
            "paused_by": paused[name].by if name in paused else None,
        }
        for name in office.partners
    ]


@router.post("/partners/{partner}/pause")
async def pause_partner(request: Request, partner: str, caller: Loader, why: Why) -> dict[str, object]:
    """Tell a partner nothing more until it is resumed: what it would pay waits, and others proceed.

    What a partner on Kafka was told before stays on its topic.
    """
    _known(office_of(request), partner)
    async with service_of(request).db.acquire() as db:
        await store_outgoing.pause(db, partner, why.reason, caller.name, datetime.now(UTC))
    return {"partner": partner, "paused": why.reason, "paused_by": caller.name}


@router.post("/partners/{partner}/resume")
async def resume_partner(request: Request, partner: str, _: Loader) -> dict[str, object]:
    """Tell a partner again what waits for it."""
    _known(office_of(request), partner)
    async with service_of(request).db.acquire() as db:
        await store_outgoing.resume(db, partner, of_person=True)
    for job in (calls.CALLS, orders.ORDERS):
        service_of(request).wake(job)
    return {"partner": partner, "paused": None}


@router.post("/partners/{partner}/out")
async def write_files(request: Request, partner: str, _: Loader) -> list[dict[str, object]]:
    """Write what waits for a bank into files now instead of at their time; lists the latest files."""
    service, office = service_of(request), office_of(request)
    options = _bank(office, partner)
    async with service.db.acquire() as db:
        now = datetime.now(UTC)
        await orders.claim_all(db, partner, options.payments_most, now, options.payments_a_day)
    service.wake(orders.ORDERS)
    return await _listed_out(request, partner, 20)


@router.get("/partners/{partner}/out")
async def list_files_out(
    request: Request, partner: str, _: Reader, most: Most = 50
) -> list[dict[str, object]]:
    """The latest files to a bank, the newest first: `claimed` until one lies in its folder, then `told`."""
    _bank(office_of(request), partner)
    return await _listed_out(request, partner, most)


@router.post("/partners/{partner}/files", status_code=202)
async def load_file(request: Request, response: Response, partner: str, caller: Loader) -> dict[str, object]:
    """Load a pain.002, camt.053 or camt.054 as the request's body; it is checked whole, then booked as a job.

    A file is known by its bytes: loaded again it changes nothing, and the answer (200) is what became of it.
    """
    service, office = service_of(request), office_of(request)
    _known(office, partner)
    draft = office.exchange.folder / "loaded" / f".{uuid4().hex}.part"
    try:
        size, sha256 = await _spool(request, draft)
        message = await reading.in_its_thread(partial(reading.message_of, draft))
        async with service.db.acquire() as db, db.transaction():
            loaded = Loaded(partner, sha256, message, size, caller.name, datetime.now(UTC))
            if await store_files.add_file(db, loaded):
                waits = intake.spooled(office.exchange.folder, partner, sha256)
                await asyncio.to_thread(draft.replace, waits)
            else:
                response.status_code = 200
            found = await store_files.find_file(db, partner, sha256)
    except FileRefused as error:
        async with service.db.acquire() as db, db.transaction():
            unread = Loaded(partner, sha256, UNREADABLE, size, caller.name, datetime.now(UTC))
            await store_files.add_refused(db, unread, error.reason, error.remedy)
        raise Problem(422, "The file can't be taken", f"{error.reason}. {error.remedy}") from None
    finally:
        draft.unlink(missing_ok=True)
    service.wake(intake.INTAKE)
    assert found is not None
    return found._asdict()


@router.get("/partners/files")
async def list_files(
    request: Request, _: Reader, partner: str | None = None, most: Most = 50
) -> list[dict[str, object]]:
    """The latest files of partners, the newest first."""
    async with service_of(request).db.acquire() as db:
        return [each._asdict() for each in await store_files.files(db, partner, most)]


@router.get("/partners/refused")
async def list_refused(
    request: Request, _: Loader, partner: str | None = None, most: Most = 50
) -> list[dict[str, object]]:
    """The latest calls back of partners that were refused whole, as they came; nothing of them was booked."""
    async with service_of(request).db.acquire() as db:
        return [each._asdict() for each in await store_files.refused(db, partner, most)]


@router.get("/partners/{partner}/files/{sha256}")
async def show_file(request: Request, partner: str, sha256: str, _: Reader) -> dict[str, object]:
    """How far a file is; booked, known and set aside add up to `rows_done`."""
    async with service_of(request).db.acquire() as db:
        found = await store_files.find_file(db, partner, sha256)
    if found is None:
        raise Problem(404, "No such file", "List the files: tonle partners files.")
    return found._asdict()


@router.get("/partners/rows")
async def list_rows(request: Request, _: Reader, page: Annotated[Page, Query()]) -> list[dict[str, object]]:
    """Rows that could not be booked, and why."""
    after = (page.after_partner, page.after_file, page.after_position)
    async with service_of(request).db.acquire() as db:
        found = await store_files.parked(db, page.partner, after, page.most)
    return [each._asdict() for each in found]


@router.post("/partners/rows/retry")
async def retry_rows(request: Request, caller: Loader, page: Annotated[Page, Query()]) -> dict[str, object]:
    """Try a page of rows again: those whose reason is gone are booked, the others say their reason anew."""
    service, office, now = service_of(request), office_of(request), datetime.now(UTC)
    after = (page.after_partner, page.after_file, page.after_position)
    async with service.db.acquire() as db, db.transaction():
        found = await store_files.parked(db, page.partner, after, page.most, lock=True)
        again = [each._replace(why="") for each in found]
        _, records = await rows.book(office, db, again, now, service.new_traceparent())
        still = await store_files.still_parked(db, again, now, caller.name)
        await outbox.write(db, intake.LANE, records)
    service.courier.take([intake.LANE])
    last = found[-1] if found else None
    return {
        "tried": len(again),
        "booked": len(again) - still,
        "next": [last.partner, last.sha256, last.position] if last and len(found) == page.most else None,
    }


@router.post("/partners/rows/close")
async def close_row(request: Request, caller: Loader, closing: Closing) -> dict[str, object]:
    """Close a row that a person has dealt with (the bank sent a corrected file, say); nothing is booked."""
    key = (closing.partner, closing.file, closing.position)
    async with service_of(request).db.acquire() as db:
        closed = await store_files.close_row(db, key, caller.name, closing.reason, datetime.now(UTC))
    if not closed:
        raise Problem(404, "No such row is set aside", "List them: tonle partners rows.")
    return {"closed": closing.position, "by": caller.name}


def service_of(request: Request) -> Service:
    """The service that answers."""
    return cast(Service, request.app.state.service)


def office_of(request: Request) -> Office:
    """What the service's API and jobs share."""
    return cast(Office, service_of(request).state)


async def _listed_out(request: Request, partner: str, most: int) -> list[dict[str, object]]:
    folder = office_of(request).exchange.folder
    async with service_of(request).db.acquire() as db:
        found = await store_outgoing.messages(db, partner, most)
    return [{**each._asdict(), "file": str(orders.path_of(folder, each))} for each in found]


def _kind(office: Office, name: str) -> str:
    if name in office.exchange.banks:
        return "files"
    return "http" if name in office.exchange.lines else "kafka"


def _known(office: Office, partner: str) -> None:
    if partner not in office.partners:
        raise Problem(404, f"There is no partner {partner}", f"Take one of: {', '.join(office.partners)}.")


def _bank(office: Office, partner: str) -> FilePartner:
    if (found := office.exchange.banks.get(partner)) is None:
        known = ", ".join(office.exchange.banks) or "none"
        raise Problem(404, f"{partner} is told by no files", f"Partners told by files: {known}.")
    return found


async def _spool(request: Request, path: Path) -> tuple[int, str]:
    """(bytes, SHA-256) of the body, now in a private file."""
    digest, size = hashlib.sha256(), 0
    with await asyncio.to_thread(_private_file, path) as file:
        async for part in request.stream():
            size += len(part)
            if size > FILE_BYTES_MOST:
                raise Problem(413, "The file is too large", f"At most {FILE_BYTES_MOST:,} bytes at a time.")
            digest.update(part)
            await asyncio.to_thread(file.write, part)
        await asyncio.to_thread(os.fsync, file.fileno())
    return size, digest.hexdigest()


def _private_file(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0)
