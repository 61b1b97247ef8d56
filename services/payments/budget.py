"""What a cycle lets pass: its approval, its programme's hash, its caps and its envelope."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, Protocol

from contracts.cycle import ApprovalKind, CycleState
from services.payments.cycles import Cycle
from services.payments.ledger import Paid
from services.payments.payroll import Line


class Waiting(StrEnum):
    """Why an eligible decision is not paid yet; `programme-hash`: made under other terms than approved.

    `hold`: a parked message holds its household back; `held`: a person does. `payroll`: on no list that is
    released; `changed`: not as it stands on that list. `payee-changed`: somebody else than was paid last
    would collect, and no second person has confirmed it. `partner-paused`: who would pay is told nothing.
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
    PAYEE = "payee-changed"
    FORGOTTEN = "forgotten"
    PARTNER_PAUSED = "partner-paused"


class Stage(StrEnum):
    """What a payment is before it is issued: `planned`, and `approved` once people said yes to it."""

    PLANNED = "planned"
    APPROVED = "approved"


_NOT_AS_APPROVED = frozenset(
    {
        *(Waiting.APPROVAL, Waiting.CLOSED, Waiting.CHANGED, Waiting.PROGRAMME_HASH),
        *(Waiting.HOUSEHOLD_CAP, Waiting.COUNT_CAP),
    }
)


def stage(waiting: Waiting, *, covered: bool) -> Stage:
    """How far a decision is that waits for this reason.

    `covered`: its cycle is approved, and it passes as it arrives or stands on an approved list.
    """
    return Stage.APPROVED if covered and waiting not in _NOT_AS_APPROVED else Stage.PLANNED


class Judged(Protocol):
    """The terms a decision was made under."""

    @property
    def programme_hash(self) -> str: ...
    @property
    def period(self) -> str | None: ...
    @property
    def purpose(self) -> str: ...


class Part(NamedTuple):
    """A sub-envelope under lock: which, of which fund, and the riel and payments that may be taken."""

    fund: int
    number: int
    room: int
    payments: int


class Draw(NamedTuple):
    """`amount` riel of a payment are taken from a sub-envelope, and so from its fund."""

    household_id: str
    payment_id: str
    cycle_id: str
    fund: int
    number: int
    amount: int


class Budget:
    """One cycle's room while sub-envelopes are locked; what is taken is written before they are let go.

    `parts` in the order in which they are drawn, payments of the first; None where nothing is spent, and what
    the cycle has counts.
    `released`: what is approved of these households, by their id, where the cycle pays from lists.
    """

    def __init__(self, cycle: Cycle, parts: Sequence[Part] | None = None) -> None:
        self.cycle = cycle
        self.parts = parts or ()
        self.released: Mapping[str, Line] = MappingProxyType({})
        self.committed = 0
        self.count = 0
        self._room, self._payments = cycle.room, cycle.terms.cap_payments - cycle.payments
        if parts is not None:
            self._room = sum(each.room for each in parts)
            self._payments = parts[0].payments if parts else 0

    @property
    def room(self) -> int:
        """Riel that can still be taken."""
        return self._room - self.committed

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

    def draw(self, payments: Iterable[Paid]) -> list[Draw]:
        """Which sub-envelopes pay what was taken: one after the other, so that no remainder is left over.

        A payment that the rest of one does not cover is paid by several.
        """
        draws: list[Draw] = []
        left = [(each, each.room) for each in reversed(self.parts) if each.room > 0]
        for payment in payments:
            due = payment.amount
            while due > 0:
                part, room = left.pop()
                amount = min(due, room)
                draws.append(_draw(payment, part, amount))
                due -= amount
                if room > amount:
                    left.append((part, room - amount))
        return draws

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
        if self.count >= self._payments:
            return Waiting.COUNT_CAP
        return Waiting.ENVELOPE if amount > self.room else None


def _draw(payment: Paid, part: Part, amount: int) -> Draw:
    return Draw(payment.household_id, payment.payment_id, payment.cycle_id, part.fund, part.number, amount)
