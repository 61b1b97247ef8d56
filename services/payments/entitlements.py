"""From decisions to payments: the latest decision of a household, what it waits for, and what it corrects.

An entitlement key is (programme, period, household, purpose). Before issue a newer decision supersedes;
afterwards it is recorded as a correction. Any order of decisions and exits ends in the same entitlements.
"""

from collections.abc import Callable, Collection, Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from contracts.household import HouseholdExited, Payee
from contracts.wire import Cause, Received
from postbox.errors import Park
from services.payments.budget import Budget, Judged, Waiting
from services.payments.corrections import balance, carried
from services.payments.decided import Decision, Outcome, Part, decision_of, earlier, may_pay, void
from services.payments.heard import DecisionHeard, ScoredHeard
from services.payments.payroll import Line
from services.payments.states import OPEN, Cancelling, Inquiry, Key, Payment, payment_id_of


class SealedPayee(NamedTuple):
    """Who collects, as it arrived: sealed under the event that brought it (`Household.decision_id`).

    It is kept while something is due by the latest decisions, since what fails may be sent again.
    """

    key_id: str
    blob: bytes


class Issued(NamedTuple):
    """A payment promised. `sequence` is its place among what is told of the household's payments."""

    payment: Payment
    payee: Payee
    key_id: str
    sequence: int
    cause: Cause


class Corrected(NamedTuple):
    """A newer decision differs by `correction` riel from what was promised and corrected so far."""

    payment: Payment
    correction: int
    decision_id: str
    sequence: int
    cause: Cause


