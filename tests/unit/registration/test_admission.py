"""Whether a household may be registered, given what is registered already."""

from functools import partial

import pytest

from services.registration import duplicates
from services.registration.admission import (
    Candidate,
    Conflict,
    Known,
    New,
    Outside,
    Repeated,
    Unchanged,
    admit,
)
from services.registration.duplicates import Case, Duplicate, Holder
from services.registration.household import Household
from tests.unit.registration.samples import URBAN, household

EVERYWHERE = ""
REFERENCE = household().reference


def candidates(*households: Household) -> list[Candidate]:
    return [Candidate(each, each.content()) for each in households]


def answers(*households: Household, known: Known | None = None, area: str = EVERYWHERE) -> list[object]:
    kept = {REFERENCE: known} if known else {}
    covers = partial(_begins, area)
    return list(admit(candidates(*households), kept, {}, covers, "this import", id_of=id_of))


def _begins(area: str, commune: str) -> bool:
    return commune.startswith(area)


def id_of(reference: str) -> str:
    return f"id of {reference}"


def kept(found: Household, *, exited: bool = False, origin: str | None = None) -> Known:
    return Known("known", 1, exited, found.content().hash, found.commune, origin)


def test_a_household_not_known_yet_is_new() -> None:
    assert answers(household()) == [New("id of R-1")]


def test_a_household_with_the_same_content_is_unchanged() -> None:
    assert answers(household(), known=kept(household())) == [Unchanged(kept(household()))]


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (kept(household(level="poor_2")), "with other content"),
        (kept(household(), exited=True), "exited"),
    ],
)
def test_a_known_reference_with_other_content_points_to_revise(known: Known, said: str) -> None:
    (answer,) = answers(household(), known=known)
    assert isinstance(answer, Conflict)
    assert said in answer.flaw.reason
    assert f"tonle household revise {known.household_id}" in answer.flaw.remedy


def test_a_household_outside_the_area_is_refused_before_anything_is_told_about_it() -> None:
    (answer,) = answers(household(level="poor_2"), known=kept(household()), area="12")
    assert isinstance(answer, Outside)


def test_a_row_that_stands_in_the_file_twice_is_repeated() -> None:
    first, second = answers(household(), household())
    assert isinstance(first, New)
    assert isinstance(second, Repeated)


def test_a_row_of_an_earlier_import_is_not_called_repeated() -> None:
    (answer,) = answers(household(), known=kept(household(), origin="another import"))
    assert isinstance(answer, Unchanged)


@pytest.mark.parametrize(
    ("change", "claim"),
    [
        ({"card_number": "card-000001"}, "cCARD-000001"),
        ({"member_2_national_id": "000000001"}, "n000000001"),
        ({"account_number": "0000 0001"}, "awing/00000001"),
    ],
)
def test_what_another_household_of_the_chunk_holds_is_a_duplicate(change: dict[str, str], claim: str) -> None:
    first, second = answers(household(1), household(2, **change))
    assert isinstance(first, New)
    assert isinstance(second, Duplicate)
    assert second.claim == claim
    assert second.first.household_id == first.household_id


def test_the_same_account_number_at_another_provider_is_no_duplicate() -> None:
    second = household(2, account_provider="aba", account_number="00000001")
    assert answers(household(1), second) == [New("id of R-1"), New("id of R-2")]


def test_what_is_held_already_is_a_duplicate() -> None:
    holder = Holder("another", "010201")
    held = {"cCARD-000001": holder}
    (answer,) = admit(candidates(household()), {}, held, lambda _: True, None, id_of=id_of)
    assert answer == Duplicate("cCARD-000001", holder)


def test_a_refused_household_holds_nothing() -> None:
    second = household(2, card_number="CARD-000001")
    third = household(3, member_1_national_id="000000002")
    assert [type(each) for each in answers(household(1), second, third)] == [New, Duplicate, New]


def test_a_duplicate_inside_the_area_points_to_the_first() -> None:
    found = Duplicate("cC", Holder("first", URBAN[:6]))
    assert duplicates.case("second", found, URBAN[:4]) is None
    assert "first" in duplicates.flaw(found, None).reason


def test_a_duplicate_outside_the_area_gives_a_case_number_only() -> None:
    found = Duplicate("cC", Holder("first", URBAN[:6]))
    assert duplicates.case("second", found, "12") == Case("second", "first", "equity_card")
    told = duplicates.flaw(found, 17)
    assert "first" not in told.reason + told.remedy
    assert "case 17" in told.remedy
