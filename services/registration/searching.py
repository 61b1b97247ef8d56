"""Searches for duplicates that hide, as a job: one step a run, each in a transaction, so that it resumes."""

import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import NamedTuple

from pyarrow import parquet

from postbox.service import Service
from services.registration import people, store_duplicates
from services.registration.likeness import PASSES, Answer, Task
from services.registration.store_duplicates import Enrolled, Search

SEARCHING = "search"
"""The job's name; wake it when a search has been asked for."""

PAGE_HOUSEHOLDS = 2_000


class Means(NamedTuple):
    """What a search may take of the machine; the file of everybody lies in `folder` while it lasts."""

    folder: Path
    memory_mb: int
    threads: int
    chunk_persons: int


class Stopped(Exception):
    """A search can't go on. `reason` says why, `remedy` what to do."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class Searcher:
    """The job `search`: takes the oldest open search and does one step of it at each run."""

    def __init__(self, means: Means) -> None:
        self._means = means
        means.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def run(self, service: Service) -> bool:
        """Gather and learn, look at one chunk, or end. False when no search is open."""
        async with service.db.acquire() as db:
            search = await store_duplicates.next_search(db)
        if search is None:
            self._forget_others("")
            return False
        self._forget_others(search.search_id)
        try:
            await self._step(service, search)
        except Stopped as stop:
            await self._end(service, search, stop)
        return True

    async def _step(self, service: Service, search: Search) -> None:
        file = self._means.folder / f"{search.search_id}.parquet"
        if not file.exists():
            await self._gather(service, search, file)
        if search.model is None or search.steps_total is None:
            await self._begin(service, search, file)
        elif search.step < search.steps_total:
            await self._look(service, search, file)
        else:
            await self._end(service, search)

    async def _gather(self, service: Service, search: Search, file: Path) -> None:
        """Everybody of the area in one file, which only this service may read; whole or not at all."""
        draft = file.with_suffix(".draft")
        after = ""
        with (
            os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as open_file,
            parquet.ParquetWriter(open_file, people.PEOPLE, compression="zstd") as writer,
        ):
            while True:
                async with service.db.acquire() as db:
                    page = await store_duplicates.enrolled(db, search.area, after, PAGE_HOUSEHOLDS)
                if not page:
                    break
                await asyncio.to_thread(_write, writer, page)
                after = page[-1].household_id
        draft.rename(file)

    async def _begin(self, service: Service, search: Search, file: Path) -> None:
        answer = await self._asked(self._task(file))
        persons = parquet.read_metadata(file).num_rows
        steps = 1 + len(PASSES) * ceil(persons / self._means.chunk_persons)
        async with service.db.acquire() as db:
            await store_duplicates.begin(db, search.search_id, persons, steps, answer.model)

    async def _look(self, service: Service, search: Search, file: Path) -> None:
        assert search.steps_total is not None
        chunks = (search.steps_total - 1) // len(PASSES)
        key = list(PASSES)[(search.step - 1) // chunks]
        chunk = (search.step - 1) % chunks
        where = {"model": search.model, "key": key, "chunk": chunk, "chunks": chunks}
        task = self._task(file).model_copy(update=where | {"least_bits": search.least_bits})
        found = (await self._asked(task)).pairs
        async with service.db.acquire() as db, db.transaction():
            order = await store_duplicates.order(db, {each for pair in found for each in pair[:2]})
            new = await store_duplicates.keep(
                db, search.search_id, sorted(pair.turned(order) for pair in found), datetime.now(UTC)
            )
            await store_duplicates.advance(db, search.search_id, search.step + 1, new)

    async def _asked(self, task: Task) -> Answer:
        """What a process of `linkage.py` answers; it ends with its answer, or with this job."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.registration.linkage"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            said, _ = await process.communicate(task.model_dump_json().encode())
        finally:
            if process.returncode is None:
                process.kill()
        answer = Answer.model_validate_json(said) if said else Answer(error=f"exit {process.returncode}")
        if answer.error:
            raise Stopped(
                f"comparing failed ({answer.error})",
                "Search again; if memory ran out, with a lower TONLE_SEARCH_CHUNK_PERSONS.",
            )
        return answer

    def _task(self, file: Path) -> Task:
        return Task(people=str(file), memory_mb=self._means.memory_mb, threads=self._means.threads)

    async def _end(self, service: Service, search: Search, stop: Stopped | None = None) -> None:
        at = datetime.now(UTC)
        reason, remedy = (stop.reason, stop.remedy) if stop else (None, None)
        async with service.db.acquire() as db:
            await store_duplicates.end(db, search.search_id, at, error=reason, remedy=remedy)
        self._forget_others("")

    def _forget_others(self, search_id: str) -> None:
        """Delete what other searches left: it holds persons in the clear."""
        for path in self._means.folder.iterdir():
            if path.stem != search_id:
                path.unlink(missing_ok=True)


def _write(writer: parquet.ParquetWriter, page: Sequence[Enrolled]) -> None:
    writer.write_batch(people.batch(page))
