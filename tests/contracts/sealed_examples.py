"""What the examples of the contracts hold sealed: persons, a payee, sensitive decisions, reports, rulings."""

from datetime import date

from contracts.appeal import Ruling
from contracts.condition import ConditionKind, ConditionReport
from contracts.eligibility import Line, Outcome, ProgrammeDecision, SensitiveDecisions
from contracts.household import (
    KHMER,
    Account,
    Condition,
    ContactPreference,
    Dwelling,
    EquityCard,
    Member,
    Payee,
    Persons,
    Purpose,
    Relation,
    School,
    SchoolLevel,
    Sex,
    Work,
)

PROGRAMME = "covid-19-cash-transfer"
CYCLE = "covid-19-cash-transfer-2023-06"
HASH = "9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab"  # pragma: allowlist secret
APPEAL = "2c9e6a1d-4444-5555-8666-c77788899900"
PERSON = "8e8f2b0c-4a51-4c5d-9b7e-2f6f3f0a1b2c"

PERSONS = Persons(
    members=(
        Member(
            person_id=PERSON,
            name_km="សុខ ដារ៉ា",
            name_latin="Sok Dara",
            sex=Sex.FEMALE,
            birth_date=date(1986, 4, 13),
            relation=Relation.HEAD,
            conditions=(Condition.DISABILITY, Condition.PREGNANCY),
            school=School(level=SchoolLevel.PRIMARY, attendance_percent=85),
            national_id="010203040",
            work=Work.INFORMAL,
        ),
    ),
    village="12010101",
    equity_card=EquityCard(number="EC-1201-000001", expires_on=date(2024, 12, 31)),
    dwelling=Dwelling(roof="tin", walls="wood", floor="earth", toilet="none", water="well", electricity=True),
    assets=("bicycle", "radio"),
    consents=(Purpose.DELIVERY, Purpose.HEALTH_DATA),
)
FROZEN_PERSONS = PERSONS.model_copy(
    update={"members": tuple(each.model_copy(update={"work": None}) for each in PERSONS.members)}
)
"""What the frozen records hold sealed: `work` came later."""

SENSITIVE = SensitiveDecisions(
    decisions=(
        ProgrammeDecision(
            programme="family-package-hiv",
            programme_hash=HASH,
            purpose="family-package-hiv",
            as_of=date(2024, 5, 1),
            cycle_id="family-package-hiv-2024-05",
            period="2024-05",
            outcome=Outcome.ELIGIBLE,
            amount=28_000,
            lines=(Line(component="person_living_with_hiv", count=1, rate=28_000, amount=28_000),),
            reasons=("level-covered",),
            appeal_id=APPEAL,
        ),
    )
)
PAYEE = Payee(
    person_id=PERSON,
    name_km="សុខ ដារ៉ា",
    name_latin="Sok Dara",
    phone="+85512345678",
    account=Account(provider="wing", number="00123456"),
    language=KHMER,
    contact=ContactPreference.FULL,
    fallback_phone="+85598765432",
)
FROZEN_PAYEE = PAYEE.model_copy(update={"fallback_phone": None})
"""What the frozen records hold sealed: `fallback_phone` came later."""


REPORTED = ConditionReport(
    reference="vaccination/2023-06-12",
    person_id=PERSON,
    kind=ConditionKind.VACCINATION,
    on=date(2023, 6, 12),
    reported_on=date(2023, 6, 14),
    attendance_percent=90,
    babies=1,
    withdrawn=True,
)
RULING = Ruling(
    programme=PROGRAMME,
    cycle_id=CYCLE,
    waived=("card-expired",),
    why="The card was renewed in time; the office printed it late.",
    stands_until=date(2023, 12, 31),
)
