"""A household is told what it is offered and who knows of it; help against violence, to all alike."""

from dataclasses import replace
from datetime import date

import pytest

from services.eligibility.facts import Circumstances, Facts, Person
from services.eligibility.offers import Case, Told, offers
from tests.unit.eligibility.samples import SERVICES

ON = date(2024, 4, 1)
POOR = Circumstances("poor_1", "rural", members=1)
SEEKER = Person(19, female=True, work="none", returned_migrant=True)
HOUSEHOLD = Case(Facts(POOR, (SEEKER,)), ON, consents=True, since={}, shows_sensitive=False)


def told(case: Case) -> dict[str, Told]:
    return {each.service: each.told for each in offers(SERVICES, case)}


def test_an_offer_says_who_knows_of_it() -> None:
    assert told(HOUSEHOLD) == {
        "health-equity": Told.NOBODY,
        "protection-helpline": Told.NOBODY,
        "tvet-and-jobs": Told.NOT_YET,
    }
    (training,) = [
        each
        for each in offers(SERVICES, HOUSEHOLD._replace(since={"tvet-and-jobs": ON}))
        if each.service == "tvet-and-jobs"
    ]
    assert training.en.startswith("Vocational training and job services: Members aged 15 to 35")
    assert training.en.endswith("Its ministry was told on 2024-04-01.")
    assert training.km.endswith("ក្រសួងពាក់ព័ន្ធត្រូវបានជូនដំណឹងនៅថ្ងៃ 2024-04-01។")


def test_without_consent_or_key_it_is_offered_and_nobody_is_told() -> None:
    assert told(HOUSEHOLD._replace(consents=False))["tvet-and-jobs"] is Told.NO_CONSENT
    unreachable = offers(replace(SERVICES, recipients=frozenset()), HOUSEHOLD)
    assert {each.service: each.told for each in unreachable}["tvet-and-jobs"] is Told.NO_KEY


def test_a_sensitive_service_is_shown_to_those_alone_who_may_see_it() -> None:
    assert "reintegration" not in told(HOUSEHOLD)
    assert told(HOUSEHOLD._replace(shows_sensitive=True))["reintegration"] is Told.NOT_YET


@pytest.mark.parametrize(
    "household", [POOR, POOR._replace(level="none", has_card=False), POOR._replace(flood=True)]
)
@pytest.mark.parametrize("person", [SEEKER, Person(4), Person(70, disability=True, hiv=True, pregnancy=True)])
@pytest.mark.parametrize("consents", [True, False])
def test_help_against_violence_is_offered_to_everyone_in_the_same_words(
    household: Circumstances, person: Person, consents: bool
) -> None:
    case = HOUSEHOLD._replace(facts=Facts(household, (person,)), consents=consents)
    (helpline,) = [each for each in offers(SERVICES, case) if each.service == "protection-helpline"]
    everybody = next(each for each in offers(SERVICES, HOUSEHOLD) if each.service == "protection-helpline")
    assert helpline == everybody
    assert helpline.told is Told.NOBODY
