"""What eligibility decided about a household, with every line, reason and input named."""

from collections.abc import Iterable
from datetime import date
from hashlib import sha256
from typing import Annotated

from pydantic import Field

from contracts.household import AreaType, CommuneCode, HouseholdId, Level, Revision
from contracts.model import UNRECOGNISED as _UNRECOGNISED
from contracts.model import Contract, OpenEnum
from contracts.money import Currency, Riel
from contracts.sealed import Sealed

Period = Annotated[str, Field(pattern=r"^\d{4}-\d{2}$", description="the month paid for, YYYY-MM")]


SEALED_TOGETHER = "social-transfer"
"""The programme and the purpose under which all sensitive programmes are paid as one amount a household."""


class Outcome(OpenEnum):
    ELIGIBLE = "eligible"
    REFUSED = "refused"
    UNRECOGNISED = _UNRECOGNISED


class Line(Contract):
    """One line of an amount: component x count x rate, in riel. Never says which condition counted."""

    component: str
    count: Annotated[int, Field(ge=0)]
    rate: Riel
    amount: Riel


class ProgrammeDecision(Contract):
    """One programme's answer, judged on `as_of`: the open cycle's reference date, else the cause's day.

    `appeal_id` is the appeal that set its refusal aside; `reasons` then says `overturned-on-appeal`, and
    which were set aside.
    """

    programme: str
    programme_hash: str
    purpose: str
    as_of: date
    cycle_id: str | None = None
    period: Period | None = None
    outcome: Outcome
    amount: Riel = 0
    lines: tuple[Line, ...] = ()
    reasons: tuple[str, ...] = ()
    appeal_id: str | None = None


class SensitiveDecisions(Contract):
    """What `EligibilityScored.sensitive` seals: the decisions of sensitive programmes."""

    decisions: tuple[ProgrammeDecision, ...]


def terms_together(programmes: Iterable[tuple[str, str]]) -> str:
    """The programme hash of what is paid together: a SHA-256 over (id, hash), in the order of ids."""
    return sha256(" ".join(f"{name}:{hash_}" for name, hash_ in sorted(programmes)).encode()).hexdigest()


class EligibilityScored(Contract):
    """Every programme's decision for one revision of a household; replaces all earlier ones.

    A programme that is neither in force nor has an open cycle decides nothing. `sensitive` seals the
    decisions of sensitive programmes by the payee's key, under the event type `<type>/sensitive`; there are
    none of them in `decisions`. They are decided for an open cycle only: their own, or that of
    `SEALED_TOGETHER`, from which all of them are paid.

    Besides the revision and what each decision names, they rest on the `shocks` that held in its commune on
    a day judged, each `name@sequence` (as told up to that `ce_sequence` of the shock), on the household's
    condition reports numbered to `reports`, its appeals numbered to `appeals`, the day `judged_on` (Phnom
    Penh), and the programme files that `catalogue` names: a SHA-256 over the hashes of all, in the order of
    their ids.
    """

    household_id: HouseholdId
    revision: Revision
    commune: CommuneCode
    area_type: AreaType
    level: Level
    currency: Currency = "KHR"
    decisions: tuple[ProgrammeDecision, ...]
    shocks: tuple[str, ...] = ()
    reports: Annotated[int, Field(ge=0)] = 0
    appeals: Annotated[int, Field(ge=0)] = 0
    judged_on: date | None = None
    catalogue: str | None = None
    payee: Sealed
    sensitive: Sealed | None = None


class EligibilityCompleted(Contract):
    """A cycle is answered on one partition of `eligibility.scored.v1`, of `partitions` in all.

    Who was registered when eligibility took in the opening (the cycle's event number `opening`), or before
    that on this partition's log, has its answer below the offset `answered_below`; whoever has read so far
    has them all. `unanswered` households wait for a person: they can't be judged, or their message is parked.
    """

    cycle_id: str
    opening: Annotated[int, Field(ge=1)]
    partition: Annotated[int, Field(ge=0)]
    partitions: Annotated[int, Field(ge=1)]
    answered_below: Annotated[int, Field(ge=0)]
    unanswered: Annotated[int, Field(ge=0)] = 0
