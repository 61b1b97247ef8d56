"""Which partner pays whom: the one that holds the account, else one that pays cash there. Pure."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from contracts.household import Payee

PROVINCE_DIGITS = 2


class Door(NamedTuple):
    """Whom a partner pays: holders of its own accounts, and who collects cash in `provinces` (empty: all)."""

    partner: str
    accounts: bool
    cash: bool
    provinces: frozenset[str]

    def serves(self, commune: str) -> bool:
        """Whether it pays cash to who lives in this commune (gazetteer code)."""
        return self.cash and (not self.provinces or commune[:PROVINCE_DIGITS] in self.provinces)


def route(doors: Sequence[Door], closed: Collection[str], payee: Payee, commune: str) -> str:
    """The partner for a payee. `closed`: partners that are down, paused, or have a day's work already.

    An account is paid by who holds it, closed or not: nobody else can. Cash is paid by the first door that
    serves the place and is open, else by the first that serves it, else by the first of all.
    """
    provider = payee.account.provider if payee.account else None
    holder = next((each for each in doors if each.partner == provider and each.accounts), None)
    if holder is not None:
        return holder.partner
    serving = [each.partner for each in doors if each.serves(commune)]
    is_open = [each for each in serving if each not in closed]
    return next(iter(is_open or serving), doors[0].partner)
