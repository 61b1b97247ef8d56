"""One SMS, from the event it tells of to what became of it."""

from datetime import date, datetime
from typing import Final, NamedTuple

from contracts import topics, wire
from contracts.household import KHMER
from contracts.sms import SmsEncoding, SmsSent, SmsStatus, SmsUpdated
from contracts.wire import Cause, M, Received, Record
from services.notifications.segments import Segments
from services.notifications.steps import STEPS
from services.notifications.wording import Facts

FORGOTTEN: Final = "forgotten"
NO_WISH: Final = "no-wish"
NO_PHONE: Final = "no-phone"
OPTED_OUT: Final = "opted-out"
OVERTAKEN: Final = "overtaken"
TOO_LATE: Final = "too-late"
STEP_OFF: Final = "step-off"
REASONS: Final = (FORGOTTEN, NO_WISH, NO_PHONE, OPTED_OUT, OVERTAKEN, TOO_LATE, STEP_OFF)
"""Why an SMS is not sent."""
QUIET: Final = "quiet-hours"


class NewSms(NamedTuple):
    """An SMS decided on: to be sent from `not_before` (now, where None), or `none` with its reason.

    `on_date` is the day it tells of, where that is no payment's. `answer`: number and words, encrypted, of
    an SMS that goes to whoever wrote to us.
    """

    sms_id: str
    household_id: str
    payment_id: str | None
    template: str
    event_id: str
    correlation_id: str
    traceparent: str
    told_at: datetime
    priority: int
    state: str = "queued"
    reason: str | None = None
    not_before: datetime | None = None
    on_date: date | None = None
    answer: bytes | None = None


class To(NamedTuple):
    """Whom a claimed SMS goes to, as last registered: `payee` is sealed under `event_id`.

    `silent`: the number asked for silence. `shared`: another household has it, too.
    """

    event_id: str
    key_id: str
    payee: bytes | None
    silent: bool
    shared: bool
    fallback_silent: bool
    fallback_shared: bool


class Claimed(NamedTuple):
    """A queued SMS that one process is about to send, with all that decides whether and how.

    `to` is None while nothing was heard of the household; `state` is its payment's.
    """

    sms_id: str
    household_id: str
    template: str
    event_id: str
    correlation_id: str
    told_at: datetime
    on_date: date | None
    traceparent: str
    payment_id: str | None
    facts: Facts
    state: str | None
    standing: str | None
    has_payment: bool
    to: To | None
    answer: bytes | None = None


class Ready(NamedTuple):
    """A claimed SMS in words, with the number it goes to. Lives in memory only."""

    sms_id: str
    phone: str
    text: str
    language: str
    segments: Segments
    traceparent: str
    operator: str


class Result(NamedTuple):
    """What became of a claimed SMS; `queued` tries it again a little later, `waiting` from `not_before`."""

    sms_id: str
    state: str
    reason: str | None = None
    language: str | None = None
    encoding: str | None = None
    segments: int | None = None
    not_before: datetime | None = None
    operator: str | None = None
    gateway_message_ids: tuple[str, ...] = ()


class Finished(NamedTuple):
    """An SMS whose state was written, with its new version and what its event needs."""

    sms_id: str
    version: int
    household_id: str
    payment_id: str | None
    template: str
    state: str
    reason: str | None
    language: str | None
    encoding: str | None
    segments: int | None
    event_id: str
    correlation_id: str
    traceparent: str


def new(
    event: Received[M], template: str, household_id: str, *, about: str, payment_id: str | None = None
) -> NewSms:
    """The SMS that this event brings; `about` is the business key of what happened."""
    return NewSms(
        sms_id(about, template, household_id),
        household_id,
        payment_id,
        template,
        event.id,
        event.correlation_id,
        event.traceparent,
        event.time,
        STEPS[template].priority,
    )


def sms_id(about: str, template: str, household_id: str) -> str:
    """The business key of (event, template, recipient): the same SMS has the same id for ever.

    The event is named by what happened (`about`: this payment is ready), so that one told twice in other
    words is told once; the recipient is whoever the household names when it is sent.
    """
    return wire.household_uuid(household_id, f"sms/{about}/{template}/{household_id}")


def finish(claimed: Claimed, result: Result, version: int) -> Finished:
    """A claimed SMS whose result was written as this version."""
    return Finished(
        claimed.sms_id,
        version,
        claimed.household_id,
        claimed.payment_id,
        claimed.template,
        result.state,
        result.reason,
        result.language,
        result.encoding,
        result.segments,
        claimed.event_id,
        claimed.correlation_id,
        claimed.traceparent,
    )


def announce(finished: Finished, gateway: str, now: datetime) -> Record | None:
    """The event that says what became of an SMS; none for one that is not sent, or is tried again."""
    cause = Cause(finished.event_id, finished.correlation_id, finished.traceparent)
    match finished.state:
        case "sent":
            topic = topics.SMS_SENT
            data: SmsSent | SmsUpdated = SmsSent(
                sms_id=finished.sms_id,
                household_id=finished.household_id,
                payment_id=finished.payment_id,
                template=finished.template,
                language=finished.language or KHMER,
                encoding=SmsEncoding(finished.encoding or ""),
                segments=finished.segments or 1,
                gateway=gateway,
            )
        case "delivered" | "failed" | "unknown":
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
