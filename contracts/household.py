"""What registration says about a household."""

from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from contracts.model import UNRECOGNISED as _UNRECOGNISED
from contracts.model import Contract, OpenEnum
from contracts.sealed import Sealed

HouseholdId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9-]+$")]
CommuneCode = Annotated[str, Field(pattern=r"^\d{6}$", description="gazetteer code, leading zeros kept")]
VillageCode = Annotated[str, Field(pattern=r"^\d{8}$", description="gazetteer code, leading zeros kept")]
Revision = Annotated[int, Field(ge=1)]
KHMER, ENGLISH = "km", "en"
Language = Annotated[str, Field(title="Language", json_schema_extra={"x-extensible-enum": [KHMER, ENGLISH]})]
"""A language tag (BCP 47); any is read as it stands. The schema names those with words from the start."""


class Sex(OpenEnum):
    FEMALE = "female"
    MALE = "male"
    UNRECOGNISED = _UNRECOGNISED


class Relation(OpenEnum):
    HEAD = "head"
    SPOUSE = "spouse"
    CHILD = "child"
    PARENT = "parent"
    GRANDCHILD = "grandchild"
    SIBLING = "sibling"
    OTHER = "other"
    UNRECOGNISED = _UNRECOGNISED


class Condition(OpenEnum):
    """Personal circumstances that programmes ask about; always sealed."""

    DISABILITY = "disability"
    PREGNANCY = "pregnancy"
    HIV = "hiv"
    RETURNED_MIGRANT = "returned_migrant"
    UNRECOGNISED = _UNRECOGNISED


class SchoolLevel(OpenEnum):
    PRIMARY = "primary"
    LOWER_SECONDARY = "lower_secondary"
    UPPER_SECONDARY = "upper_secondary"
    UNRECOGNISED = _UNRECOGNISED


class Work(OpenEnum):
    """A member's work: `formal` is registered for social security, `none` is no paid work."""

    FORMAL = "formal"
    INFORMAL = "informal"
    NONE = "none"
    UNRECOGNISED = _UNRECOGNISED


class Level(OpenEnum):
    """The IDPoor level printed on the Equity Card; an input here, never invented by the system."""

    POOR_1 = "poor_1"
    POOR_2 = "poor_2"
    AT_RISK = "at_risk"
    NONE = "none"
    UNRECOGNISED = _UNRECOGNISED


class AreaType(OpenEnum):
    """Province 12 is `phnom_penh`; a Sangkat elsewhere `other_urban`; a Khum `rural`."""

    PHNOM_PENH = "phnom_penh"
    OTHER_URBAN = "other_urban"
    RURAL = "rural"
    UNRECOGNISED = _UNRECOGNISED


class Purpose(OpenEnum):
    """What a household may consent to."""

    DELIVERY = "delivery"
    HEALTH_DATA = "health_data"
    REFERRAL = "referral"
    RESEARCH = "research"
    UNRECOGNISED = _UNRECOGNISED


class ContactPreference(OpenEnum):
    """`none`: no SMS. `neutral`: no programme name, no reasons. `full`: as written in the template."""

    NONE = "none"
    NEUTRAL = "neutral"
    FULL = "full"
    UNRECOGNISED = _UNRECOGNISED


class School(Contract):
    """Enrolment of a member: level, and attendance of the last term in percent where known."""

    level: SchoolLevel
    attendance_percent: Annotated[int, Field(ge=0, le=100)] | None = None


class Member(Contract):
    """One person of a household; `person_id` is opaque and stays the same through revisions."""

    person_id: str
    name_km: str
    name_latin: str
    sex: Sex
    birth_date: date
    relation: Relation
    conditions: tuple[Condition, ...] = ()
    school: School | None = None
    national_id: str | None = None
    work: Work | None = None


class EquityCard(Contract):
    """The IDPoor card: number as printed, level, last day of validity."""

    number: str
    expires_on: date | None = None


class Account(Contract):
    """Where money can be sent: the provider's id and the account number as it prints it."""

    provider: str
    number: str


class Dwelling(Contract):
    """Materials and services of the dwelling, in the words of the scorecard."""

    roof: str | None = None
    walls: str | None = None
    floor: str | None = None
    toilet: str | None = None
    water: str | None = None
    electricity: bool | None = None


class Persons(Contract):
    """The sealed part about persons (key purpose `person`)."""

    members: Annotated[tuple[Member, ...], Field(min_length=1, max_length=40)]
    village: VillageCode
    equity_card: EquityCard | None = None
    dwelling: Dwelling | None = None
    assets: tuple[str, ...] = ()
    consents: tuple[Purpose, ...] = ()


class Payee(Contract):
    """The sealed part about who collects and is told (key purpose `payee`). Phones are E.164.

    `fallback_phone`: whom to tell where `phone` is missing, or is another household's, too.
    """

    person_id: str
    name_km: str
    name_latin: str
    phone: str | None = None
    account: Account | None = None
    language: Language = KHMER
    contact: ContactPreference = ContactPreference.NEUTRAL
    fallback_phone: str | None = None


class Channel(OpenEnum):
    """How a household came to be registered: at an office's desk, or as a row of a file."""

    DESK = "desk"
    FILE = "file"
    UNRECOGNISED = _UNRECOGNISED


class HouseholdRegistered(Contract):
    """A household as of one revision: the first, or one that replaces the revision it names."""

    household_id: HouseholdId
    revision: Revision
    replaces: Revision | None = None
    commune: CommuneCode
    area_type: AreaType
    level: Level
    registered_by: str
    channel: Channel | None = None
    persons: Sealed
    payee: Sealed


class ExitReason(OpenEnum):
    GRADUATED = "graduated"
    MOVED = "moved"
    DECEASED = "deceased"
    CARD_REVOKED = "card_revoked"
    ASKED_TO_LEAVE = "asked_to_leave"
    DUPLICATE = "duplicate"
    UNRECOGNISED = _UNRECOGNISED


class HouseholdExited(Contract):
    """A household that left; decisions at or below `revision` are void."""

    household_id: HouseholdId
    revision: Revision
    reason: ExitReason
    exited_by: str


class KeyPurpose(StrEnum):
    PERSON = "person"
    PAYEE = "payee"


class KeyState(StrEnum):
    ACTIVE = "active"
    DESTROYED = "destroyed"


class DataKey(Contract):
    """A data key wrapped by the master key; `destroyed` carries none and is kept for ever."""

    key_id: str
    purpose: KeyPurpose
    state: KeyState
    master_key_id: str | None = None
    wrapped: bytes | None = None


class HouseholdKeys(Contract):
    """All data keys a household ever had; a later event of the household replaces this one."""

    household_id: HouseholdId
    keys: Annotated[tuple[DataKey, ...], Field(min_length=1)]


class HouseholdKey(Contract):
    """One data key, as it was told before `HouseholdKeys`: read still, and written no more."""

    household_id: HouseholdId
    key_id: str
    purpose: KeyPurpose
    state: KeyState
    master_key_id: str | None = None
    wrapped: bytes | None = None
