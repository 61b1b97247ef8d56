"""What payments reads of the others' events: less than they say, so that reading costs less."""

from contracts.eligibility import Outcome, Period
from contracts.household import CommuneCode, HouseholdId, Revision
from contracts.model import Contract
from contracts.money import Riel
from contracts.sealed import Sealed


class DecisionHeard(Contract):
    """Of `ProgrammeDecision`: what is due, and for what."""

    programme: str
    programme_hash: str
    purpose: str
    cycle_id: str | None = None
    period: Period | None = None
    outcome: Outcome
    amount: Riel = 0


class ScoredHeard(Contract):
    """Of `EligibilityScored`: what was decided, and who collects."""

    household_id: HouseholdId
    revision: Revision
    commune: CommuneCode
    decisions: tuple[DecisionHeard, ...]
    payee: Sealed
    sensitive: Sealed | None = None


class SensitiveHeard(Contract):
    """Of `SensitiveDecisions`: what each of them decided."""

    decisions: tuple[DecisionHeard, ...]
