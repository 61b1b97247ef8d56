"""Decisions explained over HTTP: as recorded and decided again, or as they would be on another day."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Request

from contracts.eligibility import ProgrammeDecision
from postbox.callers import Caller, allowed
from postbox.message import Connection
from postbox.problems import Problem
from services.eligibility import store
from services.eligibility.agenda import PHNOM_PENH
from services.eligibility.explaining import explain
from services.eligibility.grounds import decide
from services.eligibility.handlers import Office
from services.eligibility.households import Household
from services.eligibility.packages import Judgement
from services.eligibility.scoring import Occasion
from vault import keyring

SENSITIVE = "explain.sensitive"
"""The action of those who may have a sensitive programme explained; the administrator may not."""

router = APIRouter(tags=["explanations"])
Reader = Annotated[Caller, Depends(allowed("read"))]


@router.get("/households/{household_id}/explanations")
async def explanations(
    request: Request, household_id: str, caller: Reader, programme: str = "", on: date | None = None
) -> list[dict[str, object]]:
    """Each latest decision in words, decided again from what is registered now; `same` says whether it holds.

    With `on`, what every programme in force would decide on that day instead. A sensitive programme is
    explained where it is named, and to callers with the action `explain.sensitive` alone.
    """
    office: Office = request.app.state.service.state
    if programme and programme not in office.panel.programmes:
        raise Problem(404, "There is no such programme", "List the programmes, and name one by its id.")
    if programme in office.panel.sensitive and SENSITIVE not in caller.actions:
        title = f"This programme is sensitive (it takes `{SENSITIVE}`)"
        raise Problem(403, title, "Ask somebody whose token allows it.")
    async with request.app.state.service.db.acquire() as db:
        found = await store.registered(db, household_id)
        if found is None:
            raise Problem(404, "There is no such household", "Name a household by the id it was given.")
        household, kept = found
        keys = await keyring.load(db, office.master, [kept.persons.key_id])
        recorded = await _recorded(db, household)
        desk = office.desk(await store.terms_for_scoring(db), keys)
    if (state := keys.state(kept.persons.key_id)) != "active":
        remedy = {"destroyed": "It was forgotten: its decisions are counted, not explained."}
        raise Problem(409, "This household can't be read", remedy.get(state, "Try again shortly."))
    known = desk.opened(household, kept)
    assert known is not None
    late = household.registered_on
    judgements = [
        each._replace(days_late=(late - each.occasion.as_of).days if each.occasion.cycle_id else 0)
        for each in _judgements(office, {} if on else recorded, programme, on)
    ]
    made = decide(office.panel, judgements, household.revision, kept, known)
    return _explained(judgements, made, {} if on else recorded)


class Recorded(NamedTuple):
    """The latest decision of a programme: what it was for, and how it came out."""

    occasion: Occasion
    outcome: tuple[str, str, int]


async def _recorded(db: Connection, household: Household) -> dict[str, Recorded]:
    return {
        row["programme"]: Recorded(
            Occasion(row["as_of"], row["cycle_id"], row["period"]),
            (row["programme_hash"], row["outcome"], row["amount"]),
        )
        for row in await store.decisions_of(db, household.household_id)
        if row["sequence"] == household.sequence
    }


def _judgements(
    office: Office, recorded: Mapping[str, Recorded], programme: str, on: date | None
) -> list[Judgement]:
    panel = office.panel
    day = on or datetime.now(PHNOM_PENH).date()
    several = panel.in_force(day) - panel.sensitive if on else recorded.keys() & panel.programmes.keys()
    return [
        Judgement(panel.programmes[name], recorded[name].occasion if name in recorded else Occasion(day))
        for name in ([programme] if programme else sorted(several))
    ]


def _explained(
    judgements: Sequence[Judgement],
    decisions: Sequence[ProgrammeDecision],
    recorded: Mapping[str, Recorded],
) -> list[dict[str, object]]:
    found = []
    for judgement, made in zip(judgements, decisions, strict=True):
        before = recorded.get(made.programme)
        said = explain(judgement.programme, made)
        found.append(
            {
                **made.model_dump(mode="json"),
                "same": before and before.outcome == (made.programme_hash, made.outcome, made.amount),
                "conditions": [each._asdict() for each in said.asked],
                "en": said.en,
                "km": said.km,
            }
        )
    return found
