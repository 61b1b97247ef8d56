"""What the single window says about a complaint: its number and its state, never what it is about."""

from datetime import date
from typing import Annotated

from pydantic import Field

from contracts.household import HouseholdId
from contracts.model import UNRECOGNISED as _UNRECOGNISED
from contracts.model import Contract, OpenEnum

Level = Annotated[int, Field(ge=1, le=4, description="1 commune, 2 district, 3 province, 4 nation")]


class GrievanceChannel(OpenEnum):
    SMS = "sms"
    WINDOW = "window"
    UNRECOGNISED = _UNRECOGNISED


class GrievanceState(OpenEnum):
    OPENED = "opened"
    ACKNOWLEDGED = "acknowledged"
    IN_WORK = "in_work"
    RESOLVED = "resolved"
    REJECTED = "rejected"
    REOPENED = "reopened"
    CLOSED = "closed"
    UNRECOGNISED = _UNRECOGNISED


class GrievanceOpened(Contract):
    """A complaint was taken in. `number` is what people are told; `message_id` where it came by SMS.

    The key is the household's id where one is known, else the grievance's.
    """

    grievance_id: str
    number: str
    household_id: HouseholdId | None = None
    message_id: str | None = None
    channel: GrievanceChannel
    level: Level
    due_on: date
    opened_by: str


class GrievanceUpdated(Contract):
    """A step on the way of a complaint: its state, its level, its last day; keyed as it was opened."""

    grievance_id: str
    number: str
    household_id: HouseholdId | None = None
    message_id: str | None = None
    state: GrievanceState
    level: Level
    due_on: date
    actor: str
