"""Scorecards over HTTP: as published, and the range that a household's score lies in."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from contracts.household import HouseholdId
from contracts.topics import HOUSEHOLD_REGISTERED
from postbox.callers import Caller, allowed
from postbox.problems import Problem
from services.eligibility import store
from services.eligibility.agenda import PHNOM_PENH
from services.eligibility.answers import Home, known_of
from services.eligibility.handlers import Office
from services.eligibility.scorecards import AnswerRefused, Known, Scorecard
from services.eligibility.structs import read
from vault import keyring

router = APIRouter(tags=["scorecards"])
Reader = Annotated[Caller, Depends(allowed("read"))]


class Interview(BaseModel):
    """What is known: a registered household, answers by question (response 1 is the first), or both.

    An answer given stands before what is registered. Ages are those `on` that day, today where not given.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    household_id: HouseholdId | None = None
    answers: Annotated[Mapping[int, int], Field(max_length=40)] = {}
    on: date | None = None


@router.get("/scorecards")
async def list_scorecards(request: Request, _: Reader) -> list[dict[str, object]]:
    """The scorecards, with their surveys and poverty lines."""
    return [_summary(each) for each in _scorecards(request).values()]


@router.get("/scorecards/{scorecard_id}")
async def show_scorecard(request: Request, scorecard_id: str, _: Reader) -> dict[str, object]:
    """Questions, responses and points as published, and which registered fact answers a question."""
    scorecard = _scorecard(request, scorecard_id)
    answered_by = scorecard.document.answered_by
    questions = [
        {
            "number": each.number,
            "question": each.question,
            "responses": [
                {"number": number, "text": one.text, "points": one.points}
                for number, one in enumerate(each.responses, 1)
            ],
            "answered_by": answered_by[each.number].model_dump() if each.number in answered_by else None,
        }
        for each in scorecard.published.indicators
    ]
    return {**_summary(scorecard), "questions": questions}


@router.post("/scorecards/{scorecard_id}/score")
async def score(request: Request, scorecard_id: str, interview: Interview, _: Reader) -> dict[str, object]:
    """The lowest and highest score and likelihood of each line, and the questions that stay open.

    Nothing is kept: a score refers to On-Demand IDPoor, and is no reason to pay.
    """
    scorecard = _scorecard(request, scorecard_id)
    known = await _known(request, interview.household_id, interview.on) if interview.household_id else {}
    given = {number: (response,) for number, response in interview.answers.items()}
    try:
        found = scorecard.score({**scorecard.answers(known), **given})
    except AnswerRefused as error:
        remedy = f"{str(error).capitalize()}. The questions: GET /scorecards/{scorecard.id}."
        raise Problem(422, "There is no such answer", remedy) from None
    questions = {each.number: each.question for each in scorecard.published.indicators}
    return {
        "scorecard": scorecard.id,
        "household_id": interview.household_id,
        "lines": [{**asdict(each), "name": scorecard.document.lines[each.line]} for each in found.lines],
        "open_questions": [
            {"number": number, "question": questions[number]} for number in found.open_questions
        ],
    }


async def _known(request: Request, household_id: str, on: date | None) -> Known:
    """What is registered of a household. Raises `Problem` where it can't be read."""
    office = _office(request)
    async with request.app.state.service.db.acquire() as db:
        found = await store.registered(db, household_id)
        if found is None:
            raise Problem(404, "There is no such household", "Name a household by the id it was given.")
        _, kept = found
        keys = await keyring.load(db, office.master, [kept.persons.key_id])
    if (state := keys.state(kept.persons.key_id)) != "active":
        remedy = {"destroyed": "It was forgotten: give the answers instead.", "missing": "Try again shortly."}
        raise Problem(409, "This household can't be read", remedy[state])
    plain = keys.open(
        kept.persons.key_id, kept.persons.blob, event_id=kept.event_id, event_type=HOUSEHOLD_REGISTERED.name
    )
    return known_of(read(Home, plain), kept.commune, on or datetime.now(PHNOM_PENH).date())


def _office(request: Request) -> Office:
    office: Office = request.app.state.service.state
    return office


def _scorecards(request: Request) -> Mapping[str, Scorecard]:
    return _office(request).scorecards


def _scorecard(request: Request, scorecard_id: str) -> Scorecard:
    found = _scorecards(request).get(scorecard_id)
    if found is None:
        raise Problem(404, "There is no such scorecard", "List the scorecards, and name one by its id.")
    return found


def _summary(scorecard: Scorecard) -> dict[str, object]:
    document, published = scorecard.document, scorecard.published
    return {
        "id": scorecard.id,
        "name": published.name,
        "survey": published.survey,
        "lines": document.lines,
        "source": document.source,
        "licence": document.licence,
    }
