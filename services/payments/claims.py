"""What households would be issued, as lines of a list that is frozen. Pure."""

from services.payments.entitlements import Desk, Household, line_of
from services.payments.payroll import Line


def claim(desk: Desk, household: Household, cycle_id: str) -> Line | None:
    """What a household would be issued in a cycle, as a line of a list; None where nothing waits there,
    nobody can be paid, people hold the household, or its payee is to be confirmed. Raises what opening the
    payee raises."""
    sealed = household.payee
    payee = desk.open_payee(sealed, household.decision_id) if sealed else None
    waiting = (each for each in household.decisions.values() if each.waiting and each.cycle_id == cycle_id)
    decision = next(waiting, None)
    if sealed is None or payee is None or decision is None:
        return None
    if desk.hinders(household, payee) is not None:
        return None
    key = decision.programme, decision.period or "", decision.purpose
    extra = desk.carry(household, key, desk.budgets[cycle_id], decision.amount)
    return line_of(household, decision, decision.amount + extra, desk.digest(sealed.key_id, payee))
