"""Which SMS the others' events bring: pure folds, the same whatever order topics come in.

What an SMS says, and to whom, is read when it is sent; here is decided only that there is one.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from contracts import topics, wire
from contracts.eligibility import Outcome
from contracts.household import Channel, ContactPreference
from contracts.milestone import MilestoneKind, MilestoneReached
from contracts.payment import PaymentState
from contracts.wire import Received
from postbox.errors import Park
from services.notifications import sms, steps
from services.notifications.heard import (
    HouseholdHeard,
    IssuedHeard,
    Recipient,
    ScoredHeard,
    SensitiveHeard,
    UpdatedHeard,
)
from services.notifications.sms import NewSms
from vault.sealing import Keys

SENSITIVE_TYPE = f"{topics.ELIGIBILITY_SCORED.name}/sensitive"
REACHED = "sms"
TO_COLLECT = ("accepted", "unknown")
"""States of a payment that the partner has ready; one that fell silent afterwards still has."""
_TOLD_OF: Mapping[PaymentState, str] = {
    PaymentState.ACCEPTED: steps.READY,
    PaymentState.SETTLED: steps.PAID,
    PaymentState.FAILED: steps.FAILED,
    PaymentState.RETURNED: steps.FAILED,
    PaymentState.EXPIRED: steps.EXPIRED,
}
_TOLD_ON: Mapping[MilestoneKind, str] = {
    MilestoneKind.CARD_EXPIRING: steps.CARD_EXPIRING,
    MilestoneKind.RECERTIFICATION_DUE: steps.RECERTIFICATION,
}
_NO_STATE = (PaymentState.CORRECTED, PaymentState.UNRECOGNISED)
PAYMENT_STATES = ("issued", *(each.value for each in PaymentState if each not in _NO_STATE))


@dataclass(frozen=True)
class Policy:
    """`steps` that are told; `from_files`: `registered` is told of imported files, too.

    `settling`: how long a decision waits before it is told, since a payment or a correction may follow it.
    """

    steps: frozenset[str]
    from_files: bool
    settling: timedelta

    @property
    def tells_standings(self) -> bool:
        """Whether anybody is told how they stand; else decisions need not be read."""
        return not self.steps.isdisjoint((steps.ELIGIBLE, steps.REFUSED))


class Contact(NamedTuple):
    """Whom a household's SMS go to, as last registered; `payee` stays sealed under `event_id`."""

    household_id: str
    revision: int
    commune: str = ""
    reach: str = REACHED
    event_id: str = ""
    key_id: str = ""
    payee: bytes | None = None
    number_hash: bytes | None = None
    fallback_hash: bytes | None = None
    is_new: bool = True
    new: tuple[NewSms, ...] = ()


class Standing(NamedTuple):
    """How a household stands (`eligible`, `refused`) by its scoring number `sequence`."""

    household_id: str
    sequence: int = 0
    standing: str = ""
    is_new: bool = True
    new: tuple[NewSms, ...] = ()


class Payment(NamedTuple):
    """A payment as far as it was told. `programme` is None until it is known what it is.

    Its event is the one it was issued by, or until that is heard the first that was.

    `steps_off`: the templates of its steps that happened and are not told, with spaces between.
    """

    payment_id: str
    household_id: str
    programme: str | None = None
    partner: str | None = None
    period: str | None = None
    amount: int | None = None
    until: date | None = None
    state: str = "issued"
    sequence: int = 0
    event_id: str = ""
    correlation_id: str = ""
    traceparent: str = ""
    steps_off: str = ""
    is_new: bool = True


class Payments(NamedTuple):
    """Those of a household's payments that a batch is about, and what it changes."""

    household_id: str
    payments: Mapping[str, Payment]
    changed: frozenset[str] = frozenset()
    new: tuple[NewSms, ...] = ()


def register(
    policy: Policy,
    keys: Keys,
    hash_of: Callable[[str], bytes],
    known: Contact | None,
    event: Received[HouseholdHeard],
) -> Contact | None:
    """Whom to tell from now on, and that the household is registered; None for a revision that is not newer.

    Raises `KeyMissing` (its key has not come yet), `SealBroken` and `WireError`.
    """
    said, key_id = event.data, event.data.payee.key_id
    if known is not None and said.revision <= known.revision:
        return None
    new = known.new if known else ()
    is_told = steps.REGISTERED in policy.steps and (said.channel is Channel.DESK or policy.from_files)
    if said.revision == 1 and is_told:
        new = (*new, sms.new(event, steps.REGISTERED, said.household_id, about=said.household_id))
    reach, payee, number, fallback = sms.FORGOTTEN, None, None, None
    if keys.state(key_id) != "destroyed":
        payee = said.payee.blob
        to = wire.load(Recipient, keys.open(key_id, payee, event_id=event.id, event_type=event.type))
        reach = _reach(to)
        number = hash_of(to.phone) if to.phone else None
        fallback = hash_of(to.fallback_phone) if to.fallback_phone else None
    return Contact(
        said.household_id,
        said.revision,
        said.commune,
        reach,
        event.id,
        key_id,
        payee,
        number,
        fallback,
        known is None or known.is_new,
        new,
    )


def stand(
    policy: Policy, keys: Keys, known: Standing | None, event: Received[ScoredHeard]
) -> Standing | None:
    """How the household stands, and an SMS where that is news; None for a scoring that is not newer.

    Sensitive decisions are opened only where nothing else makes it eligible. Raises what opening raises.
    """
    known = known or Standing(event.data.household_id)
    if event.sequence <= known.sequence:
        return None
    standing = _standing(keys, event)
    new: tuple[NewSms, ...] = ()
    if standing not in (None, known.standing) and standing in policy.steps:
        until = event.time + policy.settling
        new = (sms.new(event, standing, known.household_id, about=event.id)._replace(not_before=until),)
    return known._replace(
        sequence=event.sequence, standing=standing or known.standing, new=(*known.new, *new)
    )


