"""What the single window does for a caller who registers, revises or lets a household exit."""

import hashlib
from datetime import datetime

from pydantic import BaseModel

from contracts import wire
from contracts.household import ExitReason
from postbox.callers import Caller
from postbox.message import Connection
from postbox.problems import Problem
from services.registration import admission, duplicates, registering, store, store_imports
from services.registration.admission import Candidate, Conflict, New, Outside, Repeated
from services.registration.cells import Flaw
from services.registration.duplicates import Duplicate
from services.registration.forms import HouseholdForm
from services.registration.office import Office
from services.registration.registering import LANE_API, Act, Arrival
from services.registration.rules import examine
from services.registration.store import Answered, Kept


class Receipt(BaseModel):
    """What is kept of a household after a request."""

    household_id: str
    revision: int
    state: str = "registered"


class Doubled(Exception):
    """A household claims what another one holds."""

    def __init__(self, reference: str, duplicate: Duplicate) -> None:
        super().__init__(Doubled.__doc__)
        self.reference = reference
        self.duplicate = duplicate


class Desk:
    """One caller's request, in a transaction that is open. Raises `Problem` or `Doubled` to refuse."""

    def __init__(
        self, office: Office, db: Connection, caller: Caller, at: datetime, cause: wire.Cause
    ) -> None:
        self._office = office
        self.db = db
        self.caller = caller
        self.cause = cause
        self.at = at
        self._act = Act(caller.name, at, LANE_API)

    async def register(self, form: HouseholdForm, request_id: str) -> Receipt:
        """Register a household, once per request id."""
        candidate = self._candidate(form)
        first = await store.answered(self.db, self.caller.name, request_id)
        if first is not None:
            return _again(first, candidate)
        household_id, revision = await self._admit(candidate)
        hashed = _hash_of(candidate.household.reference, candidate.content.hash)
        kept = Answered(hashed, household_id, revision)
        await store.remember(self.db, self.caller.name, request_id, kept, self._act.at)
        return Receipt(household_id=household_id, revision=revision)

    async def revise(self, household_id: str, replaces: int, form: HouseholdForm) -> Receipt:
        """Replace a household's content where `replaces` is its current revision; a retry changes nothing."""
        kept = await self._locked(household_id)
        candidate = self._candidate(form)
        household, current = candidate.household, kept.registration
        if household.reference != current.reference:
            raise _invalid([Flaw("reference", "", "is another household's", "A reference can't be changed.")])
        if not self.caller.covers(household.commune):
            raise _outside("Ask the office of that commune to take the household over.")
        same = not kept.exited and household.has_hash(current.content_hash, candidate.content)
        if same and replaces in (current.revision, current.revision - 1):
            return Receipt(household_id=household_id, revision=current.revision)
        if replaces != current.revision:
            raise _conflict(household_id, current.revision, "Read the household again and revise that.")
        holders = await store.holders(self.db, household.claims)
        if duplicate := duplicates.find(household.claims, holders, household_id):
            raise Doubled(household.reference, duplicate)
        arrival = Arrival(household_id, household, candidate.content, self.cause)
        revised = await registering.revise(self.db, self._office.master, kept, arrival, self._act)
        await self._resolve(household.reference)
        return Receipt(household_id=household_id, revision=revised.revision)

    async def leave(self, household_id: str, reason: ExitReason) -> Receipt:
        """Let a household exit; the same exit again changes nothing."""
        kept = await self._locked(household_id)
        revision = kept.registration.revision
        if not kept.exited:
            revision = await registering.leave(self.db, kept, reason, self.cause, self._act)
        elif (await store.changes(self.db, household_id))[-1].reason != reason:
            raise _conflict(household_id, revision, "The household exited already, for another reason.")
        return Receipt(household_id=household_id, revision=revision, state="exited")

    def _candidate(self, form: HouseholdForm) -> Candidate:
        found = examine(form.row(), self._office.gazetteer, self._act.at.date())
        if isinstance(found, list):
            raise _invalid(found)
        return Candidate(found, found.content())

    async def _admit(self, candidate: Candidate) -> tuple[str, int]:
        """The household's id and revision."""
        household = candidate.household
        known, holders = await store.met(self.db, [household.reference], household.claims)
        id_of = self._office.household_id
        answer = admission.admit([candidate], known, holders, self.caller.covers, None, id_of=id_of)[0]
        if isinstance(answer, Duplicate):
            raise Doubled(household.reference, answer)
        if isinstance(answer, Outside):
            raise _outside(answer.flaw.remedy)
        if isinstance(answer, Conflict | Repeated):
            raise _conflict(answer.known.household_id, answer.known.revision, answer.flaw.remedy)
        if isinstance(answer, New):
            arrival = Arrival(answer.household_id, household, candidate.content, self.cause)
            await registering.register(self.db, self._office.master, [arrival], self._act)
            await self._resolve(household.reference)
            return answer.household_id, 1
        return answer.known.household_id, answer.known.revision

    async def _locked(self, household_id: str) -> Kept:
        await store.lock(self.db, household_id)
        return within(await store.find(self.db, household_id), self.caller)

    async def _resolve(self, reference: str) -> None:
        await store_imports.resolve(
            self.db,
            references=[reference],
            caller=self._act.by,
            area=self.caller.area,
            at=self._act.at,
        )


def within(kept: Kept | None, caller: Caller) -> Kept:
    """A household within the caller's area. Outside it, that the household exists is not told."""
    if kept is None or not caller.covers(kept.registration.commune):
        raise Problem(404, "No such household in your area", "Check the id, or ask the office above yours.")
    return kept


async def doubled(db: Connection, caller: Caller, found: Doubled, at: datetime) -> Problem:
    """The refusal of a duplicate: a pointer to the first household, or a case number if outside the area."""
    pointer: dict[str, object] = {"first_household_id": found.duplicate.first.household_id}
    number = None
    case = duplicates.case(found.reference, found.duplicate, caller.area)
    if case is not None:
        number = (await store.open_cases(db, [case], caller.name, at))[case]
        pointer = {"case_number": number}
    told = duplicates.flaw(found.duplicate, number)
    return Problem(409, told.reason.capitalize(), told.remedy, field=told.field, **pointer)


def _invalid(flaws: list[Flaw]) -> Problem:
    return Problem(
        422,
        "The household can't be registered like this",
        "Correct the fields named in `errors`.",
        errors=[flaw._asdict() for flaw in flaws],
    )


def _outside(remedy: str) -> Problem:
    return Problem(403, "The village lies outside your area", remedy, field="village")


def _conflict(household_id: str, revision: int, remedy: str) -> Problem:
    return Problem(
        409,
        "The household is registered with other content",
        remedy,
        household_id=household_id,
        current_revision=revision,
    )


def _hash_of(reference: str, content_hash: bytes) -> bytes:
    # By what was the household's id once: a request from then is known when it is sent again.
    return hashlib.sha256(wire.uuid5(f"household/{reference}").encode() + content_hash).digest()


def _again(first: Answered, candidate: Candidate) -> Receipt:
    household = candidate.household
    hashes = (candidate.content.hash, household.longer_hash())
    if first.content_hash not in [_hash_of(household.reference, each) for each in hashes]:
        raise Problem(
            409,
            "This request id was used for other content",
            "Send other content under another Idempotency-Key.",
            household_id=first.household_id,
        )
    return Receipt(household_id=first.household_id, revision=first.revision)
