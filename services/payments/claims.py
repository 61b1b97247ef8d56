"""What households would be issued, as lines of a list that is frozen. Pure."""

from services.payments.budget import Waiting
from services.payments.entitlements import Desk, Household, line_of
from services.payments.payroll import Line


def claim(desk: Desk, household: Household, cycle_id: str) -> Line | Waiting | None:
    """What a household would be issued in a cycle, as a line of a list, or what keeps it out: a hold, or a
    payee to be confirmed. None where nothing waits there, or nobody can be paid. Raises what opening the
    payee raises."""
    sealed = household.payee
    payee = desk.open_payee(sealed, household.decision_id) if sealed else None
    waiting = (each for each in household.decisions.values() if each.waiting and each.cycle_id == cycle_id)
    decision = next(waiting, None)
    if sealed is None or payee is None or decision is None:
        return None
    hindered = desk.hinders(household, payee)
    if hindered is not None:
        return hindered
    key = decision.programme, decision.period or "", decision.purpose
    extra = desk.carry(household, key, desk.budgets[cycle_id], decision.amount)
    return line_of(household, decision, decision.amount + extra, desk.digest(sealed.key_id, payee))
