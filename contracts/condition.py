"""What was seen of a household's members between registrations: visits to health care, days at school."""

from datetime import date
from typing import Annotated

from pydantic import Field

from contracts.household import HouseholdId
from contracts.model import UNRECOGNISED as _UNRECOGNISED
from contracts.model import Contract, OpenEnum
from contracts.sealed import Sealed


class ConditionKind(OpenEnum):
    """What can be reported of a person; always sealed."""

    ANTENATAL_VISIT = "antenatal_visit"
    DELIVERY = "delivery"
    VACCINATION = "vaccination"
    POSTNATAL_VISIT = "postnatal_visit"
    ATTENDANCE = "attendance"
    UNRECOGNISED = _UNRECOGNISED


class ConditionReport(Contract):
    """What `ConditionReported.report` seals (key purpose `person`).

    `reference` is the business key within a household: a later report of the same one supersedes it, and
    with `withdrawn` takes it back. `on` is the day of a visit, or the last day of the term attended.
    `reported_on` is the day of the first report of this reference, in Phnom Penh.
    """

    reference: Annotated[str, Field(min_length=1, max_length=120)]
    person_id: str
    kind: ConditionKind
    on: date
    reported_on: date
    attendance_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    babies: Annotated[int, Field(ge=1, le=5)] | None = None
    withdrawn: bool = False


class ConditionReported(Contract):
    """The report numbered `number` of a household, counted from 1 without a gap; it is `ce_sequence`, too.

    A decision names the last number it rests on. The blob is padded, so that its length tells no kind.
    """

    household_id: HouseholdId
    number: Annotated[int, Field(ge=1)]
    reported_by: str
    report: Sealed
