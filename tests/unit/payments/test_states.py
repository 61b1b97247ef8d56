"""What reports may change, and what that moves in the ledger, as tables."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from contracts.payment import PaymentReport, ReportStatus
from contracts.topics import partner_instruction
from contracts.wire import Cause, Received, event_id
from postbox.errors import Park
from services.payments import ledger, states
from services.payments.cycles import NotPossible
from services.payments.ledger import Account as Books
from services.payments.ledger import Kind
from services.payments.states import (
    LIVE,
    Account,
    DifferenceKind,
    Patience,
    Payment,
    State,
)

NOW = datetime(2023, 6, 2, tzinfo=UTC)
PAYMENT = Payment(
    *("p-1", "h-1", "covid-19-cash-transfer", "2023-06", "social-transfer", 1, "c-1", 176_000, 176_000),
    *("wing", "120101", 1, "d-1", "corr-1", "trace-1"),
)
S = State
R = ReportStatus


def account(state: State = S.ISSUED, **changes: object) -> Account:
    payment = PAYMENT._replace(state=state, **changes)  # type: ignore[arg-type]
    return Account("h-1", 7, {"p-1": payment})


def report(status: ReportStatus, changes: dict[str, object] | None = None) -> Received[PaymentReport]:
    said = {
        "report_id": "r-1",
        "payment_id": "p-1",
        "partner": "wing",
        "status": status,
        "amount": 176_000,
        "partner_reference": "w-1",
        "occurred_at": NOW,
    }
    data = PaymentReport.model_validate({**said, **(changes or {})})
    return Received(data, "e-1", "partner.wing.report.v1", "h-1", NOW, 1, "corr-1", "trace-2")


def test_a_report_s_id_says_one_thing_only() -> None:
    booked = states.book(account(), report(R.ACCEPTED))
    assert states.book(booked, report(R.ACCEPTED)) is None
    with pytest.raises(Park, match="its id is another report's"):
        states.book(booked, report(R.SETTLED))


_FINAL = {S.FAILED: R.FAILED, S.EXPIRED: R.EXPIRED, S.RETURNED: R.RETURNED, S.CANCELLED: R.CANCELLED}
ALLOWED = {
    **{(S.ISSUED, status): State(status.value) for status in (R.ACCEPTED, R.SETTLED, *_FINAL.values())},
    **{(S.UNKNOWN, status): State(status.value) for status in (R.ACCEPTED, R.SETTLED, *_FINAL.values())},
    **{(S.ACCEPTED, status): State(status.value) for status in (R.SETTLED, *_FINAL.values())},
    **{(state, R.RETURNED): S.RETURNED for state in (S.SETTLED, S.SETTLED_LATE)},
    **{(state, R.SETTLED): S.SETTLED for state in (S.FAILED, S.EXPIRED)},
    (S.ISSUED, R.NOT_FOUND): S.UNKNOWN,
    (S.UNKNOWN, R.NOT_FOUND): S.UNKNOWN,
}
NOTHING_NEW = {
    *product(State, (R.ACCEPTED,)),
    *product((S.SETTLED, S.SETTLED_LATE), (R.SETTLED,)),
    *_FINAL.items(),
}


@pytest.mark.parametrize(("state", "status"), list(product(State, ReportStatus)))
def test_every_report_in_every_state_is_booked_ignored_or_parked(state: State, status: ReportStatus) -> None:
    before = account(state, partner_reference="w-1")
    if status is R.UNRECOGNISED:
        said = report(R.SETTLED)
        said = replace(said, data=said.data.model_copy(update={"status": status}))
    else:
        said = report(status)
    if (state, status) in ALLOWED:
        after = states.book(before, said)
        assert after is not None
        assert after.payments["p-1"].state is ALLOWED[state, status]
        assert [each.sequence for each in after.updates] == [8]
        assert [each.data.report_id for each in after.booked] == ["r-1"]
    elif (state, status) in NOTHING_NEW:
        after = states.book(before, said)
        assert after is not None
        assert (after.updates, after.payments, len(after.booked)) == ((), before.payments, 1)
    else:
        with pytest.raises(Park, match=r"but the payment is|does not know"):
            states.book(before, said)


@pytest.mark.parametrize("state", [S.SETTLED, S.SETTLED_LATE])
@pytest.mark.parametrize("reference", ["w-2", None])
def test_a_second_settlement_is_a_difference_for_a_person_and_moves_nothing(
    state: State, reference: str | None
) -> None:
    before = account(state, partner_reference="w-1")
    after = states.book(before, report(R.SETTLED, {"partner_reference": reference}))
    assert after is not None
    assert (after.updates, after.payments) == ((), before.payments)
    assert [each.kind for each in after.differences] == [DifferenceKind.SETTLED_TWICE]


@pytest.mark.parametrize("before", [S.FAILED, S.EXPIRED])
@pytest.mark.parametrize(
    ("other", "settles"),
    [
        (None, S.SETTLED),
        (S.FAILED, S.SETTLED),
        *((state, S.SETTLED_LATE) for state in sorted({*LIVE, S.SETTLED_LATE})),
    ],
)
def test_what_settles_after_it_ended_is_outside_the_index_where_another_attempt_may_be_paid(
    before: State, other: State | None, settles: State
) -> None:
    known = account(before)
    if other is not None:
        second = PAYMENT._replace(payment_id="p-2", attempt=2, state=other)
        known = known._replace(payments={**known.payments, "p-2": second})
    after = states.book(known, report(R.SETTLED))
    assert after is not None
    paid = after.payments["p-1"]
    assert (paid.state, paid.late) == (settles, True)
    assert [each.kind for each in after.differences] == [DifferenceKind.SETTLED_LATE]
    (update,) = after.updates
    assert update.transfer is not None
    assert (update.transfer.debit, update.transfer.credit) == (Books.PAID, Books.OWED)


QUESTION = event_id(partner_instruction("wing"), "p-1", "inquire", 1)
"""As `events` names it to the partner."""


@pytest.mark.parametrize("state", sorted(_FINAL))
def test_an_end_is_confirmed_by_the_same_word_in_answer_to_the_latest_question(state: State) -> None:
    before = account(state, inquiries=1)
    answer = report(_FINAL[state], {"instruction_id": QUESTION})
    after = states.book(before, answer)
    assert after is not None
    assert (after.confirmed, after.updates, after.payments) == ((QUESTION,), (), before.payments)
    known = before._replace(reports={"r-1": ("p-1", _FINAL[state])})
    again = states.book(known, answer)
    assert again is not None
    assert (again.confirmed, again.booked) == ((QUESTION,), ())


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (R.FAILED, {}),
        (R.FAILED, {"instruction_id": event_id(partner_instruction("wing"), "p-1", "inquire", 2)}),
        (R.FAILED, {"instruction_id": event_id(partner_instruction("wing"), "p-1", "pay", 0)}),
        (R.ACCEPTED, {"instruction_id": QUESTION}),
        (R.NOT_FOUND, {"instruction_id": QUESTION}),
        (R.SETTLED, {"instruction_id": QUESTION}),
    ],
)
def test_no_other_word_confirms_an_end(status: ReportStatus, changes: dict[str, object]) -> None:
    after = states.book(account(S.FAILED, inquiries=1), report(status, changes))
    assert after is not None
    assert after.confirmed == ()


def test_the_answer_that_ends_a_payment_does_not_confirm_its_end() -> None:
    after = states.book(account(S.UNKNOWN, inquiries=1), report(R.FAILED, {"instruction_id": QUESTION}))
    assert after is not None
    assert (after.payments["p-1"].state, after.confirmed) == (S.FAILED, ())


def test_the_same_report_again_changes_nothing() -> None:
    once = states.book(account(), report(R.SETTLED))
    assert once is not None
    assert states.book(once, report(R.SETTLED)) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount": 175_900}, "the amount is not"),
        ({"payment_id": "p-2"}, "no such payment"),
        ({"partner": "acleda"}, "no such payment"),
    ],
)
def test_a_report_of_another_amount_payment_or_partner_moves_nothing(
    changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(Park, match=reason):
        states.book(account(), report(R.SETTLED, changes))


def test_a_report_of_a_household_without_payments_moves_nothing() -> None:
    with pytest.raises(Park, match="no such payment"):
        states.book(None, report(R.SETTLED))


@pytest.mark.parametrize(
    ("given", "kept"), [("no-account", "no-account"), ("Sok Dara has died", "other"), (None, None)]
)
def test_a_reason_that_is_no_code_is_not_passed_on(given: str | None, kept: str | None) -> None:
    after = states.book(account(), report(R.FAILED, {"reason_code": given}))
    assert after is not None
    assert after.payments["p-1"].reason == kept


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        (S.ISSUED, S.ACCEPTED, None),
        (S.ISSUED, S.UNKNOWN, None),
        (S.ISSUED, S.SETTLED, (Kind.SETTLE, Books.PAID, Books.IN_TRANSIT)),
        (S.UNKNOWN, S.SETTLED, (Kind.SETTLE, Books.PAID, Books.IN_TRANSIT)),
        (S.ACCEPTED, S.FAILED, (Kind.RELEASE, Books.ENVELOPE, Books.IN_TRANSIT)),
        (S.UNKNOWN, S.EXPIRED, (Kind.RELEASE, Books.ENVELOPE, Books.IN_TRANSIT)),
        (S.ISSUED, S.CANCELLED, (Kind.RELEASE, Books.ENVELOPE, Books.IN_TRANSIT)),
        (S.ACCEPTED, S.RETURNED, (Kind.RELEASE, Books.ENVELOPE, Books.IN_TRANSIT)),
        (S.SETTLED, S.RETURNED, (Kind.RETURN, Books.ENVELOPE, Books.PAID)),
    ],
)
def test_money_is_released_only_when_it_is_confirmed_unsent_or_returned(
    before: State, after: State, moved: tuple[Kind, Books, Books] | None
) -> None:
    transfer = ledger.moved(PAYMENT._replace(state=before), PAYMENT._replace(state=after))
    found = transfer and (transfer.kind, transfer.debit, transfer.credit)
    assert found == moved
    assert transfer is None or (transfer.amount == 176_000 and transfer.frees is (after is not S.SETTLED))


def test_once_an_attempt_is_paid_late_the_open_one_is_asked_to_be_cancelled() -> None:
    second = PAYMENT._replace(payment_id="p-2", attempt=2, state=S.ACCEPTED)
    known = account(S.FAILED)
    after = states.book(known._replace(payments={**known.payments, "p-2": second}), report(R.SETTLED))
    assert after is not None
    assert [(each.payment.payment_id, each.payment.cancels, each.sequence) for each in after.cancellings] == [
        ("p-2", 1, 9)
    ]
    assert after.told == after.sequence - known.sequence == 2


@pytest.mark.parametrize("state", list(State))
def test_only_what_is_open_can_be_cancelled_and_nothing_changes_until_the_answer(state: State) -> None:
    cause = Cause("r", "r", "t")
    if state not in states.OPEN:
        with pytest.raises(NotPossible, match=f"payment p-1 is {state}"):
            states.cancel(account(state), "p-1", cause, "by mistake", "Dara")
        return
    after = states.cancel(account(state), "p-1", cause, "by mistake", "Dara")
    assert (after.payments["p-1"].state, after.updates) == (state, ())
    assert [(each.asked_by, each.sequence) for each in after.cancellings] == [("Dara", 8)]


def test_what_was_paid_late_and_comes_back_was_never_the_envelope_s() -> None:
    before = PAYMENT._replace(state=S.SETTLED_LATE, late=True)
    transfer = ledger.moved(before, before._replace(state=S.RETURNED))
    assert transfer is not None
    assert (transfer.kind, transfer.frees) == (Kind.RETURN_LATE, False)


def test_silence_makes_a_payment_unknown_and_asks_again_without_saying_so_twice() -> None:
    once = states.unanswered(account(), "p-1")
    assert once.payments["p-1"].state is S.UNKNOWN
    assert [(each.sequence, each.transfer) for each in once.updates] == [(8, None)]
    assert [(each.sequence, each.payment.inquiries) for each in once.inquiries] == [(9, 1)]
    assert once.told == once.sequence - account().sequence == 2
    twice = states.unanswered(once._replace(updates=(), inquiries=()), "p-1")
    assert twice.updates == ()
    assert [(each.sequence, each.payment.inquiries) for each in twice.inquiries] == [(10, 2)]


def test_a_partner_is_asked_ever_less_often_and_not_about_what_ended() -> None:
    patience = Patience(timedelta(hours=1), timedelta(days=31))
    waits = {
        (state, inquiries): states.due(PAYMENT._replace(state=state, inquiries=inquiries), NOW, patience)
        for state in State
        for inquiries in (0, 1, 3, 20)
    }
    assert waits[S.ISSUED, 0] == NOW + timedelta(hours=1)
    assert waits[S.ACCEPTED, 0] == NOW + timedelta(days=31)
    unknown = [waits[S.UNKNOWN, inquiries] for inquiries in (1, 3, 20)]
    assert unknown == [NOW + timedelta(hours=hours) for hours in (2, 8, 256)]
    assert {waits[state, 1] for state in State if state not in (S.ISSUED, S.ACCEPTED, S.UNKNOWN)} == {None}


def test_live_states_are_those_of_the_unique_index() -> None:
    assert {state.value for state in LIVE} == {"issued", "accepted", "settled", "unknown"}
