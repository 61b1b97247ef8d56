"""Amounts and names of ISO 20022 messages: whole riel, and ids that fit 35 characters. Pure."""

import re
from decimal import Decimal
from uuid import UUID

from lxml import etree

CURRENCY = "KHR"
_COMPACT = re.compile(r"[0-9a-f]{32}")


class Flaw(ValueError):
    """Why a row can't be taken as it is; says no value."""


def riel(element: etree._Element) -> int:
    """An amount element in whole riel. Raises `Flaw` for another currency or a fraction of a riel."""
    if element.get("Ccy") != CURRENCY:
        raise Flaw(f"currency: {CURRENCY} expected")
    amount = Decimal(element.text or "")
    if amount != amount.to_integral_value():
        raise Flaw("amount: a fraction of a riel")
    return int(amount)


def compact(id: str) -> str:
    """A UUID in 32 characters, since a message's ids have 35 at most."""
    return UUID(id).hex


def spread(id: str) -> str:
    """`compact` undone; what was none is left as it is, and will be known to nobody."""
    return str(UUID(hex=id)) if _COMPACT.fullmatch(id) else id
