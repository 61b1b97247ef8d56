"""Instruction, acknowledgement, settlement and statement against each other: what does not agree, and why.

Pure. Days are Phnom Penh's, amounts whole riel.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What can differ. Owner and next step of each: `STEPS`."""

    UNACKNOWLEDGED = "unacknowledged"
    LATE = "late"
    ORPHAN = "orphan"
    AMOUNT = "amount"
    DOUBLE_SETTLEMENT = "double-settlement"
    UNMATCHED_RETURN = "unmatched-return"
    FEE = "fee"
    BATCH_BOOKED = "batch-booked"
    STATEMENT_GAP = "statement-gap"
    BALANCE_BREAK = "balance-break"
    SET_ASIDE = "set-aside"


STEPS: dict[Kind, tuple[str, str]] = {
    Kind.UNACKNOWLEDGED: (
        "partner",
        "Ask whether it has the instruction; it is inquired about by itself, too.",
    ),
    Kind.LATE: ("partner", "Ask for the report, or for the statement that shows the payment."),
    Kind.ORPHAN: ("finance", "Ask the bank what it paid; if it is not ours, have it reversed."),
    Kind.AMOUNT: ("finance", "Have the bank correct it; our payment stays as it was ordered."),
    Kind.DOUBLE_SETTLEMENT: (
        "finance",
        "Have the bank return what was paid twice; do not pay again meanwhile.",
    ),
    Kind.UNMATCHED_RETURN: ("operations", "Ask for the report of the return, or load the notice (camt.054)."),
    Kind.FEE: ("finance", "Check it against the contract, then close it with that reason."),
    Kind.BATCH_BOOKED: ("finance", "Ask for the details of the sum: it is not what the file ordered."),
    Kind.STATEMENT_GAP: ("operations", "Ask the bank for the statements that are missing, and load them."),
    Kind.BALANCE_BREAK: ("finance", "Ask the bank: its balances do not follow from its own lines."),
    Kind.SET_ASIDE: ("operations", "See `tonle partners rows`: retry it, or close it with a reason."),
}
"""Who has to act, and what they do next."""


class Evidence(NamedTuple):
    """One payment from all sides. `debited` and `credited`: riel of its statement lines, beside their count.

    `in_batch`: its file was booked as one sum that is right.
    """

    partner: str
    payment_id: str
    amount: int
    state: str
    issued_on: date
    acknowledged_on: date | None
    settled_on: date | None
    debits: int
    debited: int
    credits: int
    credited: int
    in_batch: bool


class Batch(NamedTuple):
    """A sum on a statement that stands for a whole file of ours; `ordered` is None where it names none."""

    partner: str
    batch: str
    day: date
    amount: int
    ordered: int | None


class Statement(NamedTuple):
    """A statement and what its booked lines add up to; `fees` riel of them the bank kept for itself."""

    partner: str
    account: str
    statement_id: str
    sequence: int | None
    day: date
    opening: int | None
    closing: int | None
    moved: int
    fees: int


class Loose(NamedTuple):
    """A line that names no payment of ours with this partner, or a row that was set aside."""

    partner: str
    subject: str
    day: date
    amount: int
    why: str


class Difference(NamedTuple):
    """What does not agree. (kind, subject, riel) is the same as long as nothing changes."""

    kind: Kind
    partner: str
    subject: str
    day: date
    riel: int
    note: str


class Limits(NamedTuple):
    """How many days each step may take: a first report, a settlement after that, and a statement about it."""

    acknowledge_days: int = 1
    settle_days: int = 31
    statement_days: int = 2


class Terms(NamedTuple):
    """What is late today: by these limits, and by the last day that a partner's statements cover."""

    today: date
    covered: dict[str, date]
    limits: Limits


_ENDED = frozenset({"failed", "expired", "cancelled"})
_SETTLED = frozenset({"settled", "settled_late"})


