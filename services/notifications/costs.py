"""What segments cost, in riel."""

from collections.abc import Mapping

DEFAULT = "default"
Prices = Mapping[str, int]
"""Riel a segment by operator, as the aggregator's contract says; `default` for those not named."""


def cost(prices: Prices, operator: str | None, segments: int) -> int | None:
    """Riel for so many segments; None where no price is set."""
    price = prices.get(operator or DEFAULT, prices.get(DEFAULT))
    return None if price is None else price * segments
