"""From decisions to payments: the latest decision of a household, what it waits for, and what it corrects.

An entitlement key is (programme, period, household, purpose). Before issue a newer decision supersedes;
afterwards it is recorded as a correction. Any order of decisions and exits ends in the same entitlements.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from contracts.eligibility import EligibilityScored, ProgrammeDecision
from contracts.eligibility import Outcome as Scored
from contracts.household import HouseholdExited, Payee
from contracts.money import PAYABLE_MULTIPLE_RIEL
from contracts.topics import PAYMENT_ISSUED
from contracts.wire import Cause, Received, event_id
from postbox.errors import Park
from services.payments.budget import Budget, Waiting
from services.payments.states import LIVE, Key, Payment


class Outcome(StrEnum):
    """`void`: the household left, or a newer event no longer mentions the programme."""

    ELIGIBLE = "eligible"
    REFUSED = "refused"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Decision:
    """The latest decision of one programme; `waiting` says why it is not paid, None where nothing is due."""

    programme: str
    programme_hash: str
    purpose: str
    cycle_id: str | None
    period: str | None
    outcome: Outcome
    amount: int
    waiting: Waiting | None = None


@dataclass(frozen=True, slots=True)
class SealedPayee:
    """Who collects, as it arrived: sealed under the event that brought it (`Household.decision_id`)."""

    key_id: str
    blob: bytes


@dataclass(frozen=True, slots=True)
class Issued:
    """A payment promised. `sequence` is its place among what is told of the household's payments."""

    payment: Payment
    payee: Payee
    key_id: str
    sequence: int
    cause: Cause


@dataclass(frozen=True, slots=True)
class Corrected:
    """A newer decision differs by `correction` riel from what was promised and corrected so far."""

    payment: Payment
    correction: int
    decision_id: str
    sequence: int
    cause: Cause


@dataclass(frozen=True, slots=True)
class Household:
    """What payments knows of a household; `payments` holds the latest attempt of each key in question.

    `scored` is the sequence of the last decision event seen, `sequence` that of its payments' events.
    """

    household_id: str
    scored: int = 0
    revision: int = 0
    exit_revision: int = 0
    commune: str = ""
    decision_id: str = ""
    correlation_id: str = ""
    traceparent: str = ""
    decided_at: datetime | None = None
    payee: SealedPayee | None = None
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    payments: Mapping[Key, Payment] = field(default_factory=dict)
    sequence: int = 0
    is_new: bool = True
    changes: tuple[Issued | Corrected, ...] = ()


@dataclass(frozen=True, slots=True)
class Desk:
    """What issuing needs besides the decision: budgets under lock, who collects, who pays.

    `open_payee` gives None for a destroyed key; `route` names the partner for a payee.
    """

    budgets: Mapping[str, Budget]
    open_payee: Callable[[SealedPayee, str], Payee | None]
    route: Callable[[Payee], str]


def score(desk: Desk, household: Household | None, scored: Received[EligibilityScored]) -> Household | None:
    """Take in a household's decisions: issue, let wait, supersede or correct. None for what is not newer.

    Raises `Park`, or what opening the payee raises; then nothing changed.
    """
    said = scored.data
    if scored.key != said.household_id:
        raise Park("the event's key is not its household")
    known = household or Household(said.household_id)
    if scored.sequence <= known.scored:
        return None
    payee = SealedPayee(said.payee.key_id, said.payee.blob)
    opened = desk.open_payee(payee, scored.id)
    fresh = {each.programme: _decision(each) for each in said.decisions}
    dropped = {name: _void(old) for name, old in known.decisions.items() if name not in fresh}
    latest = replace(
        known,
        scored=scored.sequence,
        revision=said.revision,
        commune=said.commune,
        decision_id=scored.id,
        correlation_id=scored.correlation_id,
        traceparent=scored.traceparent,
        decided_at=scored.time,
        payee=payee,
        decisions={**dropped, **fresh},
    )
    if said.revision <= known.exit_revision:
        return replace(latest, decisions={name: _void(each) for name, each in latest.decisions.items()})
    cause = Cause(scored.id, scored.correlation_id, scored.traceparent)
    for decision in latest.decisions.values():
        latest = _settle(desk, latest, decision, opened, cause)
    return latest


