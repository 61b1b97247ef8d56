"""A decision that people looked at again: who overturned what, and why."""

from datetime import date
from typing import Annotated

from pydantic import Field

from contracts.household import HouseholdId, Revision
from contracts.model import UNRECOGNISED as _UNRECOGNISED
from contracts.model import Contract, OpenEnum
from contracts.sealed import Sealed


class Verdict(OpenEnum):
    OVERTURNED = "overturned"
    UPHELD = "upheld"
    UNRECOGNISED = _UNRECOGNISED


class Ruling(Contract):
    """What `AppealDecided.ruling` seals (key purpose `person`): the decision appealed against, and why.

    An overturned refusal is set aside where `waived` names its reasons: the programme then pays by its own
    rates. It stands for this revision of the household, and for days judged to `stands_until`.
    """

    programme: str
    cycle_id: str | None = None
    waived: tuple[str, ...]
    why: Annotated[str, Field(min_length=1, max_length=2000)]
    stands_until: date


class AppealDecided(Contract):
    """The appeal numbered `number` of a household, decided; people are known by their tokens.

    `prepared_by` and `decided_by` are two people. A decision names the last number it rests on, and the
    appeal that set its refusal aside.
    """

    household_id: HouseholdId
    number: Annotated[int, Field(ge=1)]
    appeal_id: str
    revision: Revision
    verdict: Verdict
    prepared_by: str
    decided_by: str
    ruling: Sealed
