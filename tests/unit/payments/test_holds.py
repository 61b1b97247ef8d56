"""Holds that people place, as tables."""

from datetime import UTC, datetime

import pytest

from contracts.household import Account
from services.payments import holds
from services.payments.approval import SamePerson
from services.payments.cycles import NotPossible
from services.payments.holds import Held, Hold
from tests.unit.payments.test_entitlements import PAYEE

NOW = datetime(2023, 6, 2, tzinfo=UTC)
HOLD = Hold("x", "h-1", None, "fraud-suspicion", "Sokha", NOW)


def test_another_person_lets_go_once() -> None:
    with pytest.raises(SamePerson, match="Sokha placed this hold"):
        holds.release(HOLD, "Sokha", "cleared", NOW)
    released = holds.release(HOLD, "Dara", "cleared", NOW)
    assert (released.released_by, released.release_reason) == ("Dara", "cleared")
    with pytest.raises(NotPossible, match="released already"):
        holds.release(released, "Vanna", "cleared", NOW)


@pytest.mark.parametrize(
    ("household", "account", "held"),
    [("h-1", None, True), ("h-2", "a-1", True), ("h-2", "a-2", False), ("h-2", None, False)],
)
def test_a_household_or_its_account_holds_a_payment(household: str, account: str | None, held: bool) -> None:
    assert Held(frozenset({"h-1"}), frozenset({"a-1"})).holds(household, account) is held


def test_an_account_is_the_same_however_its_number_is_printed() -> None:
    printed = PAYEE.model_copy(update={"account": Account(provider="Wing", number="012 345-678")})
    assert holds.account_of(printed) == "wing/012345678"
    assert holds.account_of(PAYEE) is None
