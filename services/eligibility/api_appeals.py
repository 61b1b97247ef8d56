"""Appeals over HTTP: one person prepares what should be set aside and why, another decides."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal
from uuid import uuid4

import asyncpg
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from contracts.appeal import Ruling, Verdict
from contracts.eligibility import Outcome, ProgrammeDecision
from contracts.sealed import Sealed
from contracts.topics import APPEAL_DECIDED
from contracts.wire import Cause, dump
from postbox import outbox
from postbox.callers import Caller, allowed
from postbox.message import Connection
from postbox.problems import Problem
from postbox.service import Service
from services.eligibility import appeals, households, store, store_appeals
from services.eligibility.agenda import PHNOM_PENH
from services.eligibility.appeals import FIRM, RULING_MULTIPLE_BYTES, Appeal
from services.eligibility.grounds import Known, SealedAppeal, decide
from services.eligibility.handlers import Office
from services.eligibility.households import Desk, Household
from services.eligibility.store_appeals import Prepared
from vault import keyring
from vault.sealing import Keys

router = APIRouter(prefix="/appeals", tags=["appeals"])
Reader = Annotated[Caller, Depends(allowed("read"))]
Preparer = Annotated[Caller, Depends(allowed("appeal.prepare"))]
Decider = Annotated[Caller, Depends(allowed("appeal.decide"))]
LANE = "api:appeals"
STANDS_DAYS = 365


class Asked(BaseModel):
    """A refusal appealed against, and why it should be set aside; it stands a year where not said."""

    household_id: Annotated[str, Field(max_length=64)]
    programme: Annotated[str, Field(max_length=80)]
    why: Annotated[str, Field(min_length=1, max_length=2000)]
    stands_until: date | None = None


class Decision(BaseModel):
    verdict: Literal["overturned", "upheld"]


@router.post("", status_code=201)
async def prepare(request: Request, asked: Asked, caller: Preparer) -> dict[str, object]:
    """Prepare an appeal against a programme's refusal: all its reasons are to be set aside."""
    service: Service = request.app.state.service
    office: Office = service.state  # type: ignore[assignment]
    now = datetime.now(UTC)
    async with service.db.acquire() as db, db.transaction():
        terms = await store.terms_for_scoring(db)
        household, keys = await _household(office, db, asked.household_id)
        ruling = _ruling(office.desk(terms, keys), household, asked, now)
        assert household.kept is not None
        key_id, appeal_id = household.kept.persons.key_id, str(uuid4())
        plain = dump(ruling)
        padded = plain + b" " * (-len(plain) % RULING_MULTIPLE_BYTES)
        blob = keys.seal(key_id, padded, event_id=appeal_id, event_type=APPEAL_DECIDED.name)
        sealed = Sealed(key_id=key_id, blob=blob)
        made = Prepared(appeal_id, household.household_id, household.revision, sealed, caller.name, now)
        await store_appeals.add(db, made)
    return {
        "appeal_id": appeal_id,
        "state": "prepared",
        "waives": ruling.waived,
        "until": ruling.stands_until,
    }


@router.post("/{appeal_id}/decision")
async def decide_appeal(
    request: Request, appeal_id: str, decision: Decision, caller: Decider
) -> dict[str, object]:
    """Decide an appeal that somebody else prepared; the household is decided anew at once."""
    service: Service = request.app.state.service
    now = datetime.now(UTC)
    async with service.db.acquire() as db, db.transaction():
        row = await store_appeals.lock(db, appeal_id)
        if row is None:
            raise Problem(404, "There is no such appeal", "List the appeals to find its id.")
        if row["verdict"] is None:
            await _decide(service, db, row, (Verdict(decision.verdict), caller.name), now)
        elif (row["verdict"], row["decided_by"]) != (decision.verdict, caller.name):
            raise Problem(
                409, "This appeal is decided", "Prepare another one, if the decision should change."
            )
    service.courier.take([LANE])
    return {"appeal_id": appeal_id, "state": decision.verdict}


@router.get("")
async def list_appeals(request: Request, _: Reader, household_id: str = "") -> list[dict[str, object]]:
    """The latest 100 appeals, or a household's: who prepared and decided them, and how. Why stays sealed."""
    async with request.app.state.service.db.acquire() as db:
        found = await store_appeals.latest(db, household_id)
    return [{**row, "state": row["verdict"] or "prepared"} for row in found]


