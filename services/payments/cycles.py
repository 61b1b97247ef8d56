"""A cycle: one programme, one period, the terms of its standing approval, and the money it may commit."""

from dataclasses import dataclass, replace
from datetime import date
from typing import ClassVar

from contracts.cycle import ApprovalKind, CycleState


class NotPossible(Exception):
    """Refused as things stand; `remedy` says what to do instead."""

    status: ClassVar[int] = 409

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Terms:
    """What two people agree to: the programme as it is (its hash), its period, the caps (riel, count), and
    whether decisions pass as they arrive or from approved lists."""

    programme: str
    programme_hash: str
    purpose: str
    period: str
    reference_date: date
    cap_household: int
    cap_payments: int
    approval: ApprovalKind = ApprovalKind.STANDING

    @property
    def cycle_id(self) -> str:
        """One cycle per programme and period."""
        return f"{self.programme}-{self.period}"


@dataclass(frozen=True, slots=True)
class Cycle:
    """A cycle as it stands. `proposed` riel await a second person; `funded` riel were approved. `donor` gives
    (or gave) what was proposed last.

    `prepared_by` are those who opened, submitted or proposed what is to be decided; `payments` counts those
    issued and not released; `opening` is the version that eligibility answers. `asks_standing`: it is
    proposed that late joiners need no list. `approvers` people must approve what was asked last, and
    `approved_by` have.
    Invariant: committed - released <= funded.
    """

    terms: Terms
    state: CycleState
    version: int
    prepared_by: tuple[str, ...]
    decided_by: str | None = None
    reason: str | None = None
    proposed: int | None = None
    funded: int = 0
    committed: int = 0
    released: int = 0
    payments: int = 0
    opening: int = 1
    asks_standing: bool = False
    donor: str = ""
    approvers: int = 1
    approved_by: tuple[str, ...] = ()

    @property
    def cycle_id(self) -> str:
        return self.terms.cycle_id

    @property
    def awaits_decision(self) -> bool:
        """Whether somebody asked for something that can be approved or refused."""
        asked = self.proposed is not None or self.asks_standing
        return asked and self.state in (CycleState.SUBMITTED, CycleState.APPROVED)

    @property
    def approvals_missing(self) -> int:
        """How many more people must approve what awaits a decision; 0 where nothing does."""
        return max(0, self.approvers - len(self.approved_by)) if self.awaits_decision else 0

    @property
    def room(self) -> int:
        """Riel that can still be committed."""
        return self.funded - self.committed + self.released


def open_cycle(current: Cycle | None, terms: Terms, envelope: int, donor: str, by: str) -> Cycle:
    """A cycle with its terms and the envelope asked for, in riel, that a donor gives.

    One that was only opened, or refused, is opened again with the new terms; asking for the same again
    changes nothing. Raises `NotPossible`.
    """
    asked = terms, envelope, donor, (by,)
    if current and (current.terms, current.proposed, current.donor, current.prepared_by) == asked:
        return current
    if current is not None and current.state not in (CycleState.OPENED, CycleState.REFUSED):
        raise NotPossible(
            f"cycle {terms.cycle_id} is {current.state} already",
            "Its terms stand. Raise its envelope with `fund`, or open the next period.",
        )
    if envelope <= 0:
        raise NotPossible("the envelope is empty", "Name the riel that this cycle may commit.")
    version = current.version + 1 if current else 1
    return Cycle(
        terms,
        CycleState.OPENED,
        version,
        prepared_by=(by,),
        proposed=envelope,
        opening=_opening(current, terms) or version,
        donor=donor,
    )


def _opening(current: Cycle | None, terms: Terms) -> int | None:
    # Eligibility judges anew where the day changed, or the cycle had ended; other caps change no decision.
    if current is None or current.state is CycleState.REFUSED:
        return None
    return current.opening if current.terms.reference_date == terms.reference_date else None


def close(cycle: Cycle, reason: str | None) -> Cycle:
    """No payment is issued from here on; those issued run their course. Raises `NotPossible`."""
    if cycle.state is CycleState.CLOSED:
        raise NotPossible(f"cycle {cycle.cycle_id} is closed already", "Nothing is left to do.")
    return replace(
        cycle,
        state=CycleState.CLOSED,
        version=cycle.version + 1,
        reason=reason,
        proposed=None,
        asks_standing=False,
    )
