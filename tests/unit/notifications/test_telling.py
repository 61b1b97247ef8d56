"""Which SMS the events of a household bring."""

from dataclasses import replace
from typing import Any

import pytest

from contracts import topics
from contracts.household import Channel
from contracts.milestone import MilestoneReached
from contracts.wire import Received
from postbox.errors import Park
from services.notifications import sms, steps, telling
from services.notifications.heard import IssuedHeard
from services.notifications.sms import NewSms
from services.notifications.telling import Contact, Payments
from tests.unit.notifications.samples import (
    ALL,
    AT,
    OTHER_PHONE,
    PHONE,
    issued,
    keys,
    payee,
    received,
    registered,
    scored,
    updated,
)
from vault.sealing import KeyMissing, SealBroken


def hash_of(phone: str) -> bytes:
    return f"hash of {phone[-2:]}".encode()


def heard(new: tuple[NewSms, ...]) -> list[tuple[str, str, str | None]]:
    return [(each.template, each.state, each.reason) for each in new]


def know(to: bytes, revision: int = 1, known: Contact | None = None, **named: object) -> Contact | None:
    ours = keys("k-1")
    policy = named.get("policy", ALL)
    channel = named.get("channel", Channel.DESK)
    event = registered(ours, to, revision, channel)  # type: ignore[arg-type]
    return telling.register(policy, ours, hash_of, known, event)  # type: ignore[arg-type]


def pay(*events: Received[Any], policy: telling.Policy = ALL) -> Payments:
    known: Payments | None = None
    for event in events:
        if isinstance(event.data, IssuedHeard):
            known = telling.issue(known, event) or known
        else:
            known = telling.update(policy, known, event) or known
    assert known is not None
    return known


def test_who_is_registered_is_kept_sealed_with_the_number_s_hash_alone() -> None:
    contact = know(payee(fallback_phone=OTHER_PHONE))
    assert contact is not None
    assert (contact.reach, contact.commune, contact.revision) == ("sms", "010203", 1)
    assert (contact.number_hash, contact.fallback_hash) == (b"hash of 78", b"hash of 32")
    assert PHONE not in repr(contact)
    assert "Sok" not in repr(contact)


@pytest.mark.parametrize(
    ("changes", "reach"),
    [
        ({"contact": "none"}, "no-wish"),
        ({"phone": None}, "no-phone"),
        ({"phone": None, "contact": "none"}, "no-wish"),
        ({"phone": None, "fallback_phone": OTHER_PHONE}, "sms"),
    ],
)
def test_who_can_be_reached_is_known_from_what_was_registered(changes: dict[str, object], reach: str) -> None:
    contact = know(payee(**changes))
    assert contact is not None
    assert contact.reach == reach


def test_a_preference_that_is_not_known_is_a_wish_not_to_be_told() -> None:
    contact = know(payee().replace(b'"neutral"', b'"carrier-pigeon"'))
    assert contact is not None
    assert contact.reach == "no-wish"


def test_an_older_revision_changes_nothing_and_a_newer_one_is_told_of_no_more() -> None:
    assert know(payee(), 1, Contact("h-1", 1)) is None
    newer = know(payee(phone=OTHER_PHONE), 2, Contact("h-1", 1))
    assert newer is not None
    assert (newer.number_hash, newer.new) == (b"hash of 32", ())


@pytest.mark.parametrize(
    ("channel", "from_files", "told"),
    [
        (Channel.DESK, False, [("registered", "queued", None)]),
        (Channel.FILE, False, []),
        (Channel.FILE, True, [("registered", "queued", None)]),
        (None, False, []),
    ],
)
def test_registrations_at_a_desk_are_told_and_those_of_files_when_asked_for(
    channel: Channel | None, from_files: bool, told: list[object]
) -> None:
    contact = know(payee(), policy=replace(ALL, from_files=from_files), channel=channel)
    assert contact is not None
    assert heard(contact.new) == told


def test_a_destroyed_key_leaves_nothing_and_a_missing_one_is_waited_for() -> None:
    event = registered(keys("k-1"), payee())
    gone = telling.register(ALL, keys(destroyed=("k-1",)), hash_of, None, event)
    assert gone is not None
    assert (gone.reach, gone.payee, gone.number_hash) == ("forgotten", None, None)
    with pytest.raises(KeyMissing):
        telling.register(ALL, keys(), hash_of, None, event)
    event.id = "another"
    with pytest.raises(SealBroken):
        telling.register(ALL, keys("k-1"), hash_of, None, event)


@pytest.mark.parametrize(
    ("scorings", "told"),
    [
        ([("eligible",), ("eligible",)], ["eligible"]),
        ([("refused", "eligible")], ["eligible"]),
        ([("refused",), ("refused", "refused"), ("eligible",)], ["refused", "eligible"]),
        ([("eligible",), ("refused",), ("eligible",)], ["eligible", "refused", "eligible"]),
        ([()], []),
        ([("eligible",), ()], ["eligible"]),
    ],
)
def test_a_household_is_told_when_its_standing_changes_and_not_when_it_is_scored_again(
    scorings: list[tuple[str, ...]], told: list[str]
) -> None:
    known = None
    for sequence, outcomes in enumerate(scorings, 1):
        known = telling.stand(ALL, keys(), known, scored(sequence, *outcomes))
    assert known is not None
    assert [each.template for each in known.new] == told
    assert len({each.sms_id for each in known.new}) == len(told)
    assert telling.stand(ALL, keys(), known, scored(1, "refused")) is None


