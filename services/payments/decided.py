"""What eligibility decided of a household, as payments keeps it: one of each programme and period. Pure."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

from contracts.eligibility import Outcome as Scored
from contracts.money import PAYABLE_MULTIPLE_RIEL
from contracts.wire import Received
from postbox.errors import Park
from services.payments.budget import Waiting
from services.payments.heard import DecisionHeard, ScoredHeard


class Outcome(StrEnum):
    """`void`: the household left, or a newer event no longer mentions the programme."""

    ELIGIBLE = "eligible"
    REFUSED = "refused"
    VOID = "void"


Part = tuple[str, str]
"""(programme, period): one decision of each stands at a time; the period is '' where it is for no cycle."""


_KEPT_AS = {Scored.ELIGIBLE: Outcome.ELIGIBLE, Scored.REFUSED: Outcome.REFUSED}


class Decision(NamedTuple):
    """The latest decision of one programme and period, and the event and revision that brought it.

    `waiting` says why it is not paid, None where nothing is due.
    """

    programme: str
    programme_hash: str
    purpose: str
    cycle_id: str | None
    period: str | None
    outcome: Outcome
    amount: int
    decision_id: str
    revision: int
    waiting: Waiting | None = None

    @property
    def part(self) -> Part:
        return self.programme, self.period or ""


Matter = tuple[str, str, str, str | None, str | None]
"""What a decision is about: programme, its hash, purpose, cycle and period. Many households share one."""


def matter_id(matter: Matter) -> str:
    """By which a matter is known: 64 bits of a SHA-256."""
    return sha256("\n".join(each or "" for each in matter).encode()).hexdigest()[:16]


def decision_of(said: DecisionHeard, scored: Received[ScoredHeard]) -> Decision:
    """A programme's decision as it is kept. Raises `Park` for what can't be paid out."""
    if said.outcome is Scored.UNRECOGNISED:
        raise Park("decision: an outcome this version does not know")
    if said.outcome is Scored.ELIGIBLE and (said.amount <= 0 or said.amount % PAYABLE_MULTIPLE_RIEL):
        raise Park("decision: the amount is not a positive multiple of 100 riel")
    return Decision(
        *(said.programme, said.programme_hash, said.purpose, said.cycle_id, said.period),
        *(_KEPT_AS[said.outcome], said.amount, scored.id, scored.data.revision),
    )


def earlier(known: Iterable[Decision], said: Mapping[Part, Decision]) -> dict[Part, Decision]:
    """What stands of earlier events: of a programme that is decided for another period what waits, and of
    one that is not mentioned any more nothing."""
    programmes = {each.programme for each in said.values()}
    left: dict[Part, Decision] = {}
    for each in known:
        if each.programme not in programmes:
            left[each.part] = void(each)
        elif each.waiting is not None and each.part not in said:
            left[each.part] = each
    return left


def may_pay(decision: Decision) -> bool:
    """Whether something is due by it."""
    return decision.outcome is Outcome.ELIGIBLE and decision.cycle_id is not None


def void(decision: Decision) -> Decision:
    """The same, saying nothing any more."""
    return decision._replace(outcome=Outcome.VOID, waiting=None)
