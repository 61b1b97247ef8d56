"""What notifications reads of the others' events: less than they say, so that reading costs less."""

from datetime import date

from contracts.eligibility import Outcome, Period
from contracts.household import Account, Channel, CommuneCode, ContactPreference, HouseholdId, Revision
from contracts.model import Contract
from contracts.money import Riel
from contracts.payment import PaymentState
from contracts.sealed import Sealed


class HouseholdHeard(Contract):
    """Of `HouseholdRegistered`: whom to tell."""

    household_id: HouseholdId
    revision: Revision
    commune: CommuneCode
    payee: Sealed
    channel: Channel | None = None


class OutcomeHeard(Contract):
    """Of `ProgrammeDecision`: how it ended."""

    outcome: Outcome


class ScoredHeard(Contract):
    """Of `EligibilityScored`: how each programme's decision ended."""

    household_id: HouseholdId
    decisions: tuple[OutcomeHeard, ...]
    sensitive: Sealed | None = None


class SensitiveHeard(Contract):
    """Of `SensitiveDecisions`: how each of them ended."""

    decisions: tuple[OutcomeHeard, ...]


class IssuedHeard(Contract):
    """Of `PaymentIssued`: what an SMS may say of it."""

    payment_id: str
    household_id: HouseholdId
    programme: str
    partner: str
    period: Period
    amount: Riel
    withdraw_until: date


class UpdatedHeard(Contract):
    """Of `PaymentUpdated`: how it stands."""

    payment_id: str
    household_id: HouseholdId
    state: PaymentState


class Recipient(Contract):
    """Of `Payee`: who is told. A language is any word: the templates say which there are."""

    language: str = "km"
    contact: ContactPreference = ContactPreference.NEUTRAL
    phone: str | None = None
    fallback_phone: str | None = None
    account: Account | None = None
