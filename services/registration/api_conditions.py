"""The HTTP interface of the single window: condition reports, one or many at a time."""

from datetime import UTC, datetime
from typing import Annotated

from asyncpg import UniqueViolationError
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field, JsonValue, ValidationError

from postbox.callers import Caller, allowed
from postbox.problems import Problem
from services.registration.api import cause_of, office_of, refuse_when_full, service_of
from services.registration.registering import LANE_API
from services.registration.reporting import Act, Receipt, Report, report

router = APIRouter(prefix="/conditions", tags=["conditions"])
Reporter = Annotated[Caller, Depends(allowed("household.report"))]


class Reports(BaseModel):
    """At most 500 at a time, each like `Report`, numbers and yes or no as text too."""

    reports: Annotated[tuple[dict[str, JsonValue], ...], Field(max_length=500)]


@router.post("", status_code=201)
async def report_one(request: Request, asked: Report, caller: Reporter) -> Receipt:
    """Report a visit or attendance of a member. The same report again changes nothing."""
    await refuse_when_full(service_of(request), office_of(request))
    receipt = await _told(request, asked, caller)
    service_of(request).courier.take([LANE_API])
    return receipt


@router.post("/batch")
async def report_many(request: Request, asked: Reports, caller: Reporter) -> list[dict[str, object]]:
    """Report many, each for itself: the answers stand in the order of the reports, refusals among them."""
    await refuse_when_full(service_of(request), office_of(request))
    answers: list[dict[str, object]] = []
    for each in asked.reports:
        try:
            answers.append((await _told(request, Report.model_validate(each), caller)).model_dump())
        except ValidationError as error:
            answers.append({"state": "refused", "title": "The report is not valid", "errors": _flaws(error)})
        except Problem as refused:
            answers.append({"state": "refused", **refused.body})
    service_of(request).courier.take([LANE_API])
    return answers


def _flaws(error: ValidationError) -> list[dict[str, str]]:
    """Which fields are wrong and how; a value is not repeated."""
    return [
        {
            "field": ".".join(map(str, each["loc"])),
            "reason": each["type"].replace("_", " "),
            "remedy": "Correct it: `tonle conditions report --help` says how.",
        }
        for each in error.errors(include_input=False, include_url=False)
    ]


async def _told(request: Request, asked: Report, caller: Caller) -> Receipt:
    service, office = service_of(request), office_of(request)

    async def once() -> Receipt:
        async with service.db.acquire() as db, db.transaction():
            act = Act(caller, datetime.now(UTC), cause_of(request, service))
            return await report(office, db, act, asked)

    try:
        return await once()
    except UniqueViolationError:
        # Another request reported of the household in between: look again.
        return await once()
