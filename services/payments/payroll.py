"""A payroll: a list that is frozen, approved by its content, and then issued as it was approved. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

from contracts.cycle import ApprovalKind, CycleState
from services.payments.approval import SamePerson, Thresholds
from services.payments.cycles import Cycle, NotPossible, Terms


class PayrollState(StrEnum):
    """`approved` until somebody has it issued, then `released`."""

    FREEZING = "freezing"
    FROZEN = "frozen"
    APPROVED = "approved"
    RELEASED = "released"
    REFUSED = "refused"


class Verdict(StrEnum):
    APPROVE = "approve"
    REFUSE = "refuse"


class Line(NamedTuple):
    """What is promised to one household: riel, by which decision, and to whom (`vault.sealing.Keys.mark`)."""

    household_id: str
    amount: int
    decision_id: str
    payee_digest: str


@dataclass(frozen=True, slots=True)
class Payroll:
    """A cycle's list number `number`. Sums, `digest` and `approvers` (how many are needed) once frozen."""

    cycle_id: str
    number: int
    state: PayrollState
    prepared_by: tuple[str, ...]
    approvers: int | None = None
    households: int = 0
    riel: int = 0
    digest: str | None = None
    approved_by: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"payroll {self.number} of {self.cycle_id}"


class Digest:
    """A SHA-256 over an entitlement list: a line each, in the order of household ids.

    A line is household, riel, decision id and payee digest, separated by tabs and ended by a newline; the
    first line is programme, period and purpose. Anybody with the list can take it again.
    """

    def __init__(self, terms: Terms) -> None:
        self._hash = sha256(f"{terms.programme}\t{terms.period}\t{terms.purpose}\n".encode())
        self._last = ""
        self.households = 0
        self.riel = 0

    def add(self, lines: Iterable[Line]) -> None:
        """Raises ValueError for lines that are not sorted, or where a household comes twice."""
        for line in lines:
            if line.household_id <= self._last:
                raise ValueError("a payroll's lines come by household id, each once")
            self._last = line.household_id
            self._hash.update("\t".join(map(str, line)).encode() + b"\n")
            self.households += 1
            self.riel += line.amount

    def hexdigest(self) -> str:
        """Of all lines so far."""
        return self._hash.hexdigest()


def begin(cycle: Cycle, last: Payroll | None, by: str) -> Payroll:
    """Begin to freeze what waits in a cycle. Raises `NotPossible`."""
    if cycle.terms.approval is not ApprovalKind.PAYROLL:
        raise NotPossible(
            f"cycle {cycle.cycle_id} is under a standing approval",
            "Its decisions are paid as they arrive; open a cycle with `--approval payroll` to freeze lists.",
        )
    if cycle.state is not CycleState.APPROVED:
        raise NotPossible(
            f"cycle {cycle.cycle_id} is {cycle.state}", "Have its terms and envelope approved first."
        )
    if last is not None and last.state in (PayrollState.FREEZING, PayrollState.FROZEN):
        raise NotPossible(
            f"{last.name} awaits a decision", "Approve or refuse it first; then freeze what came since."
        )
    prepared_by = tuple(dict.fromkeys((*cycle.prepared_by, by)))
    return Payroll(cycle.cycle_id, last.number + 1 if last else 1, PayrollState.FREEZING, prepared_by)


def freeze(payroll: Payroll, digest: Digest, thresholds: Thresholds) -> Payroll:
    """The list is complete: from here on it never changes."""
    return replace(
        payroll,
        state=PayrollState.FROZEN,
        approvers=thresholds.approvers(digest.riel),
        households=digest.households,
        riel=digest.riel,
        digest=digest.hexdigest(),
    )


def decide(payroll: Payroll, verdict: Verdict, digest: str, *, by: str, room: int) -> Payroll:
    """One person's decision on the list with this digest; `room`: riel the cycle can still commit.

    It is approved once as many people as it takes have said so, and refused by one. Raises `SamePerson` to
    who prepared it or approved it before, `NotPossible` where the list is not the one they saw.
    """
    if payroll.state is not PayrollState.FROZEN:
        raise NotPossible(f"{payroll.name} is {payroll.state}", "Only a frozen list awaits decisions.")
    if digest != payroll.digest:
        raise NotPossible(
            "that is not this list's digest",
            f"Look at {payroll.name} again, and decide on the digest it shows.",
        )
    if by in payroll.prepared_by or by in payroll.approved_by:
        did = "prepared" if by in payroll.prepared_by else "approved"
        raise SamePerson(f"{by} {did} this and can't decide on it", "Ask another person who may approve.")
    if verdict is Verdict.REFUSE:
        return replace(payroll, state=PayrollState.REFUSED)
    if payroll.riel > room:
        raise NotPossible(
            f"{payroll.name} needs {payroll.riel} riel, and the envelope has room for {room}",
            "Raise it first: tonle cycles fund; or refuse the list.",
        )
    approved_by = (*payroll.approved_by, by)
    enough = payroll.approvers is not None and len(approved_by) >= payroll.approvers
    state = PayrollState.APPROVED if enough else PayrollState.FROZEN
    return replace(payroll, approved_by=approved_by, state=state)


def release(payroll: Payroll) -> Payroll:
    """Have an approved list issued; one that is released already stays so. Raises `NotPossible`."""
    if payroll.state is PayrollState.RELEASED:
        return payroll
    if payroll.state is not PayrollState.APPROVED:
        missing = (payroll.approvers or 1) - len(payroll.approved_by)
        raise NotPossible(
            f"{payroll.name} is {payroll.state}",
            f"It takes {missing} more approvals." if payroll.digest else "Wait until it is frozen.",
        )
    return replace(payroll, state=PayrollState.RELEASED)
