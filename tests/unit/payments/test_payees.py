"""Payees that are not those paid last, as tables."""

from dataclasses import replace

import pytest

from contracts.household import Account
from contracts.wire import Received
from services.payments import claims, entitlements, payees
from services.payments.budget import Waiting
from services.payments.entitlements import Desk, Household
from services.payments.heard import ScoredHeard
from services.payments.payroll import Line
from tests.unit.payments.test_entitlements import (
    APPROVED,
    PAYEE,
    PROGRAMME,
    TERMS,
    decided,
    desk,
    kinds,
    scored,
    waiting,
)

OTHER = PAYEE.model_copy(update={"phone": "+85512345678"})
JULY = replace(APPROVED, terms=replace(TERMS, period="2023-07"))


def test_another_payee_than_was_paid_last_waits_until_it_is_confirmed() -> None:
    paid = scored(decided(1, 1, 176_000))
    july = decided(2, 2, 176_000, period="2023-07")
    assert kinds(scored_on(paid, july, desk(JULY)))[1:] == [("issued", 176_000, 2)]
    changed = scored_on(paid, july, desk(JULY, OTHER))
    assert (kinds(changed)[1:], changed.paid_to) == ([], paid.paid_to)
    assert waiting(changed) == {PROGRAMME: Waiting.PAYEE}
    confirmed = changed._replace(paid_to=desk().mark(OTHER))
    after = entitlements.retry(desk(JULY, OTHER), confirmed, JULY.cycle_id, held=False)
    assert kinds(after)[1:] == [("issued", 176_000, 2)]


def scored_on(household: Household, event: Received[ScoredHeard], at: Desk) -> Household:
    after = entitlements.score(at, household, event)
    assert after is not None
    return after


def test_a_list_has_no_line_for_a_payee_that_waits_to_be_confirmed() -> None:
    waits = scored_on(scored(decided(1, 1, 176_000)), decided(2, 2, 100, period="2023-07"), desk(JULY, OTHER))
    assert claims.claim(desk(JULY, OTHER), waits, JULY.cycle_id) is Waiting.PAYEE
    assert isinstance(claims.claim(desk(JULY), waits, JULY.cycle_id), Line)


ACCOUNT = Account(provider="wing", number="012 345-678")


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"name_latin": " SOK  "}, True),
        ({"language": "en", "contact": "none", "fallback_phone": "+85512345679"}, True),
        ({"account": Account(provider="Wing", number="012345678")}, True),
        ({"account": Account(provider="wing", number="012345679")}, False),
        ({"account": None}, False),
        ({"phone": "+85512345679"}, False),
        ({"name_latin": "Chan"}, False),
        ({"name_km": "ចាន់"}, False),
    ],
)
def test_a_payee_is_another_by_its_name_telephone_or_account(change: dict[str, object], same: bool) -> None:
    payee = PAYEE.model_copy(update={"account": ACCOUNT})
    assert (payees.written(payee.model_copy(update=change)) == payees.written(payee)) is same