class Household(NamedTuple):
    """What payments knows of a household; `payments` holds of each key in question the attempt that counts.

    So it does of all keys in which amount and entitlement differ; `written_off` is riel by programme.
    `scored` is the sequence of the last decision event seen, `sequence` that of its payments' events;
    `dropped` are parts whose decisions stand no more. `paid_to` marks the payee that was paid, or confirmed
    by a person, last.
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
    decisions: Mapping[Part, Decision] = MappingProxyType({})
    dropped: frozenset[Part] = frozenset()
    payments: Mapping[Key, Payment] = MappingProxyType({})
    sequence: int = 0
    is_new: bool = True
    changes: tuple[Issued | Corrected | Cancelling | Inquiry, ...] = ()
    written_off: Mapping[str, int] = MappingProxyType({})
    paid_to: bytes | None = None

    @property
    def cause(self) -> Cause:
        """The decision event whose decisions these are."""
        return Cause(self.decision_id, self.correlation_id, self.traceparent)


@dataclass(frozen=True, slots=True)
class Desk:
    """What issuing needs besides the decision: budgets under lock, who collects, who pays.

    `open_payee` gives None for a destroyed key; `route` names the partner for a payee and commune;
    `recover_percent` of a payment may be withheld for what was overpaid before; `is_held` says whether people
    hold a household; `digest` names a payee under a key, and says nothing to who has not that key; `mark`
    does so under no key, and `confirms` says whether another payee than was paid last waits for a person.
    Partners that are `paused` are told nothing, and what they would pay waits; `partners` can be asked.
    """

    budgets: Mapping[str, Budget]
    open_payee: Callable[[SealedPayee, str], Payee | None]
    route: Callable[[Payee, str], str]
    recover_percent: int
    is_held: Callable[[str, Payee], bool]
    digest: Callable[[str, Payee], str]
    mark: Callable[[Payee], bytes]
    confirms: bool
    paused: Collection[str] = frozenset()
    partners: Container[str] = frozenset()

    def hinders(self, household: Household, payee: Payee) -> Waiting | None:
        """What keeps this payee from being paid whatever was approved: a hold, or that it is another."""
        if self.is_held(household.household_id, payee):
            return Waiting.HELD
        if self.confirms and household.paid_to is not None and self.mark(payee) != household.paid_to:
            return Waiting.PAYEE
        return None

    def carry(self, household: Household, key: Key, budget: Budget, due: int) -> int:
        """Riel carried into a payment of what is `due`: owed from before, or below zero withheld."""
        open_now = balance(household.payments.values(), key[0], household.written_off.get(key[0], 0))
        cap = budget.cycle.terms.cap_household
        return carried(open_now, due, cap=cap, recover_percent=self.recover_percent)

    def grant(
        self,
        household: Household,
        payee: Payee,
        key: Key,
        cycle_id: str,
        *,
        due: int,
        terms: Judged | None = None,
        listed: Line | None = None,
    ) -> "int | Waiting":
        """Commit what is `due` of a key with what is carried into it, or say why not; gives riel carried.

        The cycle's own terms stand where none are given. What was underpaid before delays no payment: it is
        carried as far as the cap and the envelope let it. `listed`: what must stand on a list, but for its
        amount, which is all that is committed.
        """
        budget = self.budgets.get(cycle_id)
        if budget is None:
            return Waiting.APPROVAL
        hindered = self.hinders(household, payee)
        if hindered is not None:
            return hindered
        if self.paused and self.route(payee, household.commune) in self.paused:
            return Waiting.PARTNER_PAUSED
        judged = terms or budget.cycle.terms
        extra = self.carry(household, key, budget, due)
        if listed is not None:
            waiting = budget.take(judged, due + extra, listed._replace(amount=due + extra))
            return extra if waiting is None else waiting
        waiting = budget.take(judged, due + extra)
        if waiting is Waiting.ENVELOPE and extra > 0:
            extra, waiting = 0, budget.take(judged, due)
        return extra if waiting is None else waiting


def score(
    desk: Desk,
    household: Household | None,
    scored: Received[ScoredHeard],
    together: Iterable[DecisionHeard] = (),
) -> Household | None:
    """Take in a household's decisions: issue, let wait, supersede or correct. None for what is not newer.

    `together`: what its sealed decisions come to (`services.payments.together`). Raises `Park`, or what
    opening the payee raises; then nothing changed.
    """
    said = scored.data
    if scored.key != said.household_id:
        raise Park("the event's key is not its household")
    known = household or Household(said.household_id)
    if scored.sequence <= known.scored:
        return None
    payee = SealedPayee(said.payee.key_id, said.payee.blob)
    opened = desk.open_payee(payee, scored.id)
    made = (decision_of(each, scored) for each in (*said.decisions, *together))
    decisions = {each.part: each for each in made}
    standing = {**earlier(known.decisions.values(), decisions), **decisions} if known.decisions else decisions
    latest = known._replace(
        scored=scored.sequence,
        revision=said.revision,
        commune=said.commune,
        decision_id=scored.id,
        correlation_id=scored.correlation_id,
        traceparent=scored.traceparent,
        decided_at=scored.time,
        payee=payee,
        decisions=standing,
        dropped=_dropped(known, standing),
    )
    if said.revision <= known.exit_revision:
        return _voided(latest)
    return _settle(desk, latest, decisions.values(), opened)


def leave(household: Household | None, exited: Received[HouseholdExited]) -> Household | None:
    """Take in an exit: decisions at or below its revision are void, what is open is asked to be cancelled.

    `household.payments` holds all that are open; what was paid, or can't be stopped, runs its course.
    """
    if exited.key != exited.data.household_id:
        raise Park("the event's key is not its household")
    revision = exited.data.revision
    known = household or Household(exited.data.household_id)
    if revision <= known.exit_revision:
        return None
    cause = Cause(exited.id, exited.correlation_id, exited.traceparent)
    opened = [each for each in known.payments.values() if each.state in OPEN and each.revision <= revision]
    changes = tuple(
        Cancelling(each._replace(cancels=each.cancels + 1), number, cause, "household-left")
        for number, each in enumerate(opened, known.sequence + 1)
    )
    asked = {each.payment.key: each.payment for each in changes}
    return _voided(
        known._replace(
            exit_revision=revision,
            sequence=known.sequence + len(changes),
            payments={**known.payments, **asked},
            changes=(*known.changes, *changes),
        )
    )


def retry(desk: Desk, household: Household, cycle_id: str, *, held: bool) -> Household:
    """Try again what waits in one cycle: it was approved, or its envelope has room again."""
    payee = household.payee
    opened = desk.open_payee(payee, household.decision_id) if payee and not held else None
    decisions = household.decisions.values()
    waiting = [each for each in decisions if each.waiting is not None and each.cycle_id == cycle_id]
    if not held:
        return _settle(desk, household, waiting, opened)
    on_hold = {each.part: each._replace(waiting=Waiting.HOLD) for each in waiting}
    return household._replace(decisions={**household.decisions, **on_hold})


class Promise(NamedTuple):
    """What is promised of a key: `due` riel by its decision, `carried` from earlier ones, by a partner."""

    key: Key
    cycle_id: str
    due: int
    carried: int
    partner: str


def promise(household: Household, payee: Payee, said: Promise, sequence: int) -> Issued:
    """The next attempt of a key, by the decision that stands of it, else by the household's latest event."""
    programme, period, purpose = said.key
    decision = household.decisions.get((programme, period))
    decision_id, revision = (
        (decision.decision_id, decision.revision) if decision else (household.decision_id, household.revision)
    )
    earlier = household.payments.get(said.key)
    attempt = earlier.attempt + 1 if earlier else 1
    payment_id = payment_id_of(household.household_id, said.key, attempt)
    payment = Payment(
        *(payment_id, household.household_id, programme, period, purpose, attempt, said.cycle_id),
        *(said.due + said.carried, said.due, said.partner, household.commune, revision, decision_id),
        *(household.correlation_id, household.traceparent),
        carried=said.carried,
    )
    key_id = household.payee.key_id if household.payee else ""
    cause = Cause(decision_id, household.correlation_id, household.traceparent)
    return Issued(payment, payee, key_id, sequence, cause)


