"""What is written of payments as JSON is what their contracts would write."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from contracts.household import Account, Payee
from contracts.payment import (
    InstructionKind,
    PaymentInstruction,
    PaymentIssued,
    PaymentState,
    PaymentUpdated,
    PayTo,
)
from contracts.sealed import Sealed
from contracts.wire import dump
from services.payments import written
from services.payments.states import Payment, State

UNTIL = date(2023, 7, 2)
ID = "0b9a3f0e-5f5a-5c1d-9a55-0c6f1d6b7d11"
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
payments = st.builds(
    Payment,
    *(st.just(ID), st.just("household-1"), texts, st.just("2023-06"), texts, st.integers(1, 9), texts),
    *(st.integers(1, 10**15), st.integers(0, 10**15), texts, st.just("120101"), st.integers(1, 2**53), texts),
    *(texts, texts, st.sampled_from(State), st.none() | texts),
    carried=st.integers(-(2**53), 2**53),
)
payees = st.builds(
    Payee,
    person_id=texts,
    name_km=texts,
    name_latin=texts,
    phone=st.none() | texts,
    account=st.none() | st.builds(Account, provider=texts, number=texts),
)


@given(payments, texts, st.binary(min_size=29, max_size=60))
def test_an_issued_payment_is_written_as_its_contract_writes_it(
    payment: Payment, key_id: str, blob: bytes
) -> None:
    said = PaymentIssued(
        payment_id=payment.payment_id,
        programme=payment.programme,
        period=payment.period,
        household_id=payment.household_id,
        purpose=payment.purpose,
        attempt=payment.attempt,
        cycle_id=payment.cycle_id,
        amount=payment.amount,
        carried=payment.carried,
        partner=payment.partner,
        commune=payment.commune,
        revision=payment.revision,
        decision_id=payment.decision_id,
        withdraw_until=UNTIL,
        payee=Sealed(key_id=key_id, blob=blob),
    )
    assert written.issued(payment, UNTIL, key_id, blob) == dump(said)


@given(payments, st.sampled_from(sorted(set(PaymentState) - {PaymentState.UNRECOGNISED})))
def test_an_update_is_written_as_its_contract_writes_it(payment: Payment, state: PaymentState) -> None:
    said = PaymentUpdated(
        payment_id=payment.payment_id,
        household_id=payment.household_id,
        cycle_id=payment.cycle_id,
        state=state,
        amount=payment.amount,
        partner=payment.partner,
        reason=payment.reason,
    )
    assert written.updated(payment, state) == dump(said)
    corrected = said.model_copy(update={"reason": None, "correction": -100})
    assert written.updated(payment, state, -100) == dump(corrected)


@given(payments, payees)
def test_an_order_to_pay_is_written_as_its_contract_writes_it(payment: Payment, payee: Payee) -> None:
    said = PaymentInstruction(
        instruction_id=ID,
        kind=InstructionKind.PAY,
        payment_id=payment.payment_id,
        partner=payment.partner,
        amount=payment.amount,
        commune=payment.commune,
        withdraw_until=UNTIL,
        pay_to=PayTo(
            name_km=payee.name_km, name_latin=payee.name_latin, phone=payee.phone, account=payee.account
        ),
    )
    assert written.order(payment, payee, ID, UNTIL) == dump(said)
