"""Services and referrals over HTTP: what is offered, what ministries were told, a proposed file checked."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from contracts.household import Purpose
from postbox.callers import Caller, allowed
from postbox.message import Connection
from postbox.problems import Problem
from services.eligibility import offers, referrals, store, store_referrals
from services.eligibility.agenda import PHNOM_PENH
from services.eligibility.api import LARGEST_FILE, FileName
from services.eligibility.api_explanations import SENSITIVE
from services.eligibility.grounds import Days, Known, Registration, facts_on
from services.eligibility.handlers import Office
from services.eligibility.households import Desk, Household
from services.eligibility.reading import FileRefused
from services.eligibility.referral_files import Service, parse
from services.eligibility.referring import Seen, due
from vault import keyring

router = APIRouter(tags=["referrals"])
Reader = Annotated[Caller, Depends(allowed("read"))]
SHOWN_MOST = 100


@router.get("/services")
async def list_services(request: Request, _: Reader) -> list[dict[str, object]]:
    """The services that households are offered, whom each is sent to, and whether that can be written to."""
    office = _office(request)
    return [_shown(each, office) for each in office.services.services.values()]


@router.post("/services/check")
async def check_service(request: Request, file: FileName, _: Reader) -> dict[str, object]:
    """Check a service's file (YAML, at most 256 KiB) and run its worked examples; it is not kept."""
    content = await request.body()
    if len(content) > LARGEST_FILE:
        raise Problem(413, "The file is too large", f"A service's file has at most {LARGEST_FILE} bytes.")
    try:
        service = parse(file, content)
    except FileRefused as refused:
        raise Problem(422, "The service's file is refused", str(refused)) from None
    tried = [each._asdict() for each in referrals.try_examples(service)]
    return {"id": service.id, "hash": service.hash, "examples": tried}


@router.get("/referrals")
async def list_referrals(
    request: Request, _: Reader, household_id: str = "", to: str = ""
) -> list[dict[str, object]]:
    """The latest 100 referrals, or a household's, or a ministry's.

    No service is named of a ministry that offers a sensitive one: the others would tell which it is.
    """
    async with request.app.state.service.db.acquire() as db:
        return [dict(each) for each in await store_referrals.latest(db, household_id, to, SHOWN_MOST)]


@router.get("/referrals/totals")
async def total_referrals(request: Request, _: Reader) -> list[dict[str, object]]:
    """How many referrals each ministry was told of, and how many stand, by service."""
    async with request.app.state.service.db.acquire() as db:
        return [dict(each) for each in await store_referrals.totals(db)]


@router.get("/households/{household_id}/offers")
async def household_offers(
    request: Request, household_id: str, caller: Reader, on: Annotated[date | None, Query()] = None
) -> list[dict[str, object]]:
    """What a household is offered besides money, in words, by what is registered now, and who was told of it.

    Sensitive services are shown to callers with the action `explain.sensitive` alone.
    """
    office = _office(request)
    async with request.app.state.service.db.acquire() as db:
        found = await store.registered(db, household_id)
        if found is None:
            raise Problem(404, "There is no such household", "Name a household by the id it was given.")
        household, kept = found
        keys = await keyring.load(db, office.master, [kept.persons.key_id])
        desk = office.desk(await store.terms_for_scoring(db), keys)
        known = desk.opened(household, kept) if keys.state(kept.persons.key_id) == "active" else None
        if known is None:
            raise Problem(
                409, "This household can't be read", "It was forgotten, or its key is not here yet."
            )
        case = await _case(db, desk, household, (kept, known), on)
    shown = case._replace(shows_sensitive=SENSITIVE in caller.actions)
    return [
        {**each._asdict(), "name": each.name.model_dump()} for each in offers.offers(office.services, shown)
    ]


async def _case(
    db: Connection, desk: Desk, household: Household, of: tuple[Registration, Known], on: date | None
) -> offers.Case:
    kept, known = of
    day = on or household.judged_on or household.registered_on
    facts = facts_on(day, kept, known)
    seen, services = Seen(Days(kept, known), day), desk.referrer.services
    if services.poverty is not None:
        facts = services.poverty.told(facts, known.persons, kept.commune, day)
    rows = await store_referrals.latest(db, household.household_id, "", SHOWN_MOST)
    made = {row["number"]: row["made_at"].astimezone(PHNOM_PENH).date() for row in rows}
    by_mark = {each.mark: each.service.id for each in due(desk.referrer, kept.persons.key_id, seen)}
    since = {by_mark[each.mark]: made[each.number] for each in household.referred if each.mark in by_mark}
    return offers.Case(facts, day, Purpose.REFERRAL in known.people.consents, since, False)


def _shown(service: Service, office: Office) -> dict[str, object]:
    document = service.document
    send = document.send
    return {
        "id": service.id,
        "kind": document.kind,
        "name": document.name,
        "offer": document.offer,
        "sensitive": document.sensitive,
        "valid_from": document.valid_from,
        "valid_to": document.valid_to,
        "evidence": document.evidence,
        "to": send.to if send else None,
        "tells": send.tells if send else (),
        "reachable": send is not None and send.to in office.services.recipients,
        "hash": service.hash,
    }


def _office(request: Request) -> Office:
    office: Office = request.app.state.service.state
    return office
