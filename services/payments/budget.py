"""What a cycle lets pass: its approval, its programme's hash, its caps and its envelope."""

from enum import StrEnum
from typing import Protocol

from contracts.cycle import CycleState
from services.payments.cycles import Cycle


class Waiting(StrEnum):
    """Why an eligible decision is not paid yet; `programme-hash`: made under other terms than approved.

    `hold`: a parked message holds its household back; `held`: a person does.
    """

    APPROVAL = "approval"
    CLOSED = "closed"
    PROGRAMME_HASH = "programme-hash"
    HOUSEHOLD_CAP = "household-cap"
    COUNT_CAP = "count-cap"
    ENVELOPE = "envelope"
    HOLD = "hold"
    HELD = "held"
    FORGOTTEN = "forgotten"


class Judged(Protocol):
    """The terms a decision was made under."""

    @property
    def programme_hash(self) -> str: ...
    @property
    def period(self) -> str | None: ...
    @property
    def purpose(self) -> str: ...


class Budget:
    """One cycle's room while its row is locked; what is taken here is written before the lock is let go."""

    def __init__(self, cycle: Cycle) -> None:
        self.cycle = cycle
        self.committed = 0
        self.count = 0

    def take(self, judged: Judged, amount: int) -> Waiting | None:
        """Commit `amount` riel to one payment, or say what it waits for and commit nothing."""
        waiting = self._refuses(judged, amount)
        if waiting is None:
            self.committed += amount
            self.count += 1
        return waiting

    def _refuses(self, judged: Judged, amount: int) -> Waiting | None:
        cycle, terms = self.cycle, self.cycle.terms
        if cycle.state is not CycleState.APPROVED:
            return Waiting.CLOSED if cycle.state is CycleState.CLOSED else Waiting.APPROVAL
        approved = (terms.programme_hash, terms.period, terms.purpose)
        if (judged.programme_hash, judged.period, judged.purpose) != approved:
            return Waiting.PROGRAMME_HASH
        if amount > terms.cap_household:
            return Waiting.HOUSEHOLD_CAP
        if cycle.payments + self.count >= terms.cap_payments:
            return Waiting.COUNT_CAP
        return Waiting.ENVELOPE if amount > cycle.room - self.committed else None
