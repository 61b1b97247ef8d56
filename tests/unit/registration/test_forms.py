"""The household as the API takes and gives it."""

import pytest
from pydantic import ValidationError

from services.registration.forms import HouseholdForm, form_of
from services.registration.household import Household
from services.registration.rules import examine
from tests.unit.registration.samples import GAZETTEER, TODAY, household, told


def given_back(found: Household) -> HouseholdForm:
    ids = [str(n) for n in range(len(found.members))]
    return form_of(found.reference, found.level, *told(found, ids))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"collector": "2", "electricity": "no", "language": "lo-LA", "fallback_phone": "012 345 679"},
        {"card_number": "", "card_expires_on": "", "phone": "", "roof": "", "electricity": "", "assets": ""},
        {"account_provider": "", "account_number": "", "consents": "", "contact": "none"},
        {"member_2_school": "primary", "member_2_attendance_percent": "85", "member_1_conditions": "hiv"},
        {"member_1_work": "informal", "member_2_work": "none"},
    ],
)
def test_a_household_that_was_read_can_be_given_back_unchanged(change: dict[str, str]) -> None:
    found = household(**change)
    again = examine(given_back(found).row(), GAZETTEER, TODAY)
    assert isinstance(again, Household)
    assert again == found


def test_a_form_with_a_field_not_known_is_refused() -> None:
    with pytest.raises(ValidationError):
        HouseholdForm.model_validate(given_back(household()).model_dump() | {"phnoe": "012345678"})
