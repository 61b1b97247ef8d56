"""What is said of a payment as JSON: as its contract writes it, at a third of the cost. Pure.

Ids that payments gives are UUIDs and stand as they are; what others chose is quoted.
"""

from datetime import date
from json.encoder import encode_basestring as quoted

from contracts.household import Payee
from contracts.payment import PaymentState
from contracts.sealed import sealed_json
from services.payments.states import Payment


def issued(payment: Payment, until: date, key_id: str, blob: bytes) -> bytes:
    """A `PaymentIssued`; `blob` is its payee, sealed under `key_id`."""
    return (
        f'{{"payment_id":"{payment.payment_id}","programme":{quoted(payment.programme)}'
        f',"period":{quoted(payment.period)},"household_id":{quoted(payment.household_id)}'
        f',"purpose":{quoted(payment.purpose)},"attempt":{payment.attempt}'
        f',"cycle_id":{quoted(payment.cycle_id)},"amount":{payment.amount},"carried":{payment.carried}'
        f',"currency":"KHR","partner":{quoted(payment.partner)},"commune":{quoted(payment.commune)}'
        f',"revision":{payment.revision},"decision_id":{quoted(payment.decision_id)}'
        f',"withdraw_until":"{until}","payee":{sealed_json(key_id, blob)}}}'
    ).encode()


def updated(payment: Payment, state: PaymentState, correction: int | None = None) -> bytes:
    """A `PaymentUpdated`: why it is so where nothing is corrected, else by how much, in riel."""
    said = "" if correction is None else f',"correction":{correction}'
    if payment.reason is not None and correction is None:
        said = f',"reason":{quoted(payment.reason)}'
    return (
        f'{{"payment_id":"{payment.payment_id}","household_id":{quoted(payment.household_id)}'
        f',"cycle_id":{quoted(payment.cycle_id)},"state":"{state}","amount":{payment.amount}'
        f',"currency":"KHR","partner":{quoted(payment.partner)}{said}}}'
    ).encode()


def order(payment: Payment, payee: Payee, instruction_id: str, until: date) -> bytes:
    """A `PaymentInstruction` to pay."""
    phone = f',"phone":{quoted(payee.phone)}' if payee.phone is not None else ""
    account = payee.account and (
        f',"account":{{"provider":{quoted(payee.account.provider)},"number":{quoted(payee.account.number)}}}'
    )
    return (
        f'{{"instruction_id":"{instruction_id}","kind":"pay","payment_id":"{payment.payment_id}"'
        f',"partner":{quoted(payment.partner)},"amount":{payment.amount},"currency":"KHR"'
        f',"commune":{quoted(payment.commune)},"withdraw_until":"{until}"'
        f',"pay_to":{{"name_km":{quoted(payee.name_km)},"name_latin":{quoted(payee.name_latin)}'
        f"{phone}{account or ''}}}}}"
    ).encode()