def issue(known: Payments | None, event: Received[IssuedHeard]) -> Payments | None:
    """What a payment is; None where that was known."""
    said = event.data
    _check_key(event.key, said.household_id)
    payment = _of(known, said.payment_id, event)
    if payment.programme is not None:
        return None
    payment = payment._replace(
        programme=said.programme,
        partner=said.partner,
        period=said.period,
        amount=said.amount,
        until=said.withdraw_until,
        event_id=event.id,
        correlation_id=event.correlation_id,
        traceparent=event.traceparent,
    )
    return _with(known, payment, known.new if known else ())


def update(policy: Policy, known: Payments | None, event: Received[UpdatedHeard]) -> Payments | None:
    """How a payment stands, and the SMS of it; None for what is not newer, or says nothing of its state.

    What this batch had to say of it and is true no more is not sent.
    """
    said = event.data
    _check_key(event.key, said.household_id)
    payment = _of(known, said.payment_id, event)
    if said.state in _NO_STATE or event.sequence <= payment.sequence:
        return None
    template = _TOLD_OF.get(said.state)
    payment = payment._replace(
        state=said.state.value, sequence=event.sequence, steps_off=_off(policy, payment.steps_off, template)
    )
    new = [_unless_overtaken(policy, each, payment) for each in known.new] if known else []
    # What was not told when it happened is not told when it happens again.
    if template is not None and template not in payment.steps_off.split():
        about = said.payment_id
        new.append(sms.new(event, template, said.household_id, about=about, payment_id=about))
    return _with(known, payment, new)


def reach(policy: Policy, event: Received[MilestoneReached]) -> NewSms | None:
    """What must be done by a day; None for milestones that ask nothing of the household."""
    said = event.data
    _check_key(event.key, said.household_id)
    template = _TOLD_ON.get(said.kind)
    if template is None or said.due_on is None or template not in policy.steps:
        return None
    new = sms.new(event, template, said.household_id, about=f"{said.household_id}/{said.due_on}")
    return new._replace(on_date=said.due_on)


def remind(payment: Payment, now: datetime) -> NewSms:
    """The SMS that says of a payment, some days before the last, that it waits to be collected."""
    return NewSms(
        sms.sms_id(payment.payment_id, steps.REMINDER, payment.household_id),
        payment.household_id,
        payment.payment_id,
        steps.REMINDER,
        payment.event_id,
        payment.correlation_id,
        payment.traceparent,
        now,
        steps.STEPS[steps.REMINDER].priority,
    )


def is_overtaken(policy: Policy, template: str, state: str) -> bool:
    """Whether what a template says of a payment is not so any more, the payment being in `state`.

    Money that was paid is no longer waiting; where that is not told, it is said that it was ready.
    """
    if template == steps.READY and state == PaymentState.SETTLED:
        return steps.PAID in policy.steps
    return template in (steps.READY, steps.REMINDER) and state not in TO_COLLECT


def _off(policy: Policy, steps_off: str, template: str | None) -> str:
    if template is None or template in policy.steps or template in steps_off.split():
        return steps_off
    return f"{steps_off} {template}".lstrip()


def _unless_overtaken(policy: Policy, new: NewSms, payment: Payment) -> NewSms:
    is_about = new.payment_id == payment.payment_id and new.state != "none"
    if is_about and is_overtaken(policy, new.template, payment.state):
        return new._replace(state="none", reason=sms.OVERTAKEN)
    return new


def _reach(to: Recipient) -> str:
    # A preference this version does not know is a wish it can't fulfil, so nothing is sent.
    if to.contact not in (ContactPreference.FULL, ContactPreference.NEUTRAL):
        return sms.NO_WISH
    return REACHED if to.phone or to.fallback_phone else sms.NO_PHONE


def _standing(keys: Keys, event: Received[ScoredHeard]) -> str | None:
    outcomes = {each.outcome for each in event.data.decisions}
    sealed = event.data.sensitive
    if Outcome.ELIGIBLE not in outcomes and sealed and keys.state(sealed.key_id) != "destroyed":
        plain = keys.open(sealed.key_id, sealed.blob, event_id=event.id, event_type=SENSITIVE_TYPE)
        outcomes |= {each.outcome for each in wire.load(SensitiveHeard, plain).decisions}
    if Outcome.ELIGIBLE in outcomes:
        return steps.ELIGIBLE
    return steps.REFUSED if Outcome.REFUSED in outcomes else None


def _of(
    known: Payments | None, payment_id: str, event: Received[IssuedHeard] | Received[UpdatedHeard]
) -> Payment:
    found = known.payments.get(payment_id) if known else None
    return found or Payment(
        payment_id,
        event.key,
        event_id=event.id,
        correlation_id=event.correlation_id,
        traceparent=event.traceparent,
    )


def _with(known: Payments | None, payment: Payment, new: Iterable[NewSms]) -> Payments:
    id_, household = payment.payment_id, payment.household_id
    if known is None:
        return Payments(household, {id_: payment}, frozenset((id_,)), tuple(new))
    return Payments(household, {**known.payments, id_: payment}, known.changed | {id_}, tuple(new))


def _check_key(key: str, household_id: str) -> None:
    if key != household_id:
        raise Park("the event's key is not its household")
