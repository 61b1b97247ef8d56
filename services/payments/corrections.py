"""What a household was paid too little or too much, and how much of it its next payment carries. Pure.

The balance of a household in a programme is what is due by its latest decisions, less what the attempts that
count promise, plus what was written off: a payment that fails takes its part of it back by itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from contracts.money import PAYABLE_MULTIPLE_RIEL
from services.payments.approval import SamePerson
from services.payments.cycles import NotPossible
from services.payments.states import LIVE, Payment, State


class WriteOffState(StrEnum):
    PROPOSED = "proposed"
    APPROVED = "approved"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class WriteOff:
    """`amount` riel that a household was paid too much and need not give back, once another person agrees."""

    household_id: str
    programme: str
    number: int
    amount: int
    state: WriteOffState
    proposed_by: str
    reason: str
    decided_by: str | None = None
    decision_reason: str | None = None


class Next(NamedTuple):
    """Who has to act on a balance (nobody: it happens by itself), and how."""

    owner: str
    next_step: str


def next_step(household_id: str, programme: str, riel: int, *, goes_on: bool) -> Next:
    """What becomes of a balance; `goes_on`: the programme still pays this household.

    Nothing is taken from another programme's payment: people consented to what each is for.
    """
    if goes_on:
        return Next("nobody", "goes with the next payment" if riel > 0 else "withheld from the next payments")
    if riel > 0:
        return Next("who prepares cycles", f"open a cycle of {programme}: what is owed goes with its payment")
    command = f"tonle corrections write-off {household_id} {programme} --riel {-riel}"
    return Next("two officers", f"{command}, then another person approves it")


def balance(payments: Iterable[Payment], programme: str, written_off: int) -> int:
    """Riel a programme still owes a household; below zero what it was paid too much."""
    counted = (
        each
        for each in payments
        if each.programme == programme and (each.state in LIVE or each.state is State.SETTLED_LATE)
    )
    return sum(each.entitled - each.amount for each in counted) + written_off


def carried(balance: int, due: int, *, cap: int, recover_percent: int) -> int:
    """Riel of a balance that go with a payment of `due`: all that is owed within the household's cap.

    What was paid too much is taken from it up to `recover_percent`, in whole multiples of 100 riel.
    """
    if balance >= 0:
        return min(balance, max(0, cap - due))
    most = due * recover_percent // 100
    return -min(-balance, most - most % PAYABLE_MULTIPLE_RIEL)


def propose(balance: int, write_off: WriteOff) -> WriteOff:
    """Ask that an overpayment be written off; nothing changes until another person approves.

    Raises `NotPossible` where so much was not overpaid.
    """
    _check(balance, write_off)
    return write_off


def approve(balance: int, write_off: WriteOff, by: str, reason: str | None) -> WriteOff:
    """Write it off. Raises `SamePerson`, or `NotPossible` where so much is not overpaid any more."""
    _other(write_off, by)
    _check(balance, write_off)
    return replace(write_off, state=WriteOffState.APPROVED, decided_by=by, decision_reason=reason)


def refuse(write_off: WriteOff, by: str, reason: str) -> WriteOff:
    """Say no: it is recovered as before. Raises `SamePerson`."""
    _other(write_off, by)
    return replace(write_off, state=WriteOffState.REFUSED, decided_by=by, decision_reason=reason)


def _other(write_off: WriteOff, by: str) -> None:
    if by == write_off.proposed_by:
        raise SamePerson(f"{by} proposed this and can't decide on it", "Ask another person who may approve.")


def _check(balance: int, write_off: WriteOff) -> None:
    if write_off.amount > -balance:
        raise NotPossible(
            f"household {write_off.household_id} was overpaid {max(0, -balance)} riel in "
            f"{write_off.programme}, less than {write_off.amount}",
            f"See what is open: tonle corrections show {write_off.household_id}.",
        )
