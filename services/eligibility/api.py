"""Eligibility over HTTP: the programmes in use, what was decided about a household, and how far it got."""

import json
from collections.abc import Mapping
from typing import Annotated

import asyncpg
from fastapi import APIRouter, Depends, Query, Request

from postbox.callers import Caller, allowed
from postbox.problems import Problem
from postbox.telemetry import trace_id
from services.eligibility import packages, store, vocabulary
from services.eligibility.handlers import Office
from services.eligibility.programmes import Programme, check_stacking, parse
from services.eligibility.reading import FileRefused

router = APIRouter(tags=["eligibility"])
Reader = Annotated[Caller, Depends(allowed("read"))]
FileName = Annotated[str, Query(pattern=r"^[a-z0-9-]+\.yaml$", max_length=90)]
LARGEST_FILE = 256 * 1024


@router.get("/programmes")
async def list_programmes(request: Request, _: Reader) -> list[dict[str, object]]:
    """The programmes every household is scored with; `hash` names their content in decisions and cycles."""
    return [
        {
            "id": each.id,
            "name": each.document.name,
            "hash": each.hash,
            "purpose": each.document.purpose,
            "frequency": each.document.frequency,
            "sensitive": each.document.sensitive,
            "draft": each.document.draft,
            "missing": each.missing,
            "levels": each.document.levels,
            "versions": [
                {"valid_from": version.valid_from, "valid_to": version.valid_to}
                for version in each.document.versions
            ],
        }
        for each in _office(request).programmes
    ]


@router.get("/programmes/{programme_id}")
async def show_programme(request: Request, programme_id: str, _: Reader) -> dict[str, object]:
    """One programme whole: rates with evidence and source, conditions, worked examples."""
    programme = _programmes(request).get(programme_id)
    if programme is None:
        raise Problem(404, "There is no such programme", "List the programmes, and name one by its id.")
    document = programme.document.model_dump(mode="json")
    return {"hash": programme.hash, "missing": programme.missing, **document}


@router.post("/programmes/check")
async def check_programme(request: Request, file: FileName, _: Reader) -> dict[str, object]:
    """Check a programme file (YAML, at most 256 KiB) and run its worked examples; it is not kept."""
    content = await request.body()
    if len(content) > LARGEST_FILE:
        raise Problem(413, "The file is too large", f"A programme file has at most {LARGEST_FILE} bytes.")
    known = _office(request).panel
    try:
        programme = parse(file, content)
        check_stacking({**known.programmes, programme.id: programme})
    except FileRefused as refused:
        raise Problem(422, "The programme file is refused", str(refused)) from None
    tried = [each._asdict() for each in packages.try_examples(known, programme)]
    return {"id": programme.id, "hash": programme.hash, "missing": programme.missing, "examples": tried}


@router.get("/facts")
async def list_facts(_: Reader) -> list[dict[str, str]]:
    """The facts that conditions and counts of a programme file may ask for."""
    return list(vocabulary.rows())


@router.get("/households/{household_id}/decisions")
async def list_decisions(request: Request, household_id: str, _: Reader) -> list[dict[str, object]]:
    """Every decision about a household, oldest first; those of the highest `sequence` hold."""
    async with request.app.state.service.db.acquire() as db:
        found = await store.decisions_of(db, household_id)
    return [_shown(each) for each in found]


@router.get("/households/{household_id}/story")
async def story(request: Request, household_id: str, _: Reader) -> list[dict[str, object]]:
    """What was decided about this household, oldest first; lines say how much, never why a person counts."""
    async with request.app.state.service.db.acquire() as db:
        found = await store.decisions_of(db, household_id)
    return [
        {
            "at": each["decided_at"].isoformat(),
            "service": "eligibility",
            "what": f"scored: {each['outcome']}",
            "trace_id": trace_id(each["traceparent"]),
            "detail": _detail(each),
        }
        for each in found
    ]


@router.get("/caseloads")
async def list_caseloads(request: Request, _: Reader) -> list[dict[str, object]]:
    """Households scored again because a cycle opened or ended, and how far that got."""
    async with request.app.state.service.db.acquire() as db:
        return [dict(each) for each in await store.caseloads(db)]


@router.get("/summary")
async def summary(request: Request, _: Reader) -> dict[str, int]:
    """Households and riel by each household's latest decisions, and how far running caseloads got.

    `households` were scored = `eligible` + `refused` = `in_cycle` + `without_cycle`; those that left since
    are among them, and in `exited`. `forgotten` had their keys destroyed before they could be scored.
    """
    async with request.app.state.service.db.acquire() as db:
        return await store.totals(db)


def _office(request: Request) -> Office:
    office: Office = request.app.state.service.state
    return office


def _programmes(request: Request) -> Mapping[str, Programme]:
    return _office(request).panel.programmes


def _shown(decision: asyncpg.Record) -> dict[str, object]:
    named = {name: value for name, value in decision.items() if name != "traceparent"}
    return {**named, "reasons": json.loads(decision["reasons"]), "lines": json.loads(decision["lines"])}


def _detail(decision: asyncpg.Record) -> dict[str, object]:
    lines = [
        f"{line['component'].replace('_', ' ')} {line['count']} × {line['rate']}"
        for line in json.loads(decision["lines"])
    ]
    said = {
        "programme": decision["programme"],
        "cycle": decision["cycle_id"],
        "as_of": decision["as_of"].isoformat(),
        "revision": decision["revision"],
        "riel": decision["amount"] if decision["outcome"] == "eligible" else None,
        "lines": " + ".join(lines),
        "reasons": ", ".join(json.loads(decision["reasons"])),
    }
    return {name: value for name, value in said.items() if value}
