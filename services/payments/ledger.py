"""Double entry in whole riel: every transfer debits one account of a cycle and credits another.

A transfer is one positive amount, so its two postings sum to zero by construction. None is ever edited: what
comes back is a transfer of its own. A payment's row holds its issue and its settlement, all others have rows
of their own (docs/decisions/0046-a-payments-row-is-two-entries.md).
"""

from enum import StrEnum
from typing import NamedTuple, Protocol


class Account(StrEnum):
    """The accounts of one cycle. A balance is debits minus credits."""

    FUNDING = "funding"  # what was approved, as a debt to whoever gave it
    ENVELOPE = "envelope"  # what may still be committed
    IN_TRANSIT = "in-transit"  # what a partner was told to pay
    PAID = "paid"  # what a partner settled
    OWED = "owed"  # what a partner paid after the money was taken back, as a debt to it


class Kind(StrEnum):
    FUND = "fund"
    ISSUE = "issue"
    SETTLE = "settle"
    RELEASE = "release"
    RETURN = "return"
    SETTLE_LATE = "settle-late"
    RETURN_LATE = "return-late"
    COVER = "cover"
    REVERSE_SETTLE = "reverse-settle"


LEGS = {
    Kind.FUND: (Account.ENVELOPE, Account.FUNDING),
    Kind.ISSUE: (Account.IN_TRANSIT, Account.ENVELOPE),
    Kind.SETTLE: (Account.PAID, Account.IN_TRANSIT),
    Kind.RELEASE: (Account.ENVELOPE, Account.IN_TRANSIT),
    Kind.RETURN: (Account.ENVELOPE, Account.PAID),
    Kind.SETTLE_LATE: (Account.PAID, Account.OWED),
    Kind.RETURN_LATE: (Account.OWED, Account.PAID),
    Kind.COVER: (Account.OWED, Account.ENVELOPE),
    Kind.REVERSE_SETTLE: (Account.IN_TRANSIT, Account.PAID),
}
_PAID = frozenset({"settled", "settled_late"})
_UNSENT = frozenset({"failed", "expired", "returned", "cancelled"})


class Paid(Protocol):
    """What the ledger must know of a payment; `amount` in riel."""

    @property
    def payment_id(self) -> str: ...
    @property
    def household_id(self) -> str: ...
    @property
    def cycle_id(self) -> str: ...
    @property
    def amount(self) -> int: ...
    @property
    def state(self) -> str: ...
    @property
    def late(self) -> bool: ...
    @property
    def fund(self) -> int: ...


class Transfer(NamedTuple):
    """`amount` riel (above zero) of a fund into `debit`, out of `credit`. (subject, kind) happens once."""

    cycle_id: str
    household_id: str
    subject: str
    kind: Kind
    debit: Account
    credit: Account
    amount: int
    fund: int

    @property
    def frees(self) -> bool:
        """Whether it makes room in the envelope again."""
        return self.kind in (Kind.RELEASE, Kind.RETURN)


def funded(cycle_id: str, version: int, amount: int) -> Transfer:
    """Riel approved for a cycle by one decision: the cycle's version, and the fund's number."""
    return _transfer(Kind.FUND, (cycle_id, "", f"{cycle_id}/{version}"), amount, version)


def issued(payment: Paid, fund: int) -> Transfer:
    """A payment's amount leaves the envelope, out of this fund of it."""
    return _of(Kind.ISSUE, payment, fund)


def covered(payment: Paid, fund: int) -> Transfer:
    """A fund of the envelope pays what is owed to a partner for a payment that settled late."""
    return _of(Kind.COVER, payment, fund)


def reversed_settlement(payment: Paid) -> Transfer:
    """The counter-entry of a settlement: what was paid is in transit again."""
    return _of(Kind.REVERSE_SETTLE, payment, payment.fund)


def moved(before: Paid, after: Paid) -> Transfer | None:
    """What a change of state moves. Released only where the partner confirmed unsent or returned (rule 5).

    A late settlement is money we took back already: it is owed to the partner, outside the envelope.
    """
    if before.state == after.state:
        return None
    was_paid = before.state in _PAID
    if after.state in _PAID:
        kind = Kind.SETTLE_LATE if after.late else Kind.SETTLE
    elif after.state in _UNSENT and was_paid:
        kind = Kind.RETURN_LATE if before.late else Kind.RETURN
    elif after.state in _UNSENT:
        kind = Kind.RELEASE
    else:
        return None
    return _of(kind, after, after.fund)


def _of(kind: Kind, payment: Paid, fund: int) -> Transfer:
    about = payment.cycle_id, payment.household_id, payment.payment_id
    return _transfer(kind, about, payment.amount, fund)


def _transfer(kind: Kind, about: tuple[str, str, str], amount: int, fund: int) -> Transfer:
    return Transfer(*about, kind, *LEGS[kind], amount, fund)
