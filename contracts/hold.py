"""What payments says of holds that people place: who is not paid for the time being, and who let them go."""

from typing import Annotated

from pydantic import Field

from contracts.household import HouseholdId
from contracts.model import UNRECOGNISED as _UNRECOGNISED
from contracts.model import Contract, OpenEnum


class HoldState(OpenEnum):
    PLACED = "placed"
    RELEASED = "released"
    UNRECOGNISED = _UNRECOGNISED


class HoldChanged(Contract):
    """A hold on a household, or on an account (its keyed digest, which says nothing without our key).

    `reason` is a code, never free text. `screening` places holds, too; one who placed it does not release it.
    """

    hold_id: str
    state: HoldState
    household_id: HouseholdId | None = None
    account_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    reason: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    actor: str