def test_a_decision_waits_a_while_before_it_is_told() -> None:
    known = telling.stand(ALL, keys(), None, scored(1, "eligible"))
    assert known is not None
    assert known.new[0].not_before == AT + ALL.settling


@pytest.mark.parametrize(("hidden", "standing"), [("eligible", "eligible"), ("refused", "refused")])
def test_a_sensitive_decision_counts_and_is_never_named(hidden: str, standing: str) -> None:
    ours = keys("k-1")
    known = telling.stand(ALL, ours, None, scored(1, "refused", hidden=hidden, with_keys=ours))
    assert known is not None
    assert [each.template for each in known.new] == [standing]


STORY: list[Received[Any]] = [issued(), updated("accepted", 2), updated("settled", 3)]


def test_a_payment_is_told_once_its_partner_accepted_it_and_not_when_it_is_issued() -> None:
    assert heard(pay(STORY[0]).new) == []
    assert heard(pay(*STORY[:2]).new) == [("payment-ready", "queued", None)]


def test_what_is_overtaken_within_a_batch_is_not_sent() -> None:
    told = [("payment-ready", "none", "overtaken"), ("payment-paid", "queued", None)]
    assert heard(pay(*STORY).new) == told


@pytest.mark.parametrize("state", ["failed", "returned", "expired"])
def test_what_went_wrong_is_told_with_what_to_do(state: str) -> None:
    template = "payment-expired" if state == "expired" else "payment-failed"
    assert heard(pay(*STORY[:2], updated(state, 4)).new)[1] == (template, "queued", None)


@pytest.mark.parametrize("state", ["unknown", "cancelled", "corrected"])
def test_of_other_states_nothing_is_told(state: str) -> None:
    assert [each.template for each in pay(*STORY[:2], updated(state, 4)).new] == ["payment-ready"]


def test_a_payment_accepted_twice_is_told_under_one_id() -> None:
    told = pay(STORY[0], updated("accepted", 2), updated("unknown", 3), updated("accepted", 4)).new
    assert len({each.sms_id for each in told}) == 1


def test_in_any_order_the_same_is_known_and_told() -> None:
    forth, back = pay(*STORY), pay(*STORY[1:], STORY[0])
    assert {each.sms_id for each in forth.new} == {each.sms_id for each in back.new}
    assert forth.payments["payment-1"][:9] == back.payments["payment-1"][:9]
    assert telling.issue(forth, issued()) is None
    assert telling.update(ALL, forth, updated("accepted", 2)) is None


def test_a_step_that_is_not_told_is_written_down_with_its_payment_and_not_told_later() -> None:
    policy = replace(ALL, steps=frozenset({steps.READY}))
    known = pay(*STORY, policy=policy)
    # Where that it was paid is not told, that it was ready still is.
    assert heard(known.new) == [("payment-ready", "queued", None)]
    assert known.payments["payment-1"].steps_off == "payment-paid"
    again = telling.update(ALL, known, updated("settled", 9))
    assert again
    assert [each.template for each in again.new] == ["payment-ready"]


def test_an_event_under_another_household_s_key_is_parked() -> None:
    wrong = updated("accepted", 2)
    wrong.key = "h-2"
    with pytest.raises(Park):
        telling.update(ALL, None, wrong)


def test_the_same_happening_step_and_household_give_the_same_id_and_others_another() -> None:
    first = sms.sms_id("payment-1", "payment-ready", "h-1")
    assert first == sms.sms_id("payment-1", "payment-ready", "h-1")
    others = {
        sms.sms_id("payment-2", "payment-ready", "h-1"),
        sms.sms_id("payment-1", "payment-paid", "h-1"),
        sms.sms_id("payment-1", "payment-ready", "h-2"),
    }
    assert len(others | {first}) == 4


@pytest.mark.parametrize(
    ("kind", "due_on", "template"),
    [
        ("card_expiring", "2023-07-01", "card-expiring"),
        ("recertification_due", "2023-07-01", "recertification-due"),
        ("circumstances_changed", None, None),
        ("card_expiring", None, None),
    ],
)
def test_a_household_is_told_what_it_must_do_by_a_day(
    kind: str, due_on: str | None, template: str | None
) -> None:
    said: dict[str, object] = {
        "household_id": "h-1",
        "revision": 1,
        "as_of": "2023-06-01",
        "kind": kind,
        "commune": "010203",
        "due_on": due_on,
        "payee": {"key_id": "k-1", "blob": bytes(32)},
    }
    told = telling.reach(ALL, received(topics.MILESTONE_REACHED, MilestoneReached.model_validate(said)))
    assert (told.template if told else None) == template
    if told:
        assert str(told.on_date) == due_on
