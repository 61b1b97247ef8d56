"""What is said of referrals: the full examples."""

from datetime import date

from contracts.household import KHMER, ContactPreference, Level, Sex
from contracts.model import Contract
from contracts.referral import Contact, Referral, ReferralMade, ReferralState, ReferredPerson
from contracts.release import SEALED_REFERRAL
from tests.contracts.sealed_examples import HASH, PERSON

REFERRAL_ID = "44444444-5555-5666-8777-88889999aaaa"
LETTER = "eyJhbGciOiJFQ0RILUVTK0EyNTZLVyJ9.a2V5.bm9uY2U.c2VhbGVk.dGFn"


def referred(household_id: str, decision_id: str) -> dict[str, Contract]:
    """An event, whose letter is none that anybody opens, and what stands in a letter."""
    return {"referral.made.v1": _told(household_id, decision_id), SEALED_REFERRAL: _letter(household_id)}


def _told(household_id: str, decision_id: str) -> ReferralMade:
    return ReferralMade(
        household_id=household_id,
        revision=2,
        number=1,
        recipient="labour",
        state=ReferralState.MADE,
        decision_id=decision_id,
        letter=LETTER,
    )


def _letter(household_id: str) -> Referral:
    return Referral(
        referral_id=REFERRAL_ID,
        recipient="labour",
        state=ReferralState.MADE,
        household_id=household_id,
        service="tvet-and-jobs",
        service_hash=HASH,
        as_of=date(2024, 5, 1),
        commune="120101",
        village="12010101",
        level=Level.POOR_1,
        card_number="EC-1201-000001",
        members=5,
        contact=Contact(
            name_km="សុខ ដារ៉ា",
            name_latin="Sok Dara",
            phone="+85512345678",
            language=KHMER,
            contact=ContactPreference.NEUTRAL,
        ),
        persons=(
            ReferredPerson(
                person_id=PERSON, name_km="សុខ ដារ៉ា", name_latin="Sok Dara", sex=Sex.FEMALE, age=19
            ),
        ),
    )
