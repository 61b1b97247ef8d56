"""The HTTP interface of the single window: complaints, and what offices do about them."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from contracts import wire
from contracts.grievance import GrievanceChannel, GrievanceState
from postbox import outbox
from postbox.callers import Caller, allowed
from postbox.problems import Problem
from services.registration import complaints, grievances, store, store_grievances
from services.registration.api import at_desk, office_of, service_of
from services.registration.complaints import Complaint, Move, within
from services.registration.desk import Desk
from services.registration.grievances import Grievance, Verb
from services.registration.office import Office
from services.registration.registering import LANE_API
from services.registration.store_grievances import Selection

router = APIRouter(prefix="/grievances", tags=["grievances"])
Working = Annotated[Caller, Depends(allowed("household.grievances"))]
Number = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9-]+$")]
TEXT_MOST = 2000


class NewGrievance(BaseModel):
    """A complaint made at the window. `decision_id`: the decision that it is an appeal against."""

    model_config = ConfigDict(extra="forbid")

    household_id: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9-]+$")]
    category: str
    text: Annotated[str, Field(min_length=1, max_length=TEXT_MOST)]
    decision_id: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9-]+$")] | None = None


class NewStep(BaseModel):
    """Why a step is taken; resolving, rejecting and reopening say so."""

    model_config = ConfigDict(extra="forbid")

    note: Annotated[str, Field(min_length=1, max_length=TEXT_MOST)] | None = None


class Page(BaseModel):
    """Which grievances: open ones, or those in a state; `after` is the last number of the page before."""

    state: GrievanceState | None = None
    late: bool = False
    household_id: str | None = None
    after: str = ""
    most: Annotated[int, Field(ge=1, le=500)] = 50


@router.get("/categories")
async def categories(request: Request, _: Working) -> dict[str, dict[str, object]]:
    """What people may complain about, with the working days of the first office."""
    return {name: each.model_dump() for name, each in office_of(request).rulebook.rules.categories.items()}


@router.post("", status_code=201)
async def open_grievance(
    request: Request,
    new: NewGrievance,
    request_id: Annotated[str, Header(alias="Idempotency-Key", min_length=1, max_length=200)],
    caller: Working,
) -> dict[str, object]:
    """Take in a complaint at the window. The same request id gets the first answer again."""
    office = office_of(request)
    if new.category not in office.rulebook.rules.categories:
        known = ", ".join(office.rulebook.rules.categories)
        raise Problem(422, "There is no such category", f"Take one of {known}.")
    opened = await at_desk(request, caller, lambda desk: _open(office, desk, new, request_id))
    return opened._asdict()


@router.get("")
async def list_grievances(
    request: Request, caller: Working, page: Annotated[Page, Query()]
) -> list[dict[str, object]]:
    """Grievances of the caller's area, without their texts."""
    today = grievances.day_of(datetime.now(UTC))
    which = Selection(
        caller.area, page.state, today if page.late else None, page.household_id, page.after, page.most
    )
    async with service_of(request).db.acquire() as db:
        found = await store_grievances.listed(db, which)
    return [{name: value for name, value in each._asdict().items() if name != "text"} for each in found]


@router.get("/{number}")
async def show(request: Request, number: Number, caller: Working) -> dict[str, object]:
    """A grievance with its text and its steps."""
    async with service_of(request).db.acquire() as db:
        found = within(await store_grievances.find(db, number), caller)
        taken = await store_grievances.steps(db, found.grievance_id)
    return {**found._asdict(), "steps": [each._asdict() for each in taken]}


@router.post("/{number}/{verb}")
async def step(
    request: Request, number: Number, verb: Verb, new: NewStep, caller: Working
) -> dict[str, object]:
    """Take a step with a grievance: acknowledge, take, resolve, reject, reopen, close."""
    office = office_of(request)

    async def act(desk: Desk) -> Grievance:
        move = Move(number, verb, new.note, caller, desk.at, desk.cause)
        moved, told = await complaints.move(desk.db, office.rulebook, move)
        await outbox.write(desk.db, LANE_API, told)
        return moved

    return (await at_desk(request, caller, act))._asdict()


async def _open(office: Office, desk: Desk, new: NewGrievance, request_id: str) -> Grievance:
    kept = await store.find(desk.db, new.household_id)
    if kept is None or not desk.caller.covers(kept.registration.commune):
        raise Problem(404, "No such household in your area", "Check the household's id.")
    complaint = Complaint(
        grievance_id=wire.uuid5(f"grievance/{desk.caller.name}/{request_id}"),
        household_id=new.household_id,
        message_id=None,
        commune=kept.registration.commune,
        channel=GrievanceChannel.WINDOW,
        category=new.category,
        text=new.text,
        by=desk.caller.name,
        at=desk.at,
        cause=desk.cause,
        decision_id=new.decision_id,
    )
    opened, told = await complaints.open_grievance(desk.db, office.rulebook, complaint)
    await outbox.write(desk.db, LANE_API, told)
    return opened
