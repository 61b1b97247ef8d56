"""What is decided when an SMS is sent: whether it is still true, whom it goes to, and whether it is time."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple

from contracts import topics, wire
from contracts.household import ContactPreference
from services.notifications import sms, steps
from services.notifications.heard import Recipient
from services.notifications.operators import operator_of
from services.notifications.sms import Claimed, Ready, Result, To
from services.notifications.telling import Policy, is_overtaken
from services.notifications.wording import ACCOUNT_DIGITS, Facts, Wording
from vault.sealing import Keys

PHNOM_PENH = timezone(timedelta(hours=7))
MINUTES_A_DAY = 24 * 60


class QuietHours(NamedTuple):
    """Minutes of the day in Phnom Penh: from `begin` to before `end`, over midnight where that is less."""

    begin: int
    end: int

    @classmethod
    def parse(cls, text: str) -> "QuietHours | None":
        """`20:00-07:00`, or `none`. Raises `ValueError` that says how to write it."""
        if text == "none":
            return None
        try:
            begin, end = (time.fromisoformat(each.strip()) for each in text.split("-"))
        except ValueError:
            raise ValueError(f"quiet hours {text!r}: write them as 20:00-07:00, or none") from None
        return cls(begin.hour * 60 + begin.minute, end.hour * 60 + end.minute)

    def over_at(self, now: datetime) -> datetime | None:
        """When they are over; None where it is not quiet now."""
        here = now.astimezone(PHNOM_PENH)
        minute = here.hour * 60 + here.minute
        length = (self.end - self.begin) % MINUTES_A_DAY
        if (minute - self.begin) % MINUTES_A_DAY >= length:
            return None
        left = (self.end - minute) % MINUTES_A_DAY
        return here.replace(second=0, microsecond=0) + timedelta(minutes=left)


@dataclass(frozen=True)
class Manners:
    """When nobody is disturbed, and which steps are told."""

    quiet: QuietHours | None
    policy: Policy

    def prepare(self, wording: Wording, keys: Keys, claimed: Claimed, now: datetime) -> Ready | Result:
        """The words and the number, read now; or why it is not sent, or not yet.

        Raises what the vault raises where the payee can't be opened.
        """
        if claimed.to is None:
            return Result(claimed.sms_id, "queued", "household-not-heard-of")
        if claimed.payment_id is not None and claimed.facts.programme is None:
            return Result(claimed.sms_id, "queued", "payment-not-heard-of")
        if reason := self.outdated(claimed, now):
            return Result(claimed.sms_id, "none", reason)
        found = _addressed(keys, claimed.to)
        if isinstance(found, str):
            return Result(claimed.sms_id, "none", found)
        if self.quiet and (until := self.quiet.over_at(now)):
            return Result(claimed.sms_id, "waiting", sms.QUIET, not_before=until)
        return _worded(wording, claimed, found)

    def outdated(self, claimed: Claimed, now: datetime) -> str | None:
        """Why an SMS would arrive too late to be true: `overtaken` by what happened since, or `too-late`."""
        template, state = claimed.template, claimed.state
        if state is not None and is_overtaken(self.policy, template, state):
            return sms.OVERTAKEN
        if template in (steps.ELIGIBLE, steps.REFUSED):
            if not self.policy.tells_standings:
                return sms.STEP_OFF  # decisions are not read any more: it may be true no longer
            if claimed.standing != template:
                return sms.OVERTAKEN
        if template == steps.ELIGIBLE and claimed.has_payment:
            return sms.OVERTAKEN  # of the payment itself more is told, and at once
        true_for = steps.STEPS[template].true_for
        if true_for is not None:
            return sms.TOO_LATE if claimed.told_at + true_for < now else None
        last_day = claimed.facts.until or claimed.on_date or date.max
        return sms.TOO_LATE if last_day < _day_of(now) else None


@lru_cache(maxsize=8)
def _day_of(now: datetime) -> date:
    return now.astimezone(PHNOM_PENH).date()  # a chunk is prepared at one moment


class _Addressed(NamedTuple):
    phone: str
    is_shared: bool
    recipient: Recipient


def _addressed(keys: Keys, to: To) -> _Addressed | str:
    """The number an SMS goes to, or why there is none."""
    if to.payee is None or keys.state(to.key_id) == "destroyed":
        return sms.FORGOTTEN
    sealed_for = topics.HOUSEHOLD_REGISTERED.name
    opened = keys.open(to.key_id, to.payee, event_id=to.event_id, event_type=sealed_for)
    who = wire.load(Recipient, opened)
    # A preference this version does not know is a wish it can't fulfil, so nothing is sent.
    if who.contact not in (ContactPreference.FULL, ContactPreference.NEUTRAL):
        return sms.NO_WISH
    return _number(who, to)


def _number(who: Recipient, to: To) -> _Addressed | str:
    """A shared number gives way to the fallback contact; without one it is told no household's facts."""
    fallback = None
    if who.fallback_phone and not to.fallback_silent:
        fallback = _Addressed(who.fallback_phone, to.fallback_shared, who)
    if who.phone is None:
        return fallback or (sms.OPTED_OUT if who.fallback_phone else sms.NO_PHONE)
    if to.silent:
        return sms.OPTED_OUT
    if to.shared and fallback and not fallback.is_shared:
        return fallback
    return _Addressed(who.phone, to.shared, who)


def _worded(wording: Wording, claimed: Claimed, found: _Addressed) -> Ready:
    who = found.recipient
    operator = operator_of(found.phone)
    template = steps.SHARED_PHONE if found.is_shared else claimed.template
    language = wording.language(template, who.language)
    full = who.contact is ContactPreference.FULL
    text, segments = wording.render(template, language, full=full, facts=_facts(claimed, template, who))
    return Ready(claimed.sms_id, found.phone, text, language, segments, claimed.traceparent, operator)


def _facts(claimed: Claimed, template: str, who: Recipient) -> Facts:
    """What this template may say; an account where it does."""
    facts = claimed.facts
    if claimed.on_date is not None and facts.until is None:
        facts = facts._replace(until=claimed.on_date)
    into = who.account
    if into and into.provider == facts.partner and "to" in steps.STEPS[template].fields:
        facts = facts._replace(account=into.number[-ACCOUNT_DIGITS:])
    return facts
