"""Recomputing over HTTP: events of the log are sent in, and said to be equal to what is decided of them now.

The caller reads the log; the keys that open it and the programme files of every hash are here.
"""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from contracts.appeal import AppealDecided, Ruling
from contracts.condition import ConditionReport, ConditionReported
from contracts.eligibility import EligibilityScored, SensitiveDecisions
from contracts.household import HouseholdRegistered
from contracts.model import Contract
from contracts.sealed import Sealed
from contracts.shock import ShockDeclared, ShockEnded
from contracts.topics import (
    APPEAL_DECIDED,
    CONDITION_REPORTED,
    ELIGIBILITY_SCORED,
    HOUSEHOLD_REGISTERED,
    SHOCK_DECLARED,
    SHOCK_ENDED,
    Topic,
)
from contracts.wire import M, Received, WireError, decode, load
from postbox.callers import Caller, allowed
from postbox.message import Connection
from postbox.problems import Problem
from services.eligibility import library, store_library
from services.eligibility.appeals import Appeal
from services.eligibility.events import SENSITIVE_TYPE
from services.eligibility.facts import People
from services.eligibility.grounds import Known
from services.eligibility.handlers import Office
from services.eligibility.packages import Panel
from services.eligibility.poverty import Poverty
from services.eligibility.reading import FileRefused
from services.eligibility.recomputing import Finding, Verdict, recompute
from services.eligibility.shocks import Shock, as_told
from services.eligibility.structs import read
from vault import keyring
from vault.sealing import KeyMissing, Keys, SealBroken

router = APIRouter(tags=["recomputing"])
Reader = Annotated[Caller, Depends(allowed("read"))]
MOST = 200


class Told(BaseModel):
    """A record of the log: its key, its value as text, and its headers."""

    key: str
    value: str
    headers: dict[str, str]

    def received(self, topic: Topic, contract: type[M]) -> Received[M]:
        headers = [(name, value.encode()) for name, value in self.headers.items()]
        return decode(contract, topic.name, self.key.encode(), self.value.encode(), headers)


class Case(BaseModel):
    """A decision of the log, and the events it rests on; `registered` is of the revision it names."""

    scored: Told
    registered: Told | None = None
    reports: Annotated[tuple[Told, ...], Field(max_length=2000)] = ()
    appeals: Annotated[tuple[Told, ...], Field(max_length=200)] = ()


class Cases(BaseModel):
    """At most 200 at a time; `declared` and `ended` tell of the shocks that they name."""

    cases: Annotated[tuple[Case, ...], Field(max_length=MOST)]
    declared: Annotated[tuple[Told, ...], Field(max_length=10_000)] = ()
    ended: Annotated[tuple[Told, ...], Field(max_length=10_000)] = ()


class Shaken(NamedTuple):
    """What the log tells of shocks."""

    declared: list[Received[ShockDeclared]]
    ended: list[Received[ShockEnded]]

    def of(self, told: EligibilityScored) -> tuple[Shock, ...] | None:
        """The shocks that a decision names, in its commune; None where one can't be told from the log."""
        found = [as_told(self.declared, self.ended, name) for name in told.shocks]
        known = tuple(each for each in found if each is not None and told.commune in each.communes)
        return known if len(known) == len(found) else None


@router.post("/recomputations")
async def recomputations(request: Request, asked: Cases, _: Reader) -> list[dict[str, object]]:
    """For each case whether it comes out equal, in their order; nothing is kept and nobody is shown."""
    office: Office = request.app.state.service.state
    try:
        scored = [each.scored.received(ELIGIBILITY_SCORED, EligibilityScored) for each in asked.cases]
        shaken = Shaken(
            [each.received(SHOCK_DECLARED, ShockDeclared) for each in asked.declared],
            [each.received(SHOCK_ENDED, ShockEnded) for each in asked.ended],
        )
    except WireError as error:
        raise Problem(422, "A record can't be read", f"Send it as it stands on its topic: {error}.") from None
    async with request.app.state.service.db.acquire() as db:
        keys = await _keys(office, db, asked.cases)
        catalogues, poverty = {each.data.catalogue for each in scored}, office.panel.poverty
        panels = {name: await _panel(db, name, poverty) for name in catalogues}
    found = [
        _compared(case, told, keys, panels[told.data.catalogue], shaken.of(told.data))
        for case, told in zip(asked.cases, scored, strict=True)
    ]
    return [
        {"household_id": told.key, "sequence": told.sequence, **finding._asdict()}
        for told, finding in zip(scored, found, strict=True)
    ]