def of_payment(each: Evidence, terms: Terms) -> Iterator[Difference]:
    """What differs about one payment; nothing where all sides agree, or still have time."""

    def difference(kind: Kind, day: date, riel: int, note: str) -> Difference:
        return Difference(kind, each.partner, each.payment_id, day, riel, note)

    net = each.debits - each.credits
    if (late := _late(each, terms)) is not None:
        kind, since, note = late
        yield difference(kind, since, each.amount, note)
    if net > 1:
        yield difference(Kind.DOUBLE_SETTLEMENT, each.issued_on, (net - 1) * each.amount, f"paid {net} times")
    elif each.debits and each.debited != each.debits * each.amount:
        off = each.debited - each.debits * each.amount
        yield difference(Kind.AMOUNT, each.issued_on, off, f"{each.debited} riel paid, {each.amount} ordered")
    if net > 0 and each.state in _ENDED:
        yield difference(Kind.ORPHAN, each.issued_on, each.debited, f"paid, but reported {each.state}")
    if each.credits and net < 1 and each.state in _SETTLED:
        yield difference(Kind.UNMATCHED_RETURN, each.issued_on, each.credited, "returned, but still settled")
    if each.credits > each.debits:
        yield difference(Kind.UNMATCHED_RETURN, each.issued_on, each.credited, "returned, but never paid")


def of_batch(each: Batch) -> Difference | None:
    """A sum that is not what its file ordered, or of a file that is not ours."""
    if each.ordered is None:
        return Difference(Kind.ORPHAN, each.partner, each.batch, each.day, each.amount, "no file of ours")
    if each.ordered == each.amount:
        return None
    note = f"booked as {each.amount} riel, {each.ordered} ordered and not rejected"
    return Difference(Kind.BATCH_BOOKED, each.partner, each.batch, each.day, each.amount - each.ordered, note)


def of_statements(statements: Sequence[Statement]) -> Iterator[Difference]:
    """Gaps, balances that do not follow, and fees, of one account's statements by number."""
    before: Statement | None = None
    for each in statements:
        name = f"{each.account}/{each.statement_id}"
        if each.fees:
            yield Difference(Kind.FEE, each.partner, name, each.day, each.fees, "kept by the bank")
        if each.opening is not None and each.closing is not None:
            off = each.closing - each.opening - each.moved
            if off:
                note = "closing is not opening plus the lines"
                yield Difference(Kind.BALANCE_BREAK, each.partner, name, each.day, off, note)
        if before is not None:
            yield from _between(before, each, name)
        before = each


def of_loose(kind: Kind, each: Loose) -> Difference:
    """A line or row of nothing we know."""
    return Difference(kind, each.partner, each.subject, each.day, each.amount, each.why)


def _late(each: Evidence, terms: Terms) -> tuple[Kind, date, str] | None:
    if each.state in ("issued", "unknown") and each.acknowledged_on is None and each.settled_on is None:
        due = each.issued_on + timedelta(days=terms.limits.acknowledge_days)
        return (Kind.UNACKNOWLEDGED, each.issued_on, "no report at all") if terms.today > due else None
    if each.state in ("issued", "unknown", "accepted"):
        since = each.acknowledged_on or each.issued_on
        if terms.today > since + timedelta(days=terms.limits.settle_days):
            return Kind.LATE, since, "accepted, but neither settled nor failed"
        return None
    settled_on, covered = each.settled_on, terms.covered.get(each.partner)
    if each.state not in _SETTLED or settled_on is None or covered is None or each.in_batch or each.debits:
        return None
    if covered >= settled_on + timedelta(days=terms.limits.statement_days):
        return Kind.LATE, settled_on, "reported settled, but on no statement"
    return None


def _between(before: Statement, each: Statement, name: str) -> Iterator[Difference]:
    if before.sequence is not None and each.sequence is not None and each.sequence != before.sequence + 1:
        first, last = before.sequence + 1, each.sequence - 1
        missing = f"number {first} missing" if first == last else f"numbers {first} to {last} missing"
        if each.sequence <= before.sequence:
            missing = f"number {each.sequence} comes twice"
        yield Difference(Kind.STATEMENT_GAP, each.partner, name, each.day, 0, missing)
    elif None not in (before.closing, each.opening) and before.closing != each.opening:
        off = (each.opening or 0) - (before.closing or 0)
        note = "opening is not the closing of the statement before"
        yield Difference(Kind.BALANCE_BREAK, each.partner, name, each.day, off, note)
