"""The HTTP interface of the single window: households that look like one, and what people decide of them."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from contracts import wire
from contracts.household import Persons
from postbox.callers import Caller, allowed
from postbox.message import Connection
from postbox.problems import Problem
from services.registration import deciding, store, store_duplicates
from services.registration.api import at_desk, service_of
from services.registration.deciding import Verdict, within
from services.registration.likeness import Alike
from services.registration.searching import SEARCHING
from services.registration.store_duplicates import Found, Search, Selection

router = APIRouter(prefix="/duplicates", tags=["duplicates"])
Looking = Annotated[Caller, Depends(allowed("household.duplicates"))]
Deciding = Annotated[Caller, Depends(allowed("household.decide"))]
PairId = Annotated[int, Path(ge=1, lt=2**63)]
LEAST_BITS = 30.0


class NewSearch(BaseModel):
    """How alike two households must be to be shown to people, in bits; fewer bits, more pairs to look at."""

    model_config = ConfigDict(extra="forbid")

    least_bits: Annotated[float, Field(ge=15, le=200)] = LEAST_BITS


class NewDecision(BaseModel):
    """What was decided, and the revisions of the first and the later household that were looked at."""

    model_config = ConfigDict(extra="forbid")

    decision: Verdict
    revisions: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]


class Page(BaseModel):
    """Which pairs; `after` is the last number of the page before."""

    decided: bool = False
    after: Annotated[int, Field(ge=1)] | None = None
    most: Annotated[int, Field(ge=1, le=500)] = 50


@router.post("/searches", status_code=202)
async def search(request: Request, new: NewSearch, caller: Looking) -> dict[str, object]:
    """Look for duplicates among the households of the caller's area, as a job; one at a time in an area."""
    service = service_of(request)
    asked = Search(uuid4().hex, "waiting", new.least_bits, caller.name, caller.area, datetime.now(UTC))
    async with service.db.acquire() as db, db.transaction():
        opened = await store_duplicates.next_search(db, caller.area)
        if opened is None:
            await store_duplicates.add_search(db, asked)
    service.wake(SEARCHING)
    return _search_shown(opened or asked)


@router.get("/searches")
async def list_searches(
    request: Request, caller: Looking, most: Annotated[int, Query(ge=1, le=500)] = 20
) -> list[dict[str, object]]:
    """The latest searches within the caller's area, the newest first."""
    async with service_of(request).db.acquire() as db:
        return [_search_shown(each) for each in await store_duplicates.searches(db, caller.area, most)]


@router.get("/searches/{search_id}")
async def show_search(
    request: Request, search_id: Annotated[str, Path(pattern=r"^[a-f0-9]{32}$")], caller: Looking
) -> dict[str, object]:
    """How far a search is."""
    async with service_of(request).db.acquire() as db:
        found = await store_duplicates.find_search(db, search_id)
    if found is None or not found.area.startswith(caller.area):
        raise Problem(404, "No such search in your area", "List the searches to find its id.")
    return _search_shown(found)


@router.get("")
async def list_pairs(
    request: Request, caller: Looking, page: Annotated[Page, Query()]
) -> list[dict[str, object]]:
    """Pairs of households that look like one, the likest first: those that wait, or those decided."""
    which = Selection(caller.area, page.decided, page.after, page.most)
    async with service_of(request).db.acquire() as db:
        return [_pair_shown(each) for each in await store_duplicates.pairs(db, which)]


@router.get("/{pair_id}")
async def show_pair(request: Request, pair_id: PairId, caller: Looking) -> dict[str, object]:
    """A pair with its reasons and decisions; who may read households sees the members side by side, too."""
    async with service_of(request).db.acquire() as db:
        pair = within(await store_duplicates.find(db, pair_id), caller)
        made = await store_duplicates.decisions(db, pair_id)
        sides = await _sides(db, pair) if "household.read" in caller.actions else None
    return {
        **_pair_shown(pair),
        "members": [
            {**alike._asdict(), **(_named(alike, sides) if sides else {})} for alike in pair.likeness.members
        ],
        "decisions": [each._asdict() for each in made],
    }


@router.post("/{pair_id}/decision")
async def decide(request: Request, pair_id: PairId, new: NewDecision, caller: Deciding) -> dict[str, object]:
    """Decide about a pair. `same`: the later registration exits. `moved`: the first. `different`: neither."""
    pair = await at_desk(
        request, caller, lambda desk: deciding.decide(desk, pair_id, new.decision, new.revisions)
    )
    return _pair_shown(pair)


@router.post("/{pair_id}/undo")
async def undo(request: Request, pair_id: PairId, caller: Deciding) -> dict[str, object]:
    """Take a decision back: the pair waits again, and a household that exited for it is registered again."""
    return _pair_shown(await at_desk(request, caller, lambda desk: deciding.undo(desk, pair_id)))


async def _sides(db: Connection, pair: Found) -> list[Persons]:
    sides = []
    for household_id in (pair.first_household_id, pair.later_household_id):
        kept = await store.find(db, household_id)
        assert kept is not None
        sides.append(wire.load(Persons, kept.registration.persons))
    return sides


def _named(alike: Alike, sides: list[Persons]) -> dict[str, object]:
    """Two members as they are now; None where a revision left one out."""
    numbers = (alike.first_member, alike.later_member)
    told: dict[str, object] = {}
    for name, persons, number in zip(("first", "later"), sides, numbers, strict=True):
        if number <= len(persons.members):
            member = persons.members[number - 1]
            told[name] = {
                "name_km": member.name_km,
                "name_latin": member.name_latin,
                "sex": member.sex,
                "birth_date": member.birth_date,
            }
    return told


def _pair_shown(pair: Found) -> dict[str, object]:
    return {
        "pair": pair.pair_id,
        "first_household_id": pair.first_household_id,
        "later_household_id": pair.later_household_id,
        "revisions": [pair.first_revision, pair.later_revision],
        "communes": [pair.first_commune, pair.later_commune],
        "bits": round(pair.bits, 1),
        "shared": pair.likeness.shared,
        "members_alike": len(pair.likeness.members),
        "members_missing": pair.likeness.missing,
        "found_at": pair.found_at,
        "decision": pair.decision,
    }


def _search_shown(search: Search) -> dict[str, object]:
    return {name: value for name, value in search._asdict().items() if name not in ("model", "area")}
