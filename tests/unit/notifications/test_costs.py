"""Whose number it is, and what its segments cost."""

import pytest

from services.notifications.costs import cost
from services.notifications.operators import operator_of


@pytest.mark.parametrize(
    ("phone", "operator"),
    [
        ("+85512345678", "cellcard"),
        ("+855961234567", "smart"),
        ("+855881234567", "metfone"),
        ("+85523123456", "other"),
        ("+66812345678", "other"),
    ],
)
def test_a_number_belongs_to_whom_its_prefix_was_given(phone: str, operator: str) -> None:
    assert operator_of(phone) == operator


@pytest.mark.parametrize(
    ("prices", "operator", "riel"),
    [
        ({"default": 100, "smart": 90}, "smart", 270),
        ({"default": 100, "smart": 90}, "metfone", 300),
        ({"default": 100}, None, 300),
        ({"smart": 90}, "metfone", None),
        ({}, "smart", None),
    ],
)
def test_segments_cost_their_operator_s_price_and_without_one_it_is_not_known(
    prices: dict[str, int], operator: str | None, riel: int | None
) -> None:
    assert cost(prices, operator, 3) == riel