def leave(household: Household | None, exited: Received[HouseholdExited]) -> Household | None:
    """Take in an exit: decisions at or below its revision are void; what was issued runs its course."""
    if exited.key != exited.data.household_id:
        raise Park("the event's key is not its household")
    revision = exited.data.revision
    known = household or Household(exited.data.household_id)
    if revision <= known.exit_revision:
        return None
    known = replace(known, exit_revision=revision)
    if known.revision > revision:
        return known
    return replace(known, decisions={name: _void(each) for name, each in known.decisions.items()})


def retry(desk: Desk, household: Household, cycle_id: str, *, held: bool) -> Household:
    """Try again what waits in one cycle: it was approved, or its envelope has room again."""
    cause = Cause(household.decision_id, household.correlation_id, household.traceparent)
    payee = household.payee
    opened = desk.open_payee(payee, household.decision_id) if payee and not held else None
    for decision in household.decisions.values():
        if decision.waiting is None or decision.cycle_id != cycle_id:
            continue
        if held:
            household = _with(household, replace(decision, waiting=Waiting.HOLD))
        else:
            household = _settle(desk, household, decision, opened, cause)
    return household


def _settle(
    desk: Desk,
    household: Household,
    decision: Decision,
    payee: Payee | None,
    cause: Cause,
) -> Household:
    if decision.cycle_id is None or decision.period is None or decision.outcome is Outcome.VOID:
        return household
    key = (decision.programme, decision.period, decision.purpose)
    earlier = household.payments.get(key)
    if earlier is not None:
        return _correct(household, earlier, decision, cause)
    if decision.outcome is Outcome.REFUSED:
        return household
    waiting = _take(desk, decision, payee)
    household = _with(household, replace(decision, waiting=waiting))
    if waiting is not None or payee is None:
        return household
    return _issue(household, decision, payee, desk.route(payee), cause)


def _take(desk: Desk, decision: Decision, payee: Payee | None) -> Waiting | None:
    if payee is None:
        return Waiting.FORGOTTEN
    budget = desk.budgets.get(decision.cycle_id or "")
    if budget is None:
        return Waiting.APPROVAL
    return budget.take(decision, decision.amount)


def _issue(household: Household, decision: Decision, payee: Payee, partner: str, cause: Cause) -> Household:
    programme, period, purpose = decision.programme, decision.period or "", decision.purpose
    attempt = 1
    payment = Payment(
        payment_id=event_id(PAYMENT_ISSUED, programme, period, household.household_id, purpose, attempt),
        household_id=household.household_id,
        programme=programme,
        period=period,
        purpose=purpose,
        attempt=attempt,
        cycle_id=decision.cycle_id or "",
        amount=decision.amount,
        entitled=decision.amount,
        partner=partner,
        commune=household.commune,
        revision=household.revision,
        decision_id=household.decision_id,
        correlation_id=household.correlation_id,
        traceparent=household.traceparent,
    )
    key_id = household.payee.key_id if household.payee else ""
    return _changed(household, payment, Issued(payment, payee, key_id, household.sequence + 1, cause))


def _correct(household: Household, payment: Payment, decision: Decision, cause: Cause) -> Household:
    due = decision.amount if decision.outcome is Outcome.ELIGIBLE else 0
    # What failed or came back is no longer promised: there is nothing to correct until it is sent again.
    if payment.state not in LIVE or due == payment.entitled:
        return household
    corrected = replace(payment, entitled=due)
    by = due - payment.entitled
    change = Corrected(corrected, by, household.decision_id, household.sequence + 1, cause)
    return _changed(household, corrected, change)


def _changed(household: Household, payment: Payment, change: Issued | Corrected) -> Household:
    return replace(
        household,
        sequence=change.sequence,
        payments={**household.payments, payment.key: payment},
        changes=(*household.changes, change),
    )


def _with(household: Household, decision: Decision) -> Household:
    return replace(household, decisions={**household.decisions, decision.programme: decision})


def _decision(said: ProgrammeDecision) -> Decision:
    if said.outcome is Scored.UNRECOGNISED:
        raise Park("decision: an outcome this version does not know")
    if said.outcome is Scored.ELIGIBLE and (said.amount <= 0 or said.amount % PAYABLE_MULTIPLE_RIEL):
        raise Park("decision: the amount is not a positive multiple of 100 riel")
    return Decision(
        programme=said.programme,
        programme_hash=said.programme_hash,
        purpose=said.purpose,
        cycle_id=said.cycle_id,
        period=said.period,
        outcome=Outcome(said.outcome.value),
        amount=said.amount,
    )


def _void(decision: Decision) -> Decision:
    return replace(decision, outcome=Outcome.VOID, waiting=None)