@router.get("/programme-files/{file_hash}", response_class=Response)
async def programme_file(request: Request, file_hash: str, _: Reader) -> Response:
    """A programme file by its SHA-256, byte for byte as it decided."""
    async with request.app.state.service.db.acquire() as db:
        content = await store_library.file(db, file_hash)
    if content is None:
        raise Problem(404, "No programme file has this hash", "Take a hash that a decision names.")
    return Response(content, media_type="application/yaml")


async def _keys(office: Office, db: Connection, cases: Sequence[Case]) -> Keys:
    found = set[str]()
    for case in cases:
        for told in (case.scored, case.registered, *case.reports, *case.appeals):
            found |= _key_ids(told.value) if told is not None else set()
    return await keyring.load(db, office.master, sorted(found))


def _key_ids(value: str) -> set[str]:
    said = load(_Names, value.encode())
    parts = (said.persons, said.payee, said.sensitive, said.report, said.ruling)
    return {part.key_id for part in parts if part is not None}


class _Names(Contract):
    """Every sealed part that an event of these topics may have."""

    persons: Sealed | None = None
    payee: Sealed | None = None
    sensitive: Sealed | None = None
    report: Sealed | None = None
    ruling: Sealed | None = None


async def _panel(db: Connection, catalogue: str | None, poverty: Poverty | None) -> Panel | None:
    files = await store_library.catalogue(db, catalogue) if catalogue else {}
    try:
        return library.panel_of(files, poverty) if files else None
    except FileRefused:
        return None


def _compared(
    case: Case,
    scored: Received[EligibilityScored],
    keys: Keys,
    panel: Panel | None,
    shocks: tuple[Shock, ...] | None,
) -> Finding:
    told = scored.data
    if panel is None or shocks is None:
        what = "a shock that it names" if panel else "the programme files of that time"
        return Finding(Verdict.MISSING, why=what)
    if case.registered is None:
        return Finding(Verdict.MISSING, why="the registration of that revision")
    try:
        registered = case.registered.received(HOUSEHOLD_REGISTERED, HouseholdRegistered)
        people = _open(keys, registered.data.persons, registered.id, HOUSEHOLD_REGISTERED.name)
        sensitive = _open(keys, told.sensitive, scored.id, SENSITIVE_TYPE) if told.sensitive else b""
        if people is None or sensitive is None:
            return Finding(Verdict.FORGOTTEN)
        known = Known(
            read(People, people),
            _reports(case, keys, told.reports),
            _appeals(case, keys, told.appeals),
            shocks,
            persons=people,
        )
        if (len(known.reports), len(known.appeals)) != (told.reports, told.appeals):
            return Finding(Verdict.MISSING, why="a condition report or an appeal that it rests on")
        hidden = load(SensitiveDecisions, sensitive).decisions if sensitive else ()
    except (WireError, KeyMissing, SealBroken) as error:
        return Finding(Verdict.MISSING, why=f"an event that can be read ({type(error).__name__})")
    return recompute(panel, told, hidden, registered, known)


def _open(keys: Keys, sealed: Sealed, event_id: str, event_type: str) -> bytes | None:
    if keys.state(sealed.key_id) == "destroyed":
        return None
    return keys.open(sealed.key_id, sealed.blob, event_id=event_id, event_type=event_type)


def _reports(case: Case, keys: Keys, last: int) -> tuple[ConditionReport, ...]:
    received = [each.received(CONDITION_REPORTED, ConditionReported) for each in case.reports]
    by_number = {each.data.number: each for each in received if each.data.number <= last}
    opened = [
        _open(keys, each.data.report, each.id, CONDITION_REPORTED.name)
        for _, each in sorted(by_number.items())
    ]
    return tuple(load(ConditionReport, plain) for plain in opened if plain is not None)


def _appeals(case: Case, keys: Keys, last: int) -> tuple[Appeal, ...]:
    received = [each.received(APPEAL_DECIDED, AppealDecided) for each in case.appeals]
    by_number = {each.data.number: each for each in received if each.data.number <= last}
    found = []
    for number, each in sorted(by_number.items()):
        plain = _open(keys, each.data.ruling, each.id, APPEAL_DECIDED.name)
        if plain is not None:
            said = each.data
            found.append(Appeal(number, said.appeal_id, said.revision, said.verdict, load(Ruling, plain)))
    return tuple(found)
