"""What sensitive programmes decided, as the one amount that payments may know."""

import pytest

from contracts.eligibility import SEALED_TOGETHER, Outcome, terms_together
from services.payments.heard import DecisionHeard
from services.payments.together import combine

POOL = f"{SEALED_TOGETHER}-2023-06"
HASH = terms_together([("hiv", "hash-hiv"), ("pregnancy", "hash-pregnancy")])


def decided(programme: str, amount: int, cycle_id: str | None = POOL, **changes: Outcome) -> DecisionHeard:
    return DecisionHeard(
        programme=programme,
        programme_hash=f"hash-{programme}",
        purpose=f"purpose-{programme}",
        cycle_id=cycle_id,
        period="2023-06",
        outcome=changes.get("outcome", Outcome.ELIGIBLE if amount else Outcome.REFUSED),
        amount=amount,
    )


@pytest.mark.parametrize(
    ("amounts", "outcome", "amount"),
    [
        ((28_000, 0), Outcome.ELIGIBLE, 28_000),
        ((0, 40_000), Outcome.ELIGIBLE, 40_000),
        ((28_000, 40_000), Outcome.ELIGIBLE, 68_000),
        ((0, 0), Outcome.REFUSED, 0),
    ],
)
def test_a_household_gets_one_amount(amounts: tuple[int, int], outcome: Outcome, amount: int) -> None:
    (found,) = combine(map(decided, ("hiv", "pregnancy"), amounts))
    assert (found.outcome, found.amount, found.cycle_id) == (outcome, amount, POOL)


def test_which_of_them_paid_can_not_be_told_from_it() -> None:
    (one,) = combine([decided("hiv", 40_000), decided("pregnancy", 0)])
    (other,) = combine([decided("hiv", 0), decided("pregnancy", 40_000)])
    assert one == other
    assert one.programme_hash == HASH
    assert not {"hiv", "pregnancy"} & set(str(one).replace("'", " ").replace("-", " ").split())


def test_what_was_decided_for_a_programme_s_own_cycle_or_for_none_is_left_out() -> None:
    assert combine([decided("hiv", 1, "hiv-2023-06"), decided("pregnancy", 1, None)]) == ()


def test_a_word_this_version_does_not_know_is_none_that_pays() -> None:
    odd = decided("pregnancy", 0, outcome=Outcome.UNRECOGNISED)
    (found,) = combine([decided("hiv", 40_000), odd])
    assert found.outcome is Outcome.UNRECOGNISED
