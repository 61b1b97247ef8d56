"""A cycle's preview over HTTP: its sums, or every household as CSV, once eligibility has answered."""

import csv
import io
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from contracts.topics import ELIGIBILITY_SCORED
from postbox import parking
from postbox.message import Connection
from postbox.problems import Problem
from services.payments import answers, store_answers, store_cycles, store_preview
from services.payments.answers import Completeness
from services.payments.api import Reader
from services.payments.cycles import Cycle
from services.payments.preview import Entry, Measure, Preview

router = APIRouter(tags=["cycles"])
_HEADER = (
    *("household_id", "riel", "riel_last_cycle", "change", "state", "waiting", "outlier"),
    "riel_carried",
)


@router.get("/cycles/{cycle_id}/preview")
async def preview_cycle(
    request: Request, cycle_id: str, _: Reader, outliers: Annotated[int, Query(ge=0, le=1000)] = 20
) -> dict[str, object]:
    """Who gets how much, against the cycle before; the `outliers` largest of those far off are named.

    409 until every partition of the cycle is answered and read.
    """
    async with request.app.state.service.db.acquire() as db, db.transaction(isolation="repeatable_read"):
        cycle, complete = await answered(request, db, cycle_id)
        grounds = await store_preview.grounds(db, cycle)
        found = Preview(grounds.measure, outliers)
        async for page in store_preview.entries(db, cycle, grounds.last_cycle, _recovered(request)):
            found.add(page)
        held = (await parking.counts(db))["held"]
    return {
        "cycle_id": cycle_id,
        "last_cycle": grounds.last_cycle,
        "households": found.total.households,
        "riel": found.total.riel,
        "carried_riel": found.carried,
        "typical_riel": grounds.measure.typical,
        "changes": {change: asdict(each) for change, each in found.changes.items()},
        "states": {state: asdict(each) for state, each in sorted(found.states.items())},
        "waiting": {reason: asdict(each) for reason, each in sorted(found.waiting.items())},
        "outliers": asdict(found.outliers),
        "largest_outliers": [{**each._asdict(), "change": each.change} for each in found.largest_outliers()],
        "room": cycle.room,
        "proposed": cycle.proposed,
        "unanswered": complete.unanswered,
        "held": held,
    }


@router.get("/cycles/{cycle_id}/preview.csv", response_class=StreamingResponse)
async def list_preview(request: Request, cycle_id: str, _: Reader) -> StreamingResponse:
    """Every household of this cycle or the one before, by id; refused as the preview is."""
    async with request.app.state.service.db.acquire() as db:
        cycle, _complete = await answered(request, db, cycle_id)
    return StreamingResponse(_rows(request, cycle), media_type="text/csv")


async def answered(request: Request, db: Connection, cycle_id: str) -> tuple[Cycle, Completeness]:
    """The cycle, once eligibility has answered it and all answers are read. Raises `Problem`."""
    cycle = await store_cycles.find(db, cycle_id)
    if cycle is None:
        raise Problem(404, "There is no such cycle", "List the cycles, or open this one.")
    topic = request.app.state.service.settings.topic_prefix + ELIGIBILITY_SCORED.name
    found = answers.completeness(
        await store_answers.of_cycle(db, cycle_id), cycle.opening, await store_answers.read_below(db, topic)
    )
    if not found.is_complete:
        of = f"{found.read} of {found.partitions}" if found.partitions else "no"
        raise Problem(
            409,
            f"Eligibility has not answered {cycle_id} yet: {of} partitions are in",
            "Wait until its households are scored for the cycle; `tonle topics` shows how far that is.",
        )
    return cycle, found


async def _rows(request: Request, cycle: Cycle) -> AsyncIterator[str]:
    async with request.app.state.service.db.acquire() as db, db.transaction(isolation="repeatable_read"):
        grounds = await store_preview.grounds(db, cycle)
        yield as_csv([_HEADER])
        async for page in store_preview.entries(db, cycle, grounds.last_cycle, _recovered(request)):
            yield as_csv(_row(each, grounds.measure) for each in page)


def _row(each: Entry, measure: Measure) -> tuple[object, ...]:
    outlier = "yes" if measure.is_outlier(each) else ""
    found = each.household_id, each.amount, each.last, each.change, each.state, each.waiting, outlier
    return *found, each.carried


def _recovered(request: Request) -> int:
    """Percent of a payment that an earlier overpayment may take."""
    return int(request.app.state.service.state.recover_percent)


def as_csv(rows: Iterable[tuple[object, ...]]) -> str:
    """Lines of a CSV file (RFC 4180)."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