def _settle(
    desk: Desk, household: Household, decisions: Iterable[Decision], payee: Payee | None
) -> Household:
    """Issue, correct or let wait what each decision says."""
    settled, payments = {**household.decisions}, {**household.payments}
    changes: list[Issued | Corrected] = []
    for decision in decisions:
        if decision.cycle_id is None or decision.period is None or decision.outcome is Outcome.VOID:
            continue
        sequence = household.sequence + len(changes) + 1
        key = decision.programme, decision.period, decision.purpose
        earlier = payments.get(key)
        change: Issued | Corrected | None = None
        if earlier is not None:
            change = _correct(household, earlier, decision, sequence)
        elif decision.outcome is Outcome.ELIGIBLE:
            so_far = household._replace(payments=payments) if changes else household
            granted = _grant(desk, so_far, decision, key, payee)
            waiting = granted if isinstance(granted, Waiting) else None
            if waiting is not decision.waiting:
                settled[decision.part] = decision._replace(waiting=waiting)
            if not isinstance(granted, Waiting) and payee is not None:
                said = Promise(
                    key, decision.cycle_id, decision.amount, granted, desk.route(payee, household.commune)
                )
                change = promise(household, payee, said, sequence)
        if change is not None:
            payments[change.payment.key] = change.payment
            changes.append(change)
    return household._replace(
        sequence=household.sequence + len(changes),
        payee=household.payee if any(map(may_pay, settled.values())) else None,
        decisions=settled,
        payments=payments,
        changes=(*household.changes, *changes),
        paid_to=desk.mark(payee) if payee and any(map(_is_issued, changes)) else household.paid_to,
    )


def _is_issued(change: Issued | Corrected) -> bool:
    return isinstance(change, Issued)


def _grant(
    desk: Desk, household: Household, decision: Decision, key: Key, payee: Payee | None
) -> int | Waiting:
    if payee is None or household.payee is None:
        return Waiting.FORGOTTEN
    cycle_id = decision.cycle_id or ""
    budget, listed = desk.budgets.get(cycle_id), None
    if budget is not None and budget.pays_from_lists:
        listed = line_of(household, decision, decision.amount, desk.digest(household.payee.key_id, payee))
    return desk.grant(household, payee, key, cycle_id, due=decision.amount, terms=decision, listed=listed)


def line_of(household: Household, decision: Decision, amount: int, digest: str) -> Line:
    """What a decision promises, as it stands on a list."""
    return Line(household.household_id, amount, decision.decision_id, digest)


def _correct(household: Household, payment: Payment, decision: Decision, sequence: int) -> Corrected | None:
    due = decision.amount if decision.outcome is Outcome.ELIGIBLE else 0
    if due == payment.entitled:
        return None
    corrected = payment._replace(entitled=due)
    return Corrected(corrected, due - payment.entitled, household.decision_id, sequence, household.cause)


def _dropped(household: Household, standing: Mapping[Part, Decision]) -> frozenset[Part]:
    return (household.dropped | household.decisions.keys()) - standing.keys()


def _voided(household: Household) -> Household:
    """With what was decided of revisions that the household left at or before; earlier events' is dropped."""
    decisions: dict[Part, Decision] = {}
    for part, each in household.decisions.items():
        if each.revision > household.exit_revision:
            decisions[part] = each
        elif each.decision_id == household.decision_id or each.waiting is None:
            decisions[part] = void(each)
    payee = household.payee if any(map(may_pay, decisions.values())) else None
    return household._replace(payee=payee, decisions=decisions, dropped=_dropped(household, decisions))
