"""What was paid too little or too much is carried into what is paid next, as tables and month by month."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payments import corrections, entitlements, payees
from services.payments.approval import SamePerson
from services.payments.budget import Budget, Waiting
from services.payments.corrections import WriteOff, WriteOffState
from services.payments.cycles import Cycle, NotPossible
from services.payments.entitlements import Desk, Household, Issued, SealedPayee
from services.payments.states import ENDED, LIVE, Payment, State
from tests.unit.payments.test_attempts import DECISION
from tests.unit.payments.test_entitlements import APPROVED, PAYEE, PROGRAMME, TERMS, nobody_held
from tests.unit.payments.test_states import PAYMENT

WRITE_OFF = WriteOff("h-1", PROGRAMME, 1, 16_000, WriteOffState.PROPOSED, "Sokha", "a clerk's mistake")


@pytest.mark.parametrize(
    ("riel", "goes_on", "owner", "step"),
    [
        (100, True, "nobody", "goes with the next payment"),
        (-100, True, "nobody", "withheld"),
        (100, False, "who prepares cycles", "open a cycle of covid"),
        (-100, False, "two officers", "write-off h-1 covid --riel 100, then another person"),
    ],
)
def test_a_balance_has_an_owner_and_a_next_step_where_nothing_happens_by_itself(
    riel: int, goes_on: bool, owner: str, step: str
) -> None:
    found = corrections.next_step("h-1", "covid", riel, goes_on=goes_on)
    assert (found.owner, step in found.next_step) == (owner, True)


@pytest.mark.parametrize(
    ("balance", "due", "carried"),
    [
        (0, 176_000, 0),
        (16_000, 176_000, 16_000),
        (400_000, 176_000, 224_000),
        (16_000, 400_000, 0),
        (16_000, 500_000, 0),
        (-16_000, 176_000, -16_000),
        (-176_000, 176_000, -35_200),
        (-16_000, 400, 0),
        (-100, 700, -100),
    ],
)
def test_what_is_owed_goes_within_the_cap_and_what_was_too_much_comes_back_a_fifth_at_a_time(
    balance: int, due: int, carried: int
) -> None:
    assert corrections.carried(balance, due, cap=400_000, recover_percent=20) == carried


@pytest.mark.parametrize(
    ("state", "part"), [*((each, -16_000) for each in sorted(LIVE)), *((each, 0) for each in sorted(ENDED))]
)
def test_only_what_may_have_been_paid_counts(state: State, part: int) -> None:
    payment = PAYMENT._replace(state=state, entitled=160_000)
    assert corrections.balance([payment], PAYMENT.programme, 0) == part
    assert corrections.balance([payment], "another", 0) == 0


def test_two_people_write_off_no_more_than_was_overpaid() -> None:
    corrections.propose(-16_000, WRITE_OFF)
    with pytest.raises(NotPossible, match="overpaid 15900 riel"):
        corrections.propose(-15_900, WRITE_OFF)
    with pytest.raises(SamePerson, match="Sokha proposed this"):
        corrections.approve(-16_000, WRITE_OFF, "Sokha", None)
    with pytest.raises(SamePerson, match="Sokha proposed this"):
        corrections.refuse(WRITE_OFF, "Sokha", "no")
    with pytest.raises(NotPossible, match="overpaid 0 riel"):
        corrections.approve(0, WRITE_OFF, "Dara", None)
    done = corrections.approve(-16_000, WRITE_OFF, "Dara", "agreed")
    assert (done.state, done.decided_by) == (WriteOffState.APPROVED, "Dara")


def month(
    household: Household, number: int, amount: int, cycle: Cycle | None = None
) -> tuple[Household, Payment | None]:
    """The household after it was paid for a month, and the payment."""
    terms = replace(TERMS, period=f"2023-{number:02}")
    budget = Budget(replace(cycle or APPROVED, terms=terms))
    desk = Desk(
        {terms.cycle_id: budget},
        lambda sealed, event_id: PAYEE,
        lambda payee, commune: "wing",
        20,
        nobody_held,
        lambda *_: "",
        mark=lambda payee: payees.written(payee).encode(),
        confirms=True,
    )
    decision = DECISION._replace(
        cycle_id=terms.cycle_id, period=terms.period, amount=amount, waiting=Waiting.APPROVAL
    )
    waits = household._replace(decisions={decision.part: decision}, payee=SealedPayee("k-1", b"x"))
    after = entitlements.retry(desk, waits, terms.cycle_id, held=False)
    issued = [each.payment for each in after.changes if isinstance(each, Issued)]
    return after._replace(changes=()), issued[0] if issued else None


def test_a_payment_says_what_it_carries_and_what_is_due_of_its_own_key() -> None:
    first, _ = month(Household("h-1"), 1, 176_000)
    (key,) = first.payments
    less = first._replace(payments={key: first.payments[key]._replace(entitled=100_000)})
    after, second = month(less, 2, 176_000)
    assert second is not None
    assert (second.amount, second.carried, second.entitled) == (140_800, -35_200, 176_000)
    _, third = month(after, 3, 250_000)
    assert third is not None
    assert (third.amount, third.carried) == (250_000 - 40_800, -40_800)


def test_what_is_owed_never_delays_this_month_s_payment() -> None:
    first, _ = month(Household("h-1"), 1, 176_000)
    (key,) = first.payments
    more = first._replace(payments={key: first.payments[key]._replace(entitled=200_000)})
    _, second = month(more, 2, 176_000, replace(APPROVED, funded=176_000))
    assert second is not None
    assert (second.amount, second.carried) == (176_000, 0)


@given(st.data())
def test_whatever_is_corrected_or_fails_what_was_paid_tends_to_what_is_due(data: st.DataObject) -> None:
    household = Household("h-1")
    for number in range(1, 7):
        household, _ = month(household, number, data.draw(st.integers(1, 3_000)) * 100)
        payments = {
            key: each._replace(
                state=data.draw(st.sampled_from([State.SETTLED, State.FAILED])),
                entitled=data.draw(st.sampled_from([each.entitled, 0, 100_000, 300_000])),
            )
            for key, each in household.payments.items()
        }
        household = household._replace(payments=payments)
    for number in range(7, 40):
        household, _ = month(household, number % 12 + 1 + 12 * (number // 12), 300_000)
    paid = [each for each in household.payments.values() if each.state in LIVE]
    assert sum(each.amount for each in paid) == sum(each.entitled for each in paid)
    assert all(each.amount > 0 and each.amount % 100 == 0 for each in paid)
