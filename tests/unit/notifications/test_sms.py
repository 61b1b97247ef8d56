"""Which SMS a payment brings, how it is made ready, and what is said of it afterwards."""

from datetime import UTC, date, datetime

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contracts import topics, wire
from contracts.household import Payee
from contracts.payment import PaymentIssued
from contracts.sealed import Sealed
from contracts.sms import SmsSent, SmsUpdated
from contracts.wire import Received
from services.notifications import app, sms, wording
from services.notifications.sms import Claimed, Finished, NewSms, Ready, Result, Told
from services.notifications.wording import Facts
from vault.sealing import KeyMissing, Keys, SealBroken

WORDS = wording.load(app.template_files())
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PHONE = "+85512345678"
# Half past eleven at night in Phnom Penh.
ISSUED_AT = datetime(2023, 6, 1, 16, 30, tzinfo=UTC)


def keys(*key_ids: str, destroyed: tuple[str, ...] = ()) -> Keys:
    found = Keys({}, destroyed)
    for key_id in key_ids:
        found.add(key_id, AESGCM.generate_key(256))
    return found


def payee(**changes: object) -> Payee:
    usual: dict[str, object] = {"person_id": "p-1", "name_km": "សុខ", "name_latin": "Sok", "phone": PHONE}
    return Payee.model_validate({**usual, **changes})


def issued(with_keys: Keys, to: Payee | bytes, number: int = 1) -> Received[PaymentIssued]:
    event_id, type_ = f"event-{number}", topics.PAYMENT_ISSUED.name
    plain = to if isinstance(to, bytes) else wire.dump(to)
    blob = with_keys.seal("k-1", plain, event_id=event_id, event_type=type_)
    return Received(payment(blob, number), event_id, type_, "h-1", ISSUED_AT, 1, "request", TRACE)


def payment(blob: bytes, number: int = 1) -> PaymentIssued:
    return PaymentIssued(
        payment_id=f"payment-{number}",
        programme="covid-19-cash-transfer",
        period="2023-06",
        household_id="h-1",
        purpose="social-transfer",
        attempt=1,
        cycle_id="c-1",
        amount=176_000,
        partner="wing",
        commune="010203",
        revision=1,
        decision_id="d-1",
        withdraw_until=date(2023, 7, 1),
        payee=Sealed(key_id="k-1", blob=blob),
    )


def only(told: Told | None) -> NewSms:
    assert told is not None
    (new,) = told.new
    return new


def claimed(new: NewSms) -> Claimed:
    facts = Facts(new.programme, new.partner, new.period, new.amount, new.until)
    assert new.payee is not None
    return Claimed(
        new.sms_id, new.template, facts, new.event_id, new.event_type, new.key_id, new.payee, new.traceparent
    )


def test_a_payment_queues_one_sms_that_holds_no_person_in_the_clear() -> None:
    ours = keys("k-1")
    new = only(sms.tell(ours, None, issued(ours, payee())))
    assert (new.state, new.reason, new.payment_id, new.amount) == ("queued", None, "payment-1", 176_000)
    assert PHONE not in repr(new)
    assert "Sok" not in repr(new)


def test_the_last_day_to_collect_is_the_one_the_partner_was_told() -> None:
    ours = keys("k-1")
    assert only(sms.tell(ours, None, issued(ours, payee()))).until == date(2023, 7, 1)


def test_the_same_event_and_recipient_give_the_same_id_and_others_another() -> None:
    ours = keys("k-1")
    first = only(sms.tell(ours, None, issued(ours, payee())))
    again = only(sms.tell(ours, None, issued(ours, payee(phone="+85511111111"))))
    other_payment = only(sms.tell(ours, None, issued(ours, payee(), number=2)))
    other_person = only(sms.tell(ours, None, issued(ours, payee(person_id="p-2"))))
    assert first.sms_id == again.sms_id
    assert len({first.sms_id, other_payment.sms_id, other_person.sms_id}) == 3


