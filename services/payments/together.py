"""Sensitive programmes are paid together: one amount a household and period, naming none of them. Pure."""

from collections.abc import Iterable

from contracts.eligibility import SEALED_TOGETHER, Outcome, terms_together
from services.payments.heard import DecisionHeard


def combine(opened: Iterable[DecisionHeard]) -> tuple[DecisionHeard, ...]:
    """One decision for each cycle that sensitive programmes are paid from together, by what they decided.

    It names neither them nor their purposes or lines; its programme hash is that of all who decided. What
    was decided for a cycle of a programme's own is left out: its name would tell.
    """
    by_cycle: dict[str, list[DecisionHeard]] = {}
    for each in opened:
        if each.cycle_id is not None and each.cycle_id == f"{SEALED_TOGETHER}-{each.period}":
            by_cycle.setdefault(each.cycle_id, []).append(each)
    return tuple(_together(decided) for _, decided in sorted(by_cycle.items()))


def _together(decided: list[DecisionHeard]) -> DecisionHeard:
    first = decided[0]
    amount = sum(each.amount for each in decided if each.outcome is Outcome.ELIGIBLE)
    known = all(each.outcome is not Outcome.UNRECOGNISED for each in decided)
    paid = Outcome.ELIGIBLE if amount else Outcome.REFUSED
    return DecisionHeard(
        programme=SEALED_TOGETHER,
        programme_hash=terms_together((each.programme, each.programme_hash) for each in decided),
        purpose=SEALED_TOGETHER,
        cycle_id=first.cycle_id,
        period=first.period,
        outcome=paid if known else Outcome.UNRECOGNISED,
        amount=amount,
    )
