"""One SMS, from the event it tells of to what became of it."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, NamedTuple

from contracts import topics, wire
from contracts.household import ContactPreference, Language, Payee
from contracts.payment import PaymentIssued
from contracts.sms import SmsEncoding, SmsSent, SmsStatus, SmsUpdated
from contracts.wire import Cause, Received, Record
from services.notifications.segments import Segments
from services.notifications.wording import Facts, Wording
from vault.sealing import Keys

PAYMENT_ISSUED: Final = "payment-issued"
FORGOTTEN, NO_WISH, NO_PHONE = "forgotten", "no-wish", "no-phone"


class NewSms(NamedTuple):
    """An SMS decided on: `queued`, or `none` with its reason; `payee` is sealed as the event carried it."""

    sms_id: str
    household_id: str
    payment_id: str
    template: str
    programme: str
    partner: str
    period: str
    amount: int
    until: date
    event_id: str
    event_type: str
    key_id: str
    payee: bytes | None
    state: str
    reason: str | None
    correlation_id: str
    traceparent: str
    told_at: datetime


class Claimed(NamedTuple):
    """A queued SMS that one process is about to send."""

    sms_id: str
    template: str
    facts: Facts
    event_id: str
    event_type: str
    key_id: str
    payee: bytes
    traceparent: str


class Ready(NamedTuple):
    """A claimed SMS in words, with the number it goes to. Lives in memory only."""

    sms_id: str
    phone: str
    text: str
    language: str
    segments: Segments
    traceparent: str


class Result(NamedTuple):
    """What became of a claimed SMS; `queued` puts it back, to be tried again a little later."""

    sms_id: str
    state: str
    reason: str | None = None
    language: str | None = None
    encoding: str | None = None
    segments: int | None = None


class Finished(NamedTuple):
    """An SMS whose state was written, with its new version and what its event needs."""

    sms_id: str
    version: int
    household_id: str
    payment_id: str
    template: str
    state: str
    reason: str | None
    language: str | None
    encoding: str | None
    segments: int | None
    event_id: str
    correlation_id: str
    traceparent: str


@dataclass(frozen=True, slots=True)
class Told:
    """What a household was told: the events before this batch, and the SMS this batch adds."""

    events: frozenset[str] = frozenset()
    new: tuple[NewSms, ...] = ()


def tell(keys: Keys, told: Told | None, event: Received[PaymentIssued]) -> Told | None:
    """The SMS of a payment; None where it was told already.

    Raises `KeyMissing` (its key has not come yet), `SealBroken` and `WireError`.
    """
    told = told or Told()
    if event.id in told.events:
        return None
    payment, sealed = event.data, event.data.payee
    forgotten = keys.state(sealed.key_id) == "destroyed"
    payee = None if forgotten else _open(keys, sealed.key_id, sealed.blob, event.id, event.type)
    reason = _why_not(payee)
    sms = NewSms(
        sms_id=sms_id(event.id, PAYMENT_ISSUED, payee.person_id if payee else ""),
        household_id=payment.household_id,
        payment_id=payment.payment_id,
        template=PAYMENT_ISSUED,
        programme=payment.programme,
        partner=payment.partner,
        period=payment.period,
        amount=payment.amount,
        until=payment.withdraw_until,
        event_id=event.id,
        event_type=event.type,
        key_id=sealed.key_id,
        payee=None if reason else sealed.blob,
        state="none" if reason else "queued",
        reason=reason,
        correlation_id=event.correlation_id,
        traceparent=event.traceparent,
        told_at=event.time,
    )
    return Told(told.events | {event.id}, (*told.new, sms))


def sms_id(event_id: str, template: str, person_id: str) -> str:
    """The business key of (event, template, recipient): the same SMS has the same id for ever."""
    return wire.uuid5(f"sms/{event_id}/{template}/{person_id}")


def prepare(wording: Wording, keys: Keys, claimed: Claimed) -> Ready | Result:
    """The words and the number, read now; or why it is not sent. A language without words is told in Khmer.

    Raises what the vault raises where the payee can't be opened.
    """
    if keys.state(claimed.key_id) == "destroyed":
        return Result(claimed.sms_id, "none", FORGOTTEN)
    payee = _open(keys, claimed.key_id, claimed.payee, claimed.event_id, claimed.event_type)
    if (reason := _why_not(payee)) or payee.phone is None:
        return Result(claimed.sms_id, "none", reason)
    language = payee.language if payee.language in wording.names else Language.KHMER
    full = payee.contact is ContactPreference.FULL
    text, segments = wording.render(claimed.template, language, full=full, facts=claimed.facts)
    return Ready(claimed.sms_id, payee.phone, text, language, segments, claimed.traceparent)


def announce(finished: Finished, gateway: str, now: datetime) -> Record | None:
    """The event that says what became of an SMS; none for one that is not to be sent, or is tried again."""
    cause = Cause(finished.event_id, finished.correlation_id, finished.traceparent)
    match finished.state:
        case "sent":
            topic = topics.SMS_SENT
            data: SmsSent | SmsUpdated = SmsSent(
                sms_id=finished.sms_id,
                household_id=finished.household_id,
                payment_id=finished.payment_id,
                template=finished.template,
                language=Language(finished.language or ""),
                encoding=SmsEncoding(finished.encoding or ""),
                segments=finished.segments or 1,
                gateway=gateway,
            )
        case "failed" | "unknown":
            topic = topics.SMS_UPDATED
            data = SmsUpdated(
                sms_id=finished.sms_id,
                household_id=finished.household_id,
                payment_id=finished.payment_id,
                status=SmsStatus(finished.state),
                reason=finished.reason,
            )
        case _:
            return None
    return wire.emit(
        topic,
        data,
        id=wire.event_id(topic, finished.sms_id, finished.state),
        key=finished.household_id,
        sequence=finished.version,
        time=now,
        cause=cause,
    )


def _open(keys: Keys, key_id: str, blob: bytes, event_id: str, event_type: str) -> Payee:
    return wire.load(Payee, keys.open(key_id, blob, event_id=event_id, event_type=event_type))


def _why_not(payee: Payee | None) -> str | None:
    if payee is None:
        return FORGOTTEN
    # A preference this version does not know is a wish it can't fulfil, so nothing is sent.
    if payee.contact not in (ContactPreference.FULL, ContactPreference.NEUTRAL):
        return NO_WISH
    return None if payee.phone else NO_PHONE
