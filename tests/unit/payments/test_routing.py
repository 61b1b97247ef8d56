"""Who pays whom: by account, by province, and around partners that are closed."""

import pytest

from contracts.household import Account, Payee
from services.payments.partners.routing import Door, route

EVERYWHERE: frozenset[str] = frozenset()
WING = Door("wing", accounts=True, cash=True, provinces=EVERYWHERE)
BANK = Door("acleda", accounts=True, cash=False, provinces=EVERYWHERE)
POST = Door("post", accounts=False, cash=True, provinces=frozenset({"12", "17"}))
DOORS = (POST, WING, BANK)
PAYEE = Payee(person_id="p", name_km="x", name_latin="x")


def holder(provider: str) -> Payee:
    return PAYEE.model_copy(update={"account": Account(provider=provider, number="1")})


@pytest.mark.parametrize(
    ("payee", "commune", "closed", "partner"),
    [
        (holder("acleda"), "120101", set(), "acleda"),
        (holder("acleda"), "120101", {"acleda"}, "acleda"),
        (holder("nobody"), "120101", set(), "post"),
        (holder("post"), "010101", set(), "wing"),
        (PAYEE, "120101", set(), "post"),
        (PAYEE, "120101", {"post"}, "wing"),
        (PAYEE, "010101", set(), "wing"),
        (PAYEE, "010101", {"wing"}, "wing"),
        (PAYEE, "120101", {"post", "wing"}, "post"),
    ],
)
def test_a_payee_goes_to_who_holds_the_account_or_pays_cash_there(
    payee: Payee, commune: str, closed: set[str], partner: str
) -> None:
    assert route(DOORS, closed, payee, commune) == partner


def test_where_nobody_pays_cash_the_first_does() -> None:
    assert route([BANK], set(), PAYEE, "120101") == "acleda"
