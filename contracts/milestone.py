"""A day that matters to a household came: it is judged anew as of that day, or should be told something."""

from datetime import date

from contracts.household import CommuneCode, HouseholdId, Revision
from contracts.model import UNRECOGNISED as _UNRECOGNISED
from contracts.model import Contract, OpenEnum
from contracts.sealed import Sealed


class MilestoneKind(OpenEnum):
    """Coarse on purpose: nothing here tells whose age or which circumstance changed.

    `circumstances_changed`: what programmes ask about may be otherwise from this day on (a birthday, a card
    that ran out); decisions that hang on the day are made anew. `card_expiring`: the Equity Card is valid to
    `due_on` only. `recertification_due`: the household should be registered anew by `due_on`.
    """

    CIRCUMSTANCES_CHANGED = "circumstances_changed"
    CARD_EXPIRING = "card_expiring"
    RECERTIFICATION_DUE = "recertification_due"
    UNRECOGNISED = _UNRECOGNISED


class MilestoneReached(Contract):
    """One kind of milestone of a household, as of the day `as_of` (Phnom Penh), whenever it was announced.

    `due_on` stands with what must be done by a day; `payee` seals a `Payee`, for whoever tells it.
    """

    household_id: HouseholdId
    revision: Revision
    as_of: date
    kind: MilestoneKind
    commune: CommuneCode
    due_on: date | None = None
    payee: Sealed
