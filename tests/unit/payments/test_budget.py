"""Which sub-envelopes, and so which donors, pay what is issued."""

import pytest

from services.payments.budget import Budget, Part, Waiting
from services.payments.states import Payment
from tests.unit.payments.test_entitlements import APPROVED, TERMS


def paid(number: int, riel: int) -> Payment:
    at = (TERMS.programme, TERMS.period, TERMS.purpose, 1, TERMS.cycle_id)
    return Payment(f"p-{number}", f"h-{number}", *at, riel, riel, "wing", "120101", 1, "d", "c", "t")


@pytest.mark.parametrize(
    ("rooms", "amounts", "drawn"),
    [
        ([300], [100, 200], [("p-0", 1, 100), ("p-1", 1, 200)]),
        ([150, 400], [100, 200], [("p-0", 1, 100), ("p-1", 1, 50), ("p-1", 2, 150)]),
        ([0, 100], [100], [("p-0", 2, 100)]),
        ([100, 100, 900], [500], [("p-0", 1, 100), ("p-0", 2, 100), ("p-0", 3, 300)]),
        ([100, 100], [100, 100], [("p-0", 1, 100), ("p-1", 2, 100)]),
        ([100], [], []),
    ],
)
def test_funds_are_drawn_in_their_order_and_to_the_last_riel(
    rooms: list[int], amounts: list[int], drawn: list[tuple[str, int, int]]
) -> None:
    budget = Budget(APPROVED, [Part(fund, fund, room, 10) for fund, room in enumerate(rooms, 1)])
    payments = [paid(number, riel) for number, riel in enumerate(amounts)]
    assert [budget.take(TERMS, each.amount) for each in payments] == [None] * len(payments)
    assert [(each.payment_id, each.fund, each.amount) for each in budget.draw(payments)] == drawn


@pytest.mark.parametrize(
    ("parts", "waiting"),
    [
        ([Part(1, 1, 100, 1), Part(2, 2, 75, 0)], None),
        ([Part(1, 1, 100, 1), Part(2, 2, 74, 0)], Waiting.ENVELOPE),
        ([Part(1, 1, 500, 0)], Waiting.COUNT_CAP),
    ],
)
def test_only_what_is_held_of_an_envelope_is_spent(parts: list[Part], waiting: Waiting | None) -> None:
    budget = Budget(APPROVED, parts)
    assert budget.take(TERMS, 175) is waiting
