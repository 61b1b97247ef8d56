"""The household as the HTTP API takes and gives it; examined as a row, by the same rules as a file."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts.household import ExitReason, HouseholdId, Payee, Persons
from services.registration.cells import Row
from services.registration.columns import MEMBERS_MOST, member_column

HOUSEHOLDS_MOST = 1_000

Text = Annotated[str, Field(max_length=1000)]


class MemberForm(BaseModel):
    """One person; the first of the list is the head. Empty texts mean not known."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name_km: Text
    name_latin: Text
    sex: Text
    birth_date: Text
    relation: Text
    conditions: list[Text] = []
    school: Text | None = None
    attendance_percent: int | None = None
    national_id: Text | None = None
    work: Text | None = None


class HouseholdForm(BaseModel):
    """A household in the words of the import file's columns."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    reference: Text
    village: Text
    level: Text
    card_number: Text | None = None
    card_expires_on: Text | None = None
    phone: Text | None = None
    fallback_phone: Text | None = None
    account_provider: Text | None = None
    account_number: Text | None = None
    contact: Text | None = None
    language: Text | None = None
    collector: int | None = None
    consents: list[Text] = []
    roof: Text | None = None
    walls: Text | None = None
    floor: Text | None = None
    toilet: Text | None = None
    water: Text | None = None
    electricity: Text | None = None
    assets: list[Text] = []
    members: Annotated[list[MemberForm], Field(min_length=1, max_length=MEMBERS_MOST)]

    def row(self) -> Row:
        """The same household as a row of the import file."""
        cells = _cells(self, HouseholdForm.model_fields.keys() - {"members"})
        for n, member in enumerate(self.members, 1):
            own = _cells(member, MemberForm.model_fields)
            cells |= {member_column(n, name): text for name, text in own.items()}
        return cells


class Revision(BaseModel):
    """The whole household as it is now; `replaces` is the revision that was looked at."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    replaces: Annotated[int, Field(ge=1)]
    household: HouseholdForm


class Households(BaseModel):
    """Some households, by id."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    household_ids: Annotated[list[HouseholdId], Field(max_length=HOUSEHOLDS_MOST)]


class Exit(BaseModel):
    """Why a household leaves."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    reason: Literal[
        ExitReason.GRADUATED,
        ExitReason.MOVED,
        ExitReason.DECEASED,
        ExitReason.CARD_REVOKED,
        ExitReason.ASKED_TO_LEAVE,
    ]


def form_of(reference: str, level: str, persons: Persons, payee: Payee) -> HouseholdForm:
    """A registered household as the form that a revision takes."""
    card, dwelling = persons.equity_card, persons.dwelling
    ids = [member.person_id for member in persons.members]
    materials = dwelling.model_dump(exclude={"electricity"}, exclude_none=True) if dwelling else {}
    electricity = dwelling.electricity if dwelling else None
    return HouseholdForm(
        reference=reference,
        village=persons.village,
        level=level,
        card_number=card.number if card else None,
        card_expires_on=card.expires_on.isoformat() if card and card.expires_on else None,
        phone=payee.phone,
        fallback_phone=payee.fallback_phone,
        account_provider=payee.account.provider if payee.account else None,
        account_number=payee.account.number if payee.account else None,
        contact=payee.contact,
        language=payee.language,
        collector=ids.index(payee.person_id) + 1,
        consents=list(persons.consents),
        electricity=None if electricity is None else "yes" if electricity else "no",
        assets=list(persons.assets),
        members=[
            MemberForm(
                name_km=member.name_km,
                name_latin=member.name_latin,
                sex=member.sex,
                birth_date=member.birth_date.isoformat(),
                relation=member.relation,
                conditions=list(member.conditions),
                school=member.school.level if member.school else None,
                attendance_percent=member.school.attendance_percent if member.school else None,
                national_id=member.national_id,
                work=member.work,
            )
            for member in persons.members
        ],
        **materials,
    )


def _cells(form: BaseModel, names: Iterable[str]) -> dict[str, str]:
    cells = {}
    for name in names:
        value = getattr(form, name)
        text = ";".join(value) if isinstance(value, list) else "" if value is None else str(value).strip()
        if text:
            cells[name] = text
    return cells
