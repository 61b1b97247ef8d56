"""What a ministry that offers a service is told of a household: a letter that it alone can open."""

from datetime import date
from typing import Annotated

from pydantic import Field

from contracts.household import (
    KHMER,
    CommuneCode,
    ContactPreference,
    HouseholdId,
    Language,
    Level,
    Revision,
    Sex,
    VillageCode,
)
from contracts.model import UNRECOGNISED as _UNRECOGNISED
from contracts.model import Contract, OpenEnum


class ReferralState(OpenEnum):
    """`withdrawn`: what it was made on holds no more, the consent was taken back, or the household left."""

    MADE = "made"
    WITHDRAWN = "withdrawn"
    UNRECOGNISED = _UNRECOGNISED


class ReferralMade(Contract):
    """A household referred to a ministry; for which service, and who, stands in `letter` alone.

    `number` counts a household's referrals and withdrawals. `decision_id` is the `eligibility.scored.v1` it
    came with; a withdrawal because of an exit has none. `letter` is a JWS of a `Referral` (ours) inside a JWE
    (to the ministry), padded, so that its length does not tell the service.
    """

    household_id: HouseholdId
    revision: Revision
    number: Annotated[int, Field(ge=1)]
    recipient: str
    state: ReferralState
    decision_id: str | None = None
    letter: Annotated[str, Field(description="JOSE compact serialisation")]


class Contact(Contract):
    """Whom to call or visit, in which language; `neutral`: name no service to who answers the phone."""

    name_km: str
    name_latin: str
    phone: str | None = None
    language: Language = KHMER
    contact: ContactPreference = ContactPreference.NEUTRAL


class ReferredPerson(Contract):
    """A member whom the service is for; `age` in whole years on the referral's day."""

    person_id: str
    name_km: str
    name_latin: str
    sex: Sex | None = None
    age: Annotated[int, Field(ge=0)]


class Referral(Contract):
    """The letter in `ReferralMade`: what this service needs, and nothing else of the household.

    `referral_id` is the idempotency key: a ministry takes a referral in once, however often it is told. A
    withdrawal names it, and says nothing more. `service_hash` is the SHA-256 of the service's file.
    """

    referral_id: str
    recipient: str
    state: ReferralState
    household_id: HouseholdId
    service: str | None = None
    service_hash: str | None = None
    as_of: date | None = None
    commune: CommuneCode | None = None
    village: VillageCode | None = None
    level: Level | None = None
    card_number: str | None = None
    members: Annotated[int, Field(ge=0)] | None = None
    contact: Contact | None = None
    persons: tuple[ReferredPerson, ...] = ()
