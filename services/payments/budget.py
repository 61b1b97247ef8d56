"""What a cycle lets pass: its approval, its programme's hash, its caps and its envelope."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from contracts.cycle import ApprovalKind, CycleState
from services.payments.cycles import Cycle
from services.payments.payroll import Line


class Waiting(StrEnum):
    """Why an eligible decision is not paid yet; `programme-hash`: made under other terms than approved.

    `hold`: a parked message holds its household back; `held`: a person does. `payroll`: on no list that is
    released; `changed`: not as it stands on that list. `partner-paused`: who would pay is told nothing.
    """

    APPROVAL = "approval"
    CLOSED = "closed"
    PAYROLL = "payroll"
    CHANGED = "changed"
    PROGRAMME_HASH = "programme-hash"
    HOUSEHOLD_CAP = "household-cap"
    COUNT_CAP = "count-cap"
    ENVELOPE = "envelope"
    HOLD = "hold"
    HELD = "held"
    FORGOTTEN = "forgotten"
    PARTNER_PAUSED = "partner-paused"


class Judged(Protocol):
    """The terms a decision was made under."""

    @property
    def programme_hash(self) -> str: ...
    @property
    def period(self) -> str | None: ...
    @property
    def purpose(self) -> str: ...


class Budget:
    """One cycle's room while its row is locked; what is taken here is written before the lock is let go.

    `released`: what is approved of these households, by their id, where the cycle pays from lists.
    """

    def __init__(self, cycle: Cycle) -> None:
        self.cycle = cycle
        self.released: Mapping[str, Line] = MappingProxyType({})
        self.committed = 0
        self.count = 0

    @property
    def pays_from_lists(self) -> bool:
        """Whether what is issued must stand on a released list."""
        return self.cycle.terms.approval is ApprovalKind.PAYROLL

    def take(self, judged: Judged, amount: int, claim: Line | None = None) -> Waiting | None:
        """Commit `amount` riel to one payment, or say what it waits for and commit nothing.

        `claim`: what is to be issued, where the cycle pays from lists; a new attempt at what was issued
        before has none.
        """
        waiting = self._refuses(judged, amount, claim)
        if waiting is None:
            self.committed += amount
            self.count += 1
        return waiting

    def _refuses(self, judged: Judged, amount: int, claim: Line | None) -> Waiting | None:
        cycle, terms = self.cycle, self.cycle.terms
        if cycle.state is not CycleState.APPROVED:
            return Waiting.CLOSED if cycle.state is CycleState.CLOSED else Waiting.APPROVAL
        approved = (terms.programme_hash, terms.period, terms.purpose)
        if (judged.programme_hash, judged.period, judged.purpose) != approved:
            return Waiting.PROGRAMME_HASH
        if self.pays_from_lists and claim is not None:
            line = self.released.get(claim.household_id)
            if line != claim:
                return Waiting.CHANGED if line else Waiting.PAYROLL
        if amount > terms.cap_household:
            return Waiting.HOUSEHOLD_CAP
        if cycle.payments + self.count >= terms.cap_payments:
            return Waiting.COUNT_CAP
        return Waiting.ENVELOPE if amount > cycle.room - self.committed else None
