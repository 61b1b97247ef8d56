"""Approval before money: what one person prepares, another decides (architecture, rule 6)."""

from dataclasses import replace
from typing import ClassVar

from contracts.cycle import ApprovalKind, CycleState
from services.payments.cycles import Cycle, NotPossible


class SamePerson(NotPossible):
    """Someone would decide on what they prepared."""

    status: ClassVar[int] = 403


def submit(cycle: Cycle, by: str) -> Cycle:
    """Ask for a decision on the terms and the envelope. Raises `NotPossible`."""
    _expect(cycle, CycleState.OPENED, "submitted")
    prepared_by = tuple(dict.fromkeys((*cycle.prepared_by, by)))
    return replace(cycle, state=CycleState.SUBMITTED, version=cycle.version + 1, prepared_by=prepared_by)


def propose(cycle: Cycle, envelope: int, donor: str, by: str, reason: str | None) -> Cycle:
    """Ask for a larger envelope (its new total, riel), of which `donor` gives what is added.

    Nothing moves until another person approves.

    Raises `NotPossible` for a cycle that is not approved or an envelope that is not larger.
    """
    _expect(cycle, CycleState.APPROVED, "funded")
    _expect_nothing_asked(cycle, asks_envelope=True)
    if envelope <= cycle.funded:
        raise NotPossible(
            f"the envelope holds {cycle.funded} riel already",
            "Name the new total, which must be larger; an envelope is never lowered below what it promised.",
        )
    return replace(
        cycle,
        version=cycle.version + 1,
        prepared_by=(by,),
        decided_by=None,
        proposed=envelope,
        donor=donor,
        reason=reason,
    )


def let_in(cycle: Cycle, by: str, reason: str) -> Cycle:
    """Ask that late joiners of a payroll cycle pass as they arrive; nothing does until another person agrees.

    Raises `NotPossible`.
    """
    _expect(cycle, CycleState.APPROVED, "opened to late joiners")
    if cycle.terms.approval is not ApprovalKind.PAYROLL:
        raise NotPossible(f"cycle {cycle.cycle_id} lets everybody in already", "Nothing is left to do.")
    _expect_nothing_asked(cycle, asks_envelope=False)
    return replace(
        cycle,
        version=cycle.version + 1,
        prepared_by=(by,),
        decided_by=None,
        asks_standing=True,
        reason=reason,
    )


def approve(cycle: Cycle, by: str, reason: str | None) -> Cycle:
    """Release what awaits a decision: the terms with their envelope, or a larger envelope.

    Raises `SamePerson` to whoever prepared it, `NotPossible` where nothing awaits a decision.
    """
    _asked(cycle, by)
    approval = ApprovalKind.STANDING if cycle.asks_standing else cycle.terms.approval
    return replace(
        cycle,
        terms=replace(cycle.terms, approval=approval),
        state=CycleState.APPROVED,
        version=cycle.version + 1,
        decided_by=by,
        reason=reason,
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
        decided_by=by,
        reason=reason,
        proposed=None,
        asks_standing=False,
    )


def _asked(cycle: Cycle, by: str) -> None:
    asked = cycle.proposed is not None or cycle.asks_standing
    if not asked or cycle.state not in (CycleState.SUBMITTED, CycleState.APPROVED):
        raise NotPossible(
            f"nothing of cycle {cycle.cycle_id} awaits a decision (it is {cycle.state})",
            "Submit the cycle, or propose a larger envelope, first.",
        )
    if by in cycle.prepared_by:
        raise SamePerson(
            f"{by} prepared this and can't decide on it", "Ask another person who may approve to decide."
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
