"""What definitely failed is tried again: as tables, and whatever partners say in whatever order."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contracts.cycle import CycleState
from contracts.household import Payee
from contracts.payment import ReportStatus
from postbox.errors import Park
from services.payments import attempts, ledger, payees, states
from services.payments.attempts import Hindrance, Retrying, Wanted
from services.payments.budget import Budget, Waiting
from services.payments.cycles import Cycle, NotPossible
from services.payments.decided import Decision, Outcome
from services.payments.entitlements import Desk, Household, Issued, SealedPayee
from services.payments.ledger import Account as Books
from services.payments.ledger import Transfer
from services.payments.states import ENDED, LIVE, Account, Inquiry, Payment, State
from tests.unit.payments.test_entitlements import APPROVED, PAYEE, PROGRAMME, TERMS, nobody_held
from tests.unit.payments.test_states import PAYMENT, report

NOW = datetime(2023, 6, 2, tzinfo=UTC)
POLICY = Retrying(3, timedelta(days=1))
KEY = (PROGRAMME, "2023-06", "social-transfer")
STATUSES = [each for each in ReportStatus if each is not ReportStatus.UNRECOGNISED]
FAILED = PAYMENT._replace(cycle_id=TERMS.cycle_id, state=State.FAILED)
DECISION = Decision(
    PROGRAMME, "hash-1", "social-transfer", TERMS.cycle_id, "2023-06", Outcome.ELIGIBLE, 176_000, "d-2", 1
)
HOUSEHOLD = Household(
    "h-1",
    scored=1,
    revision=1,
    commune="120101",
    decision_id="d-2",
    payee=SealedPayee("k-1", b"x"),
    decisions={DECISION.part: DECISION},
    payments={KEY: FAILED},
    sequence=7,
    is_new=False,
)


def desk(cycle: Cycle = APPROVED, payee: Payee | None = PAYEE) -> Desk:
    return Desk(
        {cycle.cycle_id: Budget(cycle)},
        lambda sealed, event_id: payee,
        lambda payee, commune: "acleda",
        20,
        nobody_held,
        lambda *_: "",
        mark=lambda payee: payees.written(payee).encode(),
        confirms=True,
        partners={"wing"},
    )


def wanted(*, ordered: bool = False) -> Wanted:
    return Wanted("h-1", KEY, TERMS.cycle_id, ordered, is_asked=True, is_confirmed=True)


def again(
    household: Household = HOUSEHOLD, at: Desk | None = None, *, ordered: bool = False, held: bool = False
) -> tuple[Household, object]:
    after, tried = attempts.again(at or desk(), POLICY, household, wanted(ordered=ordered), held=held)
    return after, tried.waiting


def test_the_partner_is_asked_once_before_another_attempt_is_made_by_itself() -> None:
    unasked = Wanted("h-1", KEY, TERMS.cycle_id, is_ordered=False)
    after, tried = attempts.again(desk(), POLICY, HOUSEHOLD, unasked, held=False)
    (asked,) = after.changes
    assert isinstance(asked, Inquiry)
    assert (asked.payment, asked.sequence) == (FAILED._replace(inquiries=1), 8)
    assert (tried.waiting, tried.asked) == (Hindrance.ANSWER, states.question_id(asked.payment))
    assert (after.sequence, after.payments[KEY].inquiries) == (8, 1)
    unanswered = unasked._replace(is_asked=True)
    again, tried = attempts.again(desk(), POLICY, HOUSEHOLD, unanswered, held=False)
    assert (again.changes, tried) == ((), (unanswered, Hindrance.ANSWER, None))


def test_a_partner_that_is_none_any_more_is_not_asked_and_its_payment_waits_for_a_person() -> None:
    unasked = Wanted("h-1", KEY, TERMS.cycle_id, is_ordered=False)
    nobody = replace(desk(), partners=())
    after, tried = attempts.again(nobody, POLICY, HOUSEHOLD, unasked, held=False)
    assert (after.changes, tried) == ((), (unasked, Hindrance.ANSWER, None))
    after, tried = attempts.again(nobody, POLICY, HOUSEHOLD, unasked._replace(is_ordered=True), held=False)
    assert (len(after.changes), tried.waiting) == (1, None)


def test_nobody_is_asked_about_what_would_wait_all_the_same() -> None:
    unasked = Wanted("h-1", KEY, TERMS.cycle_id, is_ordered=False)
    elsewhere = HOUSEHOLD._replace(paid_to=b"another account")
    for household, held, waiting in (
        (elsewhere, False, Waiting.PAYEE),
        (HOUSEHOLD, True, Waiting.HOLD),
        (HOUSEHOLD._replace(payments={KEY: FAILED._replace(attempt=3)}), False, Hindrance.ATTEMPTS),
    ):
        after, tried = attempts.again(desk(), POLICY, household, unasked, held=held)
        assert (after.changes, tried.waiting) == ((), waiting)


@pytest.mark.parametrize("state", sorted(ENDED))
def test_what_definitely_ended_is_a_new_attempt_of_the_same_key_by_who_pays_the_payee_now(
    state: State,
) -> None:
    after, waiting = again(HOUSEHOLD._replace(payments={KEY: FAILED._replace(state=state)}))
    (issued,) = after.changes
    assert isinstance(issued, Issued)
    assert waiting is None
    payment = issued.payment
    assert (payment.key, payment.attempt, payment.amount) == (KEY, 2, 176_000)
    assert (payment.partner, payment.state, issued.sequence) == ("acleda", State.ISSUED, 8)
    assert payment.payment_id != FAILED.payment_id


@pytest.mark.parametrize("state", sorted(set(State) - ENDED))
def test_what_may_have_been_paid_is_never_sent_again(state: State) -> None:
    after, waiting = again(HOUSEHOLD._replace(payments={KEY: FAILED._replace(state=state)}), ordered=True)
    assert (after.changes, waiting) == ((), Hindrance.NOT_DUE)


@pytest.mark.parametrize(
    ("changes", "waiting"),
    [
        ({"exit_revision": 1}, Hindrance.LEFT),
        ({"payee": None}, Hindrance.PAYEE),
        ({"decisions": {DECISION.part: DECISION._replace(outcome=Outcome.REFUSED)}}, Hindrance.NOT_DUE),
        ({"decisions": {DECISION.part: DECISION._replace(outcome=Outcome.VOID)}}, Hindrance.NOT_DUE),
        ({"payments": {KEY: FAILED._replace(attempt=3)}}, Hindrance.ATTEMPTS),
        ({"decisions": {DECISION.part: DECISION._replace(amount=500_000)}}, Waiting.HOUSEHOLD_CAP),
        ({"decisions": {DECISION.part: DECISION._replace(programme_hash="hash-2")}}, Waiting.PROGRAMME_HASH),
    ],
)
def test_an_attempt_that_is_hindered_says_by_what(changes: dict[str, object], waiting: object) -> None:
    after, said = again(HOUSEHOLD._replace(**changes))  # type: ignore[arg-type]
    assert (after.changes, said) == ((), waiting)


def test_a_held_a_forgotten_and_an_unfunded_household_wait() -> None:
    assert again(held=True)[1] is Waiting.HOLD
    assert again(at=desk(payee=None))[1] is Waiting.FORGOTTEN
    assert again(at=desk(replace(APPROVED, committed=APPROVED.funded)))[1] is Waiting.ENVELOPE
    assert again(at=desk(replace(APPROVED, state=CycleState.CLOSED)))[1] is Waiting.CLOSED


def test_who_collects_elsewhere_than_was_paid_last_waits_for_a_second_person() -> None:
    elsewhere = HOUSEHOLD._replace(paid_to=b"another account")
    assert again(elsewhere) == (elsewhere, Waiting.PAYEE)
    assert again(elsewhere, replace(desk(), confirms=False))[1] is None
    assert again(elsewhere._replace(paid_to=desk().mark(PAYEE)))[1] is None


def test_a_person_may_order_more_attempts_than_are_made_unasked() -> None:
    after, waiting = again(HOUSEHOLD._replace(payments={KEY: FAILED._replace(attempt=3)}), ordered=True)
    assert (len(after.changes), waiting) == (1, None)


def test_what_is_due_of_a_key_is_what_its_latest_decision_says() -> None:
    less = again(HOUSEHOLD._replace(decisions={DECISION.part: DECISION._replace(amount=160_000)}))[0]
    assert [each.payment.amount for each in less.changes] == [160_000]
    next_month = DECISION._replace(cycle_id="other", period="2023-07", amount=90_000)
    corrected = HOUSEHOLD._replace(
        decisions={next_month.part: next_month}, payments={KEY: FAILED._replace(entitled=150_000)}
    )
    assert [each.payment.amount for each in again(corrected)[0].changes] == [150_000]


def test_only_what_time_changes_is_looked_at_again_by_itself() -> None:
    assert POLICY.due(Waiting.ENVELOPE, NOW) == NOW + timedelta(days=1)
    assert {POLICY.due(each, NOW) for each in (Waiting.CLOSED, *Hindrance)} == {None}


class Attempts(RuleBasedStateMachine):
    """One entitlement key: its partner says anything of any attempt, and new attempts are made."""

    household: Household
    payments: dict[str, Payment]
    transfers: list[Transfer]
    reports: int

    @initialize()
    def issue(self) -> None:
        first = FAILED._replace(state=State.ISSUED)
        self.household, self.payments = HOUSEHOLD, {first.payment_id: first}
        self.transfers, self.reports = [ledger.funded(TERMS.cycle_id, 1, 400_000), ledger.issued(first, 1)], 0

    @rule(data=st.data(), status=st.sampled_from(STATUSES), reference=st.sampled_from(["w-1", "w-2"]))
    def say(self, data: st.DataObject, status: ReportStatus, reference: str) -> None:
        payment_id = data.draw(st.sampled_from(sorted(self.payments)))
        self.reports += 1
        changes: dict[str, object] = {
            "report_id": f"r-{self.reports}",
            "payment_id": payment_id,
            "partner_reference": reference,
            "partner": self.payments[payment_id].partner,
        }
        said = report(status, changes)
        try:
            after = states.book(Account("h-1", 7, self.payments), said)
        except Park:
            return
        assert after is not None
        self.payments = dict(after.payments)
        self.transfers += [each.transfer for each in after.updates if each.transfer]

    @rule(data=st.data())
    def fall_silent(self, data: st.DataObject) -> None:
        waits = [each for each in self.payments.values() if each.state in states.OPEN]
        if waits:
            chosen = data.draw(st.sampled_from(waits))
            after = states.unanswered(Account("h-1", 7, self.payments), chosen.payment_id)
            self.payments = dict(after.payments)

    @precondition(lambda self: self.counting().state in ENDED)
    @rule()
    def try_again(self) -> None:
        cycle = replace(APPROVED, funded=400_000, committed=400_000 - self.balance(Books.ENVELOPE))
        household = self.household._replace(payments={KEY: self.counting()})
        after, _ = attempts.again(desk(cycle), POLICY, household, wanted(ordered=True), held=False)
        for change in after.changes:
            assert isinstance(change, Issued)
            assert change.payment.payment_id not in self.payments
            self.payments[change.payment.payment_id] = change.payment
            self.transfers.append(ledger.issued(change.payment, 1))

    def counting(self) -> Payment:
        """The attempt that counts, as the store's query has it."""
        return max(
            self.payments.values(),
            key=lambda each: (each.state in LIVE, each.state is State.SETTLED_LATE, each.attempt),
        )

    def balance(self, account: Books) -> int:
        return sum(
            each.amount * ((each.debit is account) - (each.credit is account)) for each in self.transfers
        )

    @invariant()
    def at_most_one_attempt_is_live(self) -> None:
        assert sum(each.state in LIVE for each in self.payments.values()) <= 1

    @invariant()
    def the_ledger_says_where_each_riel_is(self) -> None:
        assert sum(map(self.balance, Books)) == 0
        assert self.balance(Books.ENVELOPE) >= 0
        paid = [each.amount for each in self.payments.values() if each.state.startswith("settled")]
        assert self.balance(Books.PAID) == sum(paid)
        transit = [each.amount for each in self.payments.values() if each.state in states.OPEN]
        assert self.balance(Books.IN_TRANSIT) == sum(transit)
        owed = sum(
            each.amount for each in self.payments.values() if each.late and each.state.startswith("settled")
        )
        assert self.balance(Books.OWED) == -owed
        assert self.balance(Books.ENVELOPE) == 400_000 - sum(transit) - sum(paid) + owed

    @invariant()
    def nothing_is_moved_twice(self) -> None:
        moves = [(each.subject, each.kind) for each in self.transfers]
        assert len(moves) == len(set(moves))


TestAttempts = Attempts.TestCase
TestAttempts.settings = settings(max_examples=150, stateful_step_count=25)


@pytest.mark.parametrize(
    ("asked_by", "by", "room", "why"),
    [
        (None, "Dara", 176_000, "nobody has asked"),
        ("Dara", "Dara", 176_000, "Dara asked for this"),
        ("Sokha", "Dara", 175_900, "no room for 176000 riel"),
    ],
)
def test_a_cover_takes_room_and_another_person_than_who_asked(
    asked_by: str | None, by: str, room: int, why: str
) -> None:
    with pytest.raises(NotPossible, match=why):
        attempts.cover(asked_by, by, FAILED, room=room)
    attempts.cover("Sokha", "Dara", FAILED, room=176_000)