def test_a_payment_that_was_told_brings_nothing_and_a_second_one_another() -> None:
    ours = keys("k-1")
    told = sms.tell(ours, None, issued(ours, payee()))
    assert sms.tell(ours, told, issued(ours, payee())) is None
    assert sms.tell(ours, Told(frozenset({"event-1"})), issued(ours, payee())) is None
    both = sms.tell(ours, told, issued(ours, payee(), number=2))
    assert both is not None
    assert [new.payment_id for new in both.new] == ["payment-1", "payment-2"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"contact": "none"}, "no-wish"),
        ({"contact": "carrier-pigeon"}, "no-wish"),
        ({"phone": None}, "no-phone"),
        ({"phone": None, "contact": "none"}, "no-wish"),
    ],
)
def test_who_has_no_phone_or_wish_gets_none_with_its_reason(changes: dict[str, object], reason: str) -> None:
    ours = keys("k-1")
    unsaid = payee(**changes)
    plain = unsaid.model_dump_json().encode() if "pigeon" not in str(changes) else pigeon()
    new = only(sms.tell(ours, None, issued(ours, plain)))
    assert (new.state, new.reason, new.payee) == ("none", reason, None)


def pigeon() -> bytes:
    return payee().model_dump_json().replace('"neutral"', '"carrier-pigeon"').encode()


def test_a_destroyed_key_is_forgotten_and_a_missing_one_is_waited_for() -> None:
    ours = keys("k-1")
    event = issued(ours, payee())
    gone = only(sms.tell(keys(destroyed=("k-1",)), None, event))
    assert (gone.state, gone.reason, gone.payee) == ("none", "forgotten", None)
    with pytest.raises(KeyMissing):
        sms.tell(keys(), None, event)


def test_a_payee_sealed_for_another_event_is_not_opened() -> None:
    ours = keys("k-1")
    event = issued(ours, payee())
    event.id = "event-2"
    with pytest.raises(SealBroken):
        sms.tell(ours, None, event)


@pytest.mark.parametrize(
    ("changes", "language", "start"),
    [
        ({"language": "km", "contact": "full"}, "km", "សូមជម្រាបថា"),
        ({"language": "km", "contact": "neutral"}, "km", "លោកអ្នកទទួលបានប្រាក់ឧបត្ថម្ភសង្គម"),
        (
            {"language": "en", "contact": "full"},
            "en",
            "Your household has been granted 176,000 riel by the COVID",
        ),
        ({"language": "en", "contact": "neutral"}, "en", "A social transfer of 176,000 riel"),
    ],
)
def test_a_claimed_sms_is_worded_by_wish_and_language(
    changes: dict[str, object], language: str, start: str
) -> None:
    ours = keys("k-1")
    ready = sms.prepare(WORDS, ours, claimed(only(sms.tell(ours, None, issued(ours, payee(**changes))))))
    assert isinstance(ready, Ready)
    assert (ready.phone, ready.language) == (PHONE, language)
    assert ready.text.startswith(start)


def test_a_language_without_words_is_told_in_khmer() -> None:
    ours = keys("k-1")
    plain = payee().model_dump_json().replace('"km"', '"kxm"').encode()
    ready = sms.prepare(WORDS, ours, claimed(only(sms.tell(ours, None, issued(ours, plain)))))
    assert isinstance(ready, Ready)
    assert ready.language == "km"


def test_a_key_destroyed_while_an_sms_was_queued_means_it_is_not_sent() -> None:
    ours = keys("k-1")
    new = only(sms.tell(ours, None, issued(ours, payee())))
    left = sms.prepare(WORDS, keys(destroyed=("k-1",)), claimed(new))
    assert left == Result(new.sms_id, "none", "forgotten")


def finished(state: str, reason: str | None = None) -> Finished:
    return Finished(
        "s-1",
        2,
        "h-1",
        "p-1",
        "payment-issued",
        state,
        reason,
        "km",
        "ucs-2",
        3,
        "event-1",
        "request",
        TRACE,
    )


def test_a_sent_sms_is_announced_as_sent_and_an_uncertain_one_as_unknown() -> None:
    now = datetime(2023, 6, 2, tzinfo=UTC)
    sent = sms.announce(finished("sent"), "kannel", now)
    unknown = sms.announce(finished("unknown", "timeout"), "kannel", now)
    assert sent is not None
    assert unknown is not None
    said = wire.decode(SmsSent, sent.topic, sent.key, sent.value, sent.headers)
    assert (said.data.segments, said.data.encoding, said.data.gateway, said.sequence) == (
        3,
        "ucs-2",
        "kannel",
        2,
    )
    doubt = wire.decode(SmsUpdated, unknown.topic, unknown.key, unknown.value, unknown.headers)
    assert (doubt.data.status, doubt.data.reason, doubt.traceparent) == ("unknown", "timeout", TRACE)
    assert said.id != doubt.id


@pytest.mark.parametrize("state", ["queued", "none"])
def test_what_is_not_sent_is_not_announced(state: str) -> None:
    assert sms.announce(finished(state, "no-phone"), "kannel", ISSUED_AT) is None
