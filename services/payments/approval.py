"""Approval before money: what one person prepares, another decides (architecture, rule 6)."""

from dataclasses import replace
from typing import ClassVar, NamedTuple

from contracts.cycle import ApprovalKind, CycleState
from services.payments.cycles import Cycle, NotPossible


class SamePerson(NotPossible):
    """Someone would decide on what they prepared."""

    status: ClassVar[int] = 403


class Thresholds(NamedTuple):
    """Riel from which two, or three, people must approve what lets them be paid."""

    two: int
    three: int

    def approvers(self, riel: int) -> int:
        """How many people must approve so many riel."""
        return 1 + (riel >= self.two) + (riel >= self.three)


def submit(cycle: Cycle, by: str, thresholds: Thresholds) -> Cycle:
    """Ask for a decision on the terms and the envelope. Raises `NotPossible`."""
    _expect(cycle, CycleState.OPENED, "submitted")
    prepared_by = tuple(dict.fromkeys((*cycle.prepared_by, by)))
    asked = replace(cycle, state=CycleState.SUBMITTED, prepared_by=prepared_by)
    return _ask(asked, _approvers(cycle, cycle.proposed or 0, thresholds))


def propose(
    cycle: Cycle, envelope: int, donor: str, *, by: str, reason: str | None, thresholds: Thresholds
) -> Cycle:
    """Ask for a larger envelope (its new total, riel), of which `donor` gives what is added.

    Nothing moves until other people approve.

    Raises `NotPossible` for a cycle that is not approved or an envelope that is not larger.
    """
    _expect(cycle, CycleState.APPROVED, "funded")
    _expect_nothing_asked(cycle, asks_envelope=True)
    if envelope <= cycle.funded:
        raise NotPossible(
            f"the envelope holds {cycle.funded} riel already",
            "Name the new total, which must be larger; an envelope is never lowered below what it promised.",
        )
    asked = replace(cycle, prepared_by=(by,), decided_by=None, proposed=envelope, donor=donor, reason=reason)
    # By the new total: raised in small steps it would never take a second person.
    return _ask(asked, _approvers(cycle, envelope, thresholds))


def let_in(cycle: Cycle, by: str, reason: str, thresholds: Thresholds) -> Cycle:
    """Ask that late joiners of a payroll cycle pass as they arrive; nothing does until another person agrees.

    Raises `NotPossible`.
    """
    _expect(cycle, CycleState.APPROVED, "opened to late joiners")
    if cycle.terms.approval is not ApprovalKind.PAYROLL:
        raise NotPossible(f"cycle {cycle.cycle_id} lets everybody in already", "Nothing is left to do.")
    _expect_nothing_asked(cycle, asks_envelope=False)
    asked = replace(cycle, prepared_by=(by,), decided_by=None, asks_standing=True, reason=reason)
    return _ask(asked, thresholds.approvers(cycle.funded))


def approve(cycle: Cycle, by: str, reason: str | None) -> Cycle:
    """One person's yes to what awaits a decision: the terms with their envelope, or a larger envelope.

    It is released once as many people as it takes have said so. Raises `SamePerson` to whoever prepared it or
    approved it before, `NotPossible` where nothing awaits a decision.
    """
    _asked(cycle, by)
    said = replace(
        cycle, version=cycle.version + 1, approved_by=(*cycle.approved_by, by), decided_by=by, reason=reason
    )
    if said.approvals_missing:
        return replace(said, decided_by=None)
    approval = ApprovalKind.STANDING if cycle.asks_standing else cycle.terms.approval
    return replace(
        said,
        terms=replace(cycle.terms, approval=approval),
        state=CycleState.APPROVED,
        funded=cycle.funded if cycle.proposed is None else cycle.proposed,
        proposed=None,
        asks_standing=False,
    )


def refuse(cycle: Cycle, by: str, reason: str) -> Cycle:
    """Say no: the terms go back to who prepared them; of a larger envelope, the old one stands.

    Raises as `approve` does.
    """
    _asked(cycle, by)
    state = CycleState.APPROVED if cycle.state is CycleState.APPROVED else CycleState.REFUSED
    return replace(
        cycle,
        state=state,
        version=cycle.version + 1,
        approved_by=(),
        decided_by=by,
        reason=reason,
        proposed=None,
        asks_standing=False,
    )


def _ask(cycle: Cycle, approvers: int) -> Cycle:
    return replace(cycle, version=cycle.version + 1, approvers=approvers, approved_by=())


def _approvers(cycle: Cycle, riel: int, thresholds: Thresholds) -> int:
    # From lists nothing is paid that was not approved by these thresholds, list by list.
    return 1 if cycle.terms.approval is ApprovalKind.PAYROLL else thresholds.approvers(riel)


def _asked(cycle: Cycle, by: str) -> None:
    if not cycle.awaits_decision:
        raise NotPossible(
            f"nothing of cycle {cycle.cycle_id} awaits a decision (it is {cycle.state})",
            "Submit the cycle, or propose a larger envelope, first.",
        )
    if by in cycle.prepared_by or by in cycle.approved_by:
        did = "prepared" if by in cycle.prepared_by else "approved"
        raise SamePerson(
            f"{by} {did} this and can't decide on it", "Ask another person who may approve to decide."
        )


def _expect_nothing_asked(cycle: Cycle, *, asks_envelope: bool) -> None:
    # A second proposal would make its own preparer the only one, and let the first's preparer decide.
    if cycle.asks_standing if asks_envelope else cycle.proposed is not None:
        raise NotPossible(
            f"another change of cycle {cycle.cycle_id} awaits a decision", "Approve or refuse it first."
        )


def _expect(cycle: Cycle, state: CycleState, verb: str) -> None:
    if cycle.state is not state:
        raise NotPossible(
            f"cycle {cycle.cycle_id} is {cycle.state}", f"Only a cycle that is {state} can be {verb}."
        )
