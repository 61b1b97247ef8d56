"""What is decided when an SMS is sent: is it still true, whom does it go to, is it the time."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from contracts import topics, wire
from contracts.sms import SmsSent, SmsUpdated
from services.notifications import options, sms, steps, wording
from services.notifications.manners import Manners, QuietHours
from services.notifications.sms import Claimed, Finished, Ready, Result, To
from services.notifications.wording import Facts
from tests.unit.notifications.samples import ALL, AT, OTHER_PHONE, PHONE, TRACE, keys, payee
from vault.sealing import Keys

WORDS = wording.load(options.template_files())
AWAKE, ASLEEP = Manners(None, ALL), Manners(QuietHours.parse("20:00-07:00"), ALL)
FACTS = Facts("covid-19-cash-transfer", "wing", "2023-06", 176_000, date(2023, 7, 1))
TOPIC = topics.HOUSEHOLD_REGISTERED.name


def claimed(with_keys: Keys, who: bytes, template: str = "payment-ready", **changes: object) -> Claimed:
    blob = with_keys.seal("k-1", who, event_id="event-1", event_type=TOPIC)
    about: dict[str, object] = {
        name: changes.pop(name, False) for name in ("silent", "shared", "fallback_silent", "fallback_shared")
    }
    is_payment = template.startswith("payment")
    made = Claimed(
        sms_id="s-1",
        household_id="h-1",
        template=template,
        event_id="event-1",
        correlation_id="request",
        told_at=AT,
        on_date=None,
        traceparent=TRACE,
        payment_id="payment-1" if is_payment else None,
        facts=FACTS if is_payment else Facts(),
        state="accepted" if is_payment else None,
        standing=template,
        has_payment=False,
        to=To("event-1", "k-1", blob, **about),  # type: ignore[arg-type]
    )
    return made._replace(**changes)  # type: ignore[arg-type]


def prepare(template: str = "payment-ready", *, now: datetime = AT, **changes: Any) -> Ready | Result:
    ours = keys("k-1")
    of_payee = ("phone", "contact", "language", "fallback_phone", "account")
    who = payee(**{name: changes.pop(name) for name in of_payee if name in changes})
    return AWAKE.prepare(WORDS, ours, claimed(ours, who, template, **changes), now)


@pytest.mark.parametrize(
    ("changes", "language", "start"),
    [
        ({"language": "km", "contact": "full"}, "km", "សូមជម្រាបថា"),
        ({"language": "km", "contact": "neutral"}, "km", "លោកអ្នកទទួលបានប្រាក់ឧបត្ថម្ភសង្គម"),
        ({"language": "en", "contact": "full"}, "en", "Your household has been granted 176,000 riel by the"),
        ({"language": "en", "contact": "neutral"}, "en", "A social transfer of 176,000 riel"),
    ],
)
def test_an_sms_is_worded_by_wish_and_language(changes: dict[str, Any], language: str, start: str) -> None:
    ready = prepare(**changes)
    assert isinstance(ready, Ready)
    assert (ready.phone, ready.language) == (PHONE, language)
    assert ready.text.startswith(start)


def test_a_language_without_words_is_told_in_khmer() -> None:
    ours = keys("k-1")
    ready = AWAKE.prepare(WORDS, ours, claimed(ours, payee().replace(b'"km"', b'"kxm"')), AT)
    assert isinstance(ready, Ready)
    assert ready.language == "km"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"contact": "none"}, "no-wish"),
        ({"phone": None}, "no-phone"),
        ({"silent": True}, "opted-out"),
        ({"silent": True, "fallback_phone": OTHER_PHONE}, "opted-out"),
        ({"phone": None, "fallback_phone": OTHER_PHONE, "fallback_silent": True}, "opted-out"),
        ({"to": To("event-1", "k-1", None, False, False, False, False)}, "forgotten"),
        # What came to pass since.
        ({"state": "settled"}, "overtaken"),
        ({"state": "expired"}, "overtaken"),
        ({"template": "payment-reminder", "state": "settled"}, "overtaken"),
        ({"template": "eligible", "standing": "refused"}, "overtaken"),
        ({"template": "eligible", "has_payment": True}, "overtaken"),
        # What would come too late to be true.
        ({"now": AT + timedelta(days=31)}, "too-late"),
        ({"template": "payment-reminder", "now": AT + timedelta(days=31)}, "too-late"),
        ({"template": "registered", "now": AT + timedelta(days=8)}, "too-late"),
        ({"template": "card-expiring", "on_date": date(2023, 5, 31)}, "too-late"),
    ],
)
def test_what_is_not_sent_has_its_reason(changes: dict[str, Any], reason: str) -> None:
    template = str(changes.pop("template", "payment-ready"))
    assert prepare(template, **changes) == Result("s-1", "none", reason)


@pytest.mark.parametrize(
    ("template", "now"),
    [("payment-ready", AT + timedelta(days=29)), ("payment-paid", AT + timedelta(days=13))],
)
def test_what_is_still_true_is_sent(template: str, now: datetime) -> None:
    assert isinstance(prepare(template, now=now), Ready)


def test_a_key_destroyed_while_an_sms_was_queued_means_it_is_not_sent() -> None:
    left = AWAKE.prepare(WORDS, keys(destroyed=("k-1",)), claimed(keys("k-1"), payee()), AT)
    assert left == Result("s-1", "none", "forgotten")


@pytest.mark.parametrize("missing", [{"to": None}, {"facts": Facts()}])
def test_what_lacks_its_household_or_payment_waits_for_it(missing: dict[str, Any]) -> None:
    waits = prepare(**missing)
    assert isinstance(waits, Result)
    assert waits.state == "queued"


@pytest.mark.parametrize(
    ("changes", "phone", "is_plain"),
    [
        ({}, PHONE, True),
        ({"fallback_phone": OTHER_PHONE}, PHONE, True),
        ({"shared": True}, PHONE, False),
        ({"shared": True, "fallback_phone": OTHER_PHONE}, OTHER_PHONE, True),
        ({"shared": True, "fallback_phone": OTHER_PHONE, "fallback_shared": True}, PHONE, False),
        ({"shared": True, "fallback_phone": OTHER_PHONE, "fallback_silent": True}, PHONE, False),
        ({"phone": None, "fallback_phone": OTHER_PHONE}, OTHER_PHONE, True),
        ({"phone": None, "fallback_phone": OTHER_PHONE, "fallback_shared": True}, OTHER_PHONE, False),
    ],
)
def test_a_shared_phone_gives_way_to_the_fallback_or_is_told_no_household_s_facts(
    changes: dict[str, Any], phone: str, is_plain: bool
) -> None:
    ready = prepare(language="en", contact="full", **changes)
    assert isinstance(ready, Ready)
    assert (ready.phone, "176,000" in ready.text) == (phone, is_plain)


def test_of_an_account_its_last_digits_are_told_and_never_more() -> None:
    paid = prepare("payment-paid", language="en", account={"provider": "wing", "number": "100234567"})
    assert isinstance(paid, Ready)
    assert "account ***567" in paid.text
    assert "100234567" not in paid.text
    elsewhere = prepare("payment-paid", language="en", account={"provider": "bank", "number": "100234567"})
    assert isinstance(elsewhere, Ready)
    assert "567" not in elsewhere.text


@pytest.mark.parametrize(
    ("here", "hours", "until"),
    [
        ((19, 59), "20:00-07:00", None),
        ((20, 0), "20:00-07:00", 24 + 7),
        ((23, 30), "20:00-07:00", 24 + 7),
        ((6, 59), "20:00-07:00", 7),
        ((7, 0), "20:00-07:00", None),
        ((12, 30), "12:00-14:00", 14),
        ((14, 0), "12:00-14:00", None),
    ],
)
def test_quiet_hours_end_in_the_morning_of_phnom_penh(
    here: tuple[int, int], hours: str, until: int | None
) -> None:
    quiet = QuietHours.parse(hours)
    assert quiet is not None
    midnight = datetime(2023, 5, 31, 17, tzinfo=UTC)
    over = quiet.over_at(midnight + timedelta(hours=here[0], minutes=here[1]))
    assert over == (None if until is None else midnight + timedelta(hours=until))


def test_at_night_an_sms_waits_for_the_morning() -> None:
    ours = keys("k-1")
    waits = ASLEEP.prepare(WORDS, ours, claimed(ours, payee()), AT)
    assert waits == Result("s-1", "waiting", "quiet-hours", not_before=datetime(2023, 6, 2, 0, tzinfo=UTC))
    assert isinstance(ASLEEP.prepare(WORDS, ours, claimed(ours, payee()), AT + timedelta(hours=9)), Ready)


def test_quiet_hours_that_can_t_be_read_say_how_to_write_them() -> None:
    assert QuietHours.parse("none") is None
    with pytest.raises(ValueError, match="write them as 20:00-07:00"):
        QuietHours.parse("at night")


def finished(state: str, reason: str | None = None) -> Finished:
    return Finished(
        "s-1", 2, "h-1", "p-1", "payment-ready", state, reason, "km", "ucs-2", 3, "event-1", "request", TRACE
    )


def test_a_sent_sms_is_announced_as_sent_and_an_uncertain_one_as_unknown() -> None:
    sent = sms.announce(finished("sent"), "kannel", AT)
    unknown = sms.announce(finished("unknown", "timeout"), "kannel", AT)
    assert sent is not None
    assert unknown is not None
    said = wire.decode(SmsSent, sent.topic, sent.key, sent.value, sent.headers)
    assert (said.data.segments, said.data.encoding, said.sequence) == (3, "ucs-2", 2)
    doubt = wire.decode(SmsUpdated, unknown.topic, unknown.key, unknown.value, unknown.headers)
    assert (doubt.data.status, doubt.data.reason, doubt.traceparent) == ("unknown", "timeout", TRACE)
    assert said.id != doubt.id


def test_what_became_of_an_sms_is_announced_from_what_was_claimed_and_what_the_gateway_said() -> None:
    held = claimed(keys("k-1"), payee())
    result = Result("s-1", "sent", None, "km", "ucs-2", 3, operator="smart")
    told = finished("sent")._replace(payment_id="payment-1")
    assert sms.finish(held, result, 2) == told


@pytest.mark.parametrize("state", ["queued", "waiting", "none"])
def test_what_is_not_sent_is_not_announced(state: str) -> None:
    assert sms.announce(finished(state, "no-phone"), "kannel", AT) is None


def test_a_standing_that_waits_is_not_told_once_decisions_are_passed_over() -> None:
    ours = keys("k-1")
    ready_alone = Manners(None, replace(ALL, steps=frozenset({steps.READY})))
    waiting = claimed(ours, payee(), "eligible")
    assert ready_alone.prepare(WORDS, ours, waiting, AT) == Result("s-1", "none", "step-off")
