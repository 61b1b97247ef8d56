"""Another attempt at what definitely failed: the same entitlement key, to whoever collects now. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from contracts.wire import Cause
from services.payments.approval import SamePerson
from services.payments.budget import Waiting
from services.payments.cycles import NotPossible
from services.payments.decided import Decision, Outcome
from services.payments.entitlements import Desk, Household, Promise, promise
from services.payments.states import ENDED, Inquiry, Key, Payment, question_id


class Hindrance(StrEnum):
    """Why an ended payment is not sent again, besides what any payment may wait for.

    `time`: the next attempt is not due; `partner-answer`: its partner has not confirmed yet that it is over;
    `attempts`: as many were made as are made unasked; `payee`: who collects was not kept, and comes with the
    household's next decision.
    """

    TIME = "time"
    ANSWER = "partner-answer"
    ATTEMPTS = "attempts"
    LEFT = "left"
    NOT_DUE = "not-due"
    PAYEE = "payee"


@dataclass(frozen=True, slots=True)
class Retrying:
    """`attempts_most` of one key are made unasked, each so long `after` the one before ended."""

    attempts_most: int
    after: timedelta

    def due(self, waiting: Waiting | Hindrance, now: datetime) -> datetime | None:
        """When to look again; None where only a person or a newer decision changes anything."""
        return None if isinstance(waiting, Hindrance) or waiting is Waiting.CLOSED else now + self.after


class Wanted(NamedTuple):
    """An entitlement key to be tried again. `is_ordered`: by a person, who decides without its partner.

    `is_asked`: the partner, after it had ended; `is_confirmed`: by its answer, or there is nothing to ask.
    """

    household_id: str
    key: Key
    cycle_id: str
    is_ordered: bool
    is_asked: bool = False
    is_confirmed: bool = False


class Tried(NamedTuple):
    """What became of a try: `waiting` is None where a new attempt was issued; `asked` is a question's id."""

    wanted: Wanted
    waiting: Waiting | Hindrance | None
    asked: str | None = None


def cover(asked_by: str | None, by: str, payment: Payment, *, room: int) -> None:
    """Whether the envelope may pay now what is owed for a late settlement; `room`: riel its cycle can commit.

    Raises `NotPossible`, `SamePerson`.
    """
    if asked_by is None:
        raise NotPossible(
            "nobody has asked to cover this", "First: tonle payments cover; another person then approves."
        )
    if asked_by == by:
        raise SamePerson(f"{by} asked for this and can't decide on it", "Ask another person who may approve.")
    if room < payment.amount:
        raise NotPossible(
            f"the envelope of {payment.cycle_id} has no room for {payment.amount} riel",
            f"Raise it first: tonle cycles fund {payment.cycle_id}.",
        )


def again(
    desk: Desk, policy: Retrying, household: Household, wanted: Wanted, *, held: bool
) -> tuple[Household, Tried]:
    """Issue the next attempt of a key whose latest ended, for what is due of it by now.

    By itself only once its partner, asked after the end, confirmed it.
    """
    ended = household.payments[wanted.key]
    decision = _decision_of(household, ended)
    due = _due(ended, decision)
    waiting = _hindrance(policy, household, ended, due, wanted)
    if waiting is not None:
        return household, Tried(wanted, waiting)
    if held:
        return household, Tried(wanted, Waiting.HOLD)
    sealed = household.payee
    payee = desk.open_payee(sealed, household.decision_id) if sealed else None
    if payee is None:
        return household, Tried(wanted, Waiting.FORGOTTEN)
    if not (wanted.is_confirmed or wanted.is_ordered):
        hindered = desk.hinders(household, payee)
        return (household, Tried(wanted, hindered)) if hindered else _ask(desk, household, wanted, ended)
    # The terms it was first issued under stand, where the latest decision is about another period.
    granted = desk.grant(household, payee, wanted.key, wanted.cycle_id, due=due, terms=decision)
    if isinstance(granted, Waiting):
        return household, Tried(wanted, granted)
    number = household.sequence + 1
    said = Promise(wanted.key, wanted.cycle_id, due, granted, desk.route(payee, household.commune))
    issued = promise(household, payee, said, number)
    payments = {**household.payments, wanted.key: issued.payment}
    changes = (*household.changes, issued)
    paid = household._replace(sequence=number, payments=payments, changes=changes, paid_to=desk.mark(payee))
    return paid, Tried(wanted, None)


def _ask(desk: Desk, household: Household, wanted: Wanted, ended: Payment) -> tuple[Household, Tried]:
    """Ask once; a partner that is none any more can't be asked, and what it failed waits for a person."""
    if wanted.is_asked or ended.partner not in desk.partners:
        return household, Tried(wanted, Hindrance.ANSWER)
    asked = ended._replace(inquiries=ended.inquiries + 1)
    cause = Cause(f"ended/{asked.payment_id}/{asked.inquiries}", asked.correlation_id, asked.traceparent)
    inquiry = Inquiry(asked, household.sequence + 1, cause)
    asking = household._replace(
        sequence=inquiry.sequence,
        payments={**household.payments, asked.key: asked},
        changes=(*household.changes, inquiry),
    )
    return asking, Tried(wanted, Hindrance.ANSWER, question_id(asked))


def _hindrance(
    policy: Retrying, household: Household, ended: Payment, due: int, wanted: Wanted
) -> Hindrance | None:
    if household.exit_revision >= household.revision:
        return Hindrance.LEFT
    if due == 0 or ended.state not in ENDED:
        return Hindrance.NOT_DUE
    if ended.attempt >= policy.attempts_most and not wanted.is_ordered:
        return Hindrance.ATTEMPTS
    return Hindrance.PAYEE if household.payee is None else None


def _decision_of(household: Household, payment: Payment) -> Decision | None:
    """The decision that stands of this payment's key."""
    found = household.decisions.get((payment.programme, payment.period))
    about = found and (found.cycle_id, found.purpose)
    return found if about == (payment.cycle_id, payment.purpose) else None


def _due(ended: Payment, decision: Decision | None) -> int:
    if decision is None:
        return ended.entitled
    return decision.amount if decision.outcome is Outcome.ELIGIBLE else 0
