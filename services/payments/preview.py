"""What a cycle would pay, household by household, against the cycle before. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from heapq import heappush, heappushpop
from typing import NamedTuple

from services.payments.budget import Waiting, stage
from services.payments.corrections import carried

FAR_FROM_TYPICAL = 3
FAR_FROM_LAST = 2


class Change(StrEnum):
    """Against the cycle before; `gone`: paid then, and not in this one."""

    NEW = "new"
    GONE = "gone"
    RAISED = "raised"
    LOWERED = "lowered"
    SAME = "same"


class Entry(NamedTuple):
    """A household with what it gets, and what it got in the cycle before; riel, 0 for nothing.

    `waiting` says why it is not paid yet, '' where it is issued or gone. `carried`: how much of the amount
    is owed from earlier cycles, below zero what is withheld because it was paid too much. `covered` is as in
    `services.payments.budget.stage`.
    """

    household_id: str
    amount: int
    last: int
    waiting: str
    carried: int = 0
    covered: bool = False

    @property
    def state(self) -> str:
        """`planned`, `approved` or `issued`; '' where it is gone."""
        if self.waiting:
            return stage(Waiting(self.waiting), covered=self.covered)
        return "issued" if self.amount else ""

    @property
    def change(self) -> Change:
        if not self.last:
            return Change.NEW
        if not self.amount:
            return Change.GONE
        if self.amount == self.last:
            return Change.SAME
        return Change.RAISED if self.amount > self.last else Change.LOWERED


class Measure(NamedTuple):
    """What amounts are held against: the list's median and the cycle's cap for one household, in riel."""

    typical: int
    cap: int

    def is_outlier(self, entry: Entry) -> bool:
        """Above the cap, over three times the median, or more than double or below half of the last cycle."""
        if not entry.amount:
            return False
        if entry.amount > self.cap or entry.amount > FAR_FROM_TYPICAL * self.typical:
            return True
        low, high = sorted((entry.amount, entry.last or entry.amount))
        return high > FAR_FROM_LAST * low


def expected(each: Entry, waits: int, balance: int, *, cap: int, recover_percent: int) -> Entry:
    """What is due by decisions, with what issuing will carry into the `waits` riel of it that wait.

    `balance`: riel owed to the household from before, below zero what it was paid too much.
    """
    carries = carried(balance, waits, cap=cap, recover_percent=recover_percent) if waits else 0
    return each._replace(amount=each.amount + carries, carried=each.carried + carries)


@dataclass
class Sum:
    """Households, and riel."""

    households: int = 0
    riel: int = 0

    def add(self, riel: int) -> None:
        """One household more."""
        self.households += 1
        self.riel += riel


@dataclass
class Preview:
    """The sums of one cycle. `changes` holds riel of this cycle, of the last where somebody is gone.

    `carried`: riel of the total that come from earlier cycles, less what is withheld for them.
    """

    measure: Measure
    shown_most: int
    total: Sum = field(default_factory=Sum)
    changes: dict[Change, Sum] = field(default_factory=lambda: {each: Sum() for each in Change})
    waiting: dict[str, Sum] = field(default_factory=dict)
    states: dict[str, Sum] = field(default_factory=dict)
    outliers: Sum = field(default_factory=Sum)
    carried: int = 0
    _largest: list[tuple[int, Entry]] = field(default_factory=list)

    def add(self, entries: Iterable[Entry]) -> None:
        """Count entries, each household once."""
        for each in entries:
            self.changes[each.change].add(each.amount or each.last)
            if not each.amount:
                continue
            self.total.add(each.amount)
            self.carried += each.carried
            self.states.setdefault(each.state, Sum()).add(each.amount)
            if each.waiting:
                self.waiting.setdefault(each.waiting, Sum()).add(each.amount)
            if self.measure.is_outlier(each):
                self.outliers.add(each.amount)
                self._show(each)

    def largest_outliers(self) -> Iterator[Entry]:
        """The largest amounts among the outliers, the largest first."""
        return (each for _, each in sorted(self._largest, reverse=True))

    def _show(self, entry: Entry) -> None:
        shown = (entry.amount, entry)
        if len(self._largest) < self.shown_most:
            heappush(self._largest, shown)
        elif self._largest:
            heappushpop(self._largest, shown)