async def _household(office: Office, db: Connection, household_id: str) -> tuple[Household, Keys]:
    """A registered household, locked, with what opens it."""
    found = await store_appeals.whole(db, household_id)
    if found is None or found.kept is None or found.has_left:
        raise Problem(404, "There is no such household", "Name a household that is registered here.")
    keys = await keyring.load(db, office.master, (found.kept.persons.key_id, found.kept.payee.key_id))
    if "active" not in (state := keys.state(found.kept.persons.key_id)):
        raise Problem(409, f"The household's key is {state}", "What was forgotten can't be appealed.")
    return found, keys


def _ruling(desk: Desk, household: Household, asked: Asked, now: datetime) -> Ruling:
    kept = household.kept
    assert kept is not None
    known = desk.opened(household, kept)
    judgements = households.judge(desk, household)

    def judged(known: Known) -> ProgrammeDecision | None:
        made = decide(desk.panel, judgements, household.revision, kept, known)
        return next((each for each in made if each.programme == asked.programme), None)

    decision = judged(known) if known else None
    if decision is None or known is None:
        raise Problem(
            404, "This programme decides nothing about it now", "Name one from `tonle explain HOUSEHOLD`."
        )
    ruling = _setting_aside(decision, asked, now)
    overturned = Appeal(household.appeals + 1, "", household.revision, Verdict.OVERTURNED, ruling)
    then = judged(known._replace(appeals=(*known.appeals, overturned)))
    if then is None or then.outcome is not Outcome.ELIGIBLE:
        remedy = "It counts nothing to pay for: correct the registration, or report the visit or attendance."
        raise Problem(422, "Overturned, this programme would still pay nothing", remedy)
    return ruling


def _setting_aside(decision: ProgrammeDecision, asked: Asked, now: datetime) -> Ruling:
    """What would set this decision's reasons aside; a problem where they can't be."""
    if decision.outcome is Outcome.ELIGIBLE:
        raise Problem(409, "This programme pays the household already", "Only a refusal can be appealed.")
    if firm := sorted(FIRM.intersection(decision.reasons)):
        title = f"No appeal can set aside: {', '.join(firm)}"
        raise Problem(422, title, "There is no rate to pay by: correct the registration instead.")
    until = asked.stands_until or now.astimezone(PHNOM_PENH).date() + timedelta(days=STANDS_DAYS)
    if until < decision.as_of:
        raise Problem(
            422, "It would end before the day judged", f"Let it stand until {decision.as_of}, or later."
        )
    return Ruling(
        programme=asked.programme,
        cycle_id=decision.cycle_id,
        waived=decision.reasons,
        why=asked.why,
        stands_until=until,
    )


async def _decide(
    service: Service, db: Connection, row: asyncpg.Record, given: tuple[Verdict, str], now: datetime
) -> None:
    verdict, by = given
    office: Office = service.state  # type: ignore[assignment]
    if row["prepared_by"] == by:
        raise Problem(403, "You prepared this appeal", "Let another person decide it.")
    terms = await store.terms_for_scoring(db)
    household, keys = await _household(office, db, row["household_id"])
    if household.revision != row["revision"]:
        raise Problem(
            409, "The household was registered anew since", "Prepare a new appeal, if it is refused still."
        )
    assert household.kept is not None
    sealed = SealedAppeal(
        household.appeals + 1,
        row["appeal_id"],
        row["revision"],
        verdict,
        Sealed(key_id=row["key_id"], blob=row["ruling"]),
    )
    trace = service.new_traceparent()
    asked = Cause(row["appeal_id"], row["appeal_id"], trace)
    told = appeals.decided(
        household.household_id,
        _opened(sealed, keys),
        (row["prepared_by"], by),
        keys,
        key_id=household.kept.persons.key_id,
        at=now,
        cause=asked,
    )
    known_as = appeals.event_id_of(household.household_id, sealed.number)
    today = now.astimezone(PHNOM_PENH).date()
    cause = Cause(known_as, row["appeal_id"], trace)
    await store_appeals.decide(db, sealed, by, now)
    again = households.appeal(office.desk(terms, keys), household, sealed, cause, today)
    await store.save(db, [again], now)
    await outbox.write(db, LANE, [told, *office.told([again], keys, now)])


def _opened(sealed: SealedAppeal, keys: Keys) -> Appeal:
    plain = keys.open(
        sealed.ruling.key_id, sealed.ruling.blob, event_id=sealed.appeal_id, event_type=APPEAL_DECIDED.name
    )
    return Appeal(sealed.number, sealed.appeal_id, sealed.revision, sealed.verdict, appeals.read(plain))
