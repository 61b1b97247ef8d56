"""The steps that a household is told of: what each may say, how urgent it is, and how long it stays true."""

from datetime import timedelta
from typing import Final, NamedTuple

REGISTERED: Final = "registered"
ELIGIBLE: Final = "eligible"
REFUSED: Final = "refused"
READY: Final = "payment-ready"
REMINDER: Final = "payment-reminder"
PAID: Final = "payment-paid"
FAILED: Final = "payment-failed"
EXPIRED: Final = "payment-expired"
CARD_EXPIRING: Final = "card-expiring"
RECERTIFICATION: Final = "recertification-due"
SHARED_PHONE: Final = "shared-phone"
"""No step: what is said in place of any of them where two households share a number."""

ANSWER: Final = "answer"
"""No step: what an SMS that came in is answered, whatever it asked; sent before all steps."""
ANSWER_PRIORITY: Final = 0

_MONEY = frozenset({"amount", "where", "until"})
_OF_PROGRAMME = frozenset({"programme", "period"})


class Step(NamedTuple):
    """`fields`: what neutral words may name, `in_full` what full ones may besides; `needed` is a must.

    The lowest `priority` is sent first. It is true for `true_for`, or where that is None to its last day.
    """

    fields: frozenset[str]
    needed: frozenset[str]
    priority: int
    true_for: timedelta | None
    in_full: frozenset[str] = frozenset()


STEPS: Final = {
    REGISTERED: Step(frozenset(), frozenset(), 3, timedelta(days=7)),
    ELIGIBLE: Step(frozenset(), frozenset(), 2, timedelta(days=30)),
    REFUSED: Step(frozenset(), frozenset(), 2, timedelta(days=30)),
    READY: Step(_MONEY, _MONEY, 0, None, _OF_PROGRAMME),
    REMINDER: Step(_MONEY, frozenset({"where", "until"}), 0, None, _OF_PROGRAMME),
    PAID: Step(frozenset({"amount", "to"}), frozenset({"amount"}), 1, timedelta(days=14), _OF_PROGRAMME),
    FAILED: Step(frozenset({"amount"}), frozenset(), 1, timedelta(days=30), _OF_PROGRAMME),
    EXPIRED: Step(frozenset({"amount"}), frozenset(), 1, timedelta(days=30), _OF_PROGRAMME),
    CARD_EXPIRING: Step(frozenset({"until"}), frozenset({"until"}), 2, None),
    RECERTIFICATION: Step(frozenset({"until"}), frozenset({"until"}), 2, None),
    SHARED_PHONE: Step(frozenset(), frozenset(), 0, None),
}
_NUMBER = frozenset({"number"})
ANSWERS: Final = {
    "answer-stopped": Step(frozenset({"hotline"}), frozenset(), 0, None),
    "answer-started": Step(frozenset({"hotline"}), frozenset(), 0, None),
    "answer-help": Step(frozenset({"hotline"}), frozenset({"hotline"}), 0, None),
    "answer-protection": Step(frozenset({"helpline"}), frozenset({"helpline"}), 0, None),
    "grievance-opened": Step(_NUMBER, _NUMBER, 0, None),
    "grievance-updated": Step(_NUMBER | {"state"}, _NUMBER | {"state"}, 0, None),
}
"""Sent as `answer`, to whoever wrote; their words are data as those of steps are."""
WORDED: Final = {**STEPS, **ANSWERS}
