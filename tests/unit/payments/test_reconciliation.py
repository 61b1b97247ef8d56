"""What does not agree about a payment or a statement, as tables; and what agrees is never a difference."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payments import reconciliation
from services.payments.reconciliation import (
    STEPS,
    Batch,
    Difference,
    Evidence,
    Kind,
    Limits,
    Statement,
    Terms,
)

TODAY = date(2026, 11, 29)
ISSUED = date(2026, 11, 1)
TERMS = Terms(TODAY, {"acleda": TODAY}, Limits())
RIGHT = Evidence("acleda", "p-1", 100, "settled", ISSUED, ISSUED, ISSUED, 1, 100, 0, 0, False)
OPEN = RIGHT._replace(state="issued", acknowledged_on=None, settled_on=None, debits=0, debited=0)
CASES: dict[str, tuple[Evidence, list[Kind]]] = {
    "all sides agree": (RIGHT, []),
    "issued today": (OPEN._replace(issued_on=TODAY), []),
    "no report after a day": (OPEN, [Kind.UNACKNOWLEDGED]),
    "unknown, never reported": (OPEN._replace(state="unknown"), [Kind.UNACKNOWLEDGED]),
    "accepted lately": (OPEN._replace(state="accepted", acknowledged_on=TODAY), []),
    "accepted long ago": (
        OPEN._replace(state="accepted", acknowledged_on=TODAY - timedelta(days=32)),
        [Kind.LATE],
    ),
    "settled, on no statement that covers it": (RIGHT._replace(debits=0, debited=0), [Kind.LATE]),
    "settled, its file booked as one sum": (RIGHT._replace(debits=0, debited=0, in_batch=True), []),
    "another amount": (RIGHT._replace(debited=90), [Kind.AMOUNT]),
    "paid twice": (RIGHT._replace(debits=2, debited=200), [Kind.DOUBLE_SETTLEMENT]),
    "paid twice, once returned": (RIGHT._replace(debits=2, debited=200, credits=1, credited=100), []),
    "paid, but reported failed": (RIGHT._replace(state="failed"), [Kind.ORPHAN]),
    "failed, returned": (RIGHT._replace(state="failed", credits=1, credited=100), []),
    "returned, as reported": (RIGHT._replace(state="returned", credits=1, credited=100), []),
    "returned, but held settled": (RIGHT._replace(credits=1, credited=100), [Kind.UNMATCHED_RETURN]),
    "returned, never paid": (
        RIGHT._replace(state="failed", debits=0, debited=0, credits=1, credited=100),
        [Kind.UNMATCHED_RETURN],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_payment_differs_only_where_its_sides_do(name: str) -> None:
    evidence, kinds = CASES[name]
    assert [each.kind for each in reconciliation.of_payment(evidence, TERMS)] == kinds


def test_nothing_is_late_before_a_statement_covers_its_day() -> None:
    unseen = RIGHT._replace(debits=0, debited=0)
    for covered in ({}, {"acleda": ISSUED + timedelta(days=1)}, {"wing": TODAY}):
        assert list(reconciliation.of_payment(unseen, TERMS._replace(covered=covered))) == []


@pytest.mark.parametrize(("limits", "late"), [(Limits(), True), (Limits(acknowledge_days=100), False)])
def test_how_long_a_step_may_take_is_a_setting(limits: Limits, late: bool) -> None:
    found = list(reconciliation.of_payment(OPEN, TERMS._replace(limits=limits)))
    assert bool(found) is late


@given(
    st.sampled_from(["settled", "failed", "expired", "cancelled", "returned"]),
    st.integers(1, 10**9),
    st.integers(0, 3),
)
def test_money_that_left_as_often_as_the_state_says_is_no_difference(
    state: str, amount: int, back: int
) -> None:
    out = back + (state == "settled")
    same = RIGHT._replace(
        state=state, amount=amount, debits=out, debited=out * amount, credits=back, credited=back * amount
    )
    assert list(reconciliation.of_payment(same, TERMS)) == []


def statement(sequence: int, opening: int, closing: int, moved: int, fees: int = 0) -> Statement:
    return Statement("acleda", "000", f"s-{sequence}", sequence, TODAY, opening, closing, moved, fees)


def of(*statements: Statement) -> list[tuple[Kind, int]]:
    return [(each.kind, each.riel) for each in reconciliation.of_statements(statements)]


def test_statements_that_follow_each_other_agree() -> None:
    assert of(statement(1, 100, 60, -40), statement(2, 60, 10, -50)) == []


def test_a_missing_statement_is_a_gap() -> None:
    assert of(statement(1, 100, 60, -40), statement(3, 10, 0, -10)) == [(Kind.STATEMENT_GAP, 0)]


def test_balances_that_do_not_follow_break() -> None:
    assert of(statement(1, 100, 60, -30)) == [(Kind.BALANCE_BREAK, -10)]
    assert of(statement(1, 100, 60, -40), statement(2, 65, 15, -50)) == [(Kind.BALANCE_BREAK, 5)]


def test_a_fee_is_a_difference_of_its_statement() -> None:
    assert of(statement(1, 100, 58, -42, fees=2)) == [(Kind.FEE, 2)]


@pytest.mark.parametrize(
    ("ordered", "expected"),
    [(300, None), (400, (Kind.BATCH_BOOKED, -100)), (None, (Kind.ORPHAN, 300))],
)
def test_a_sum_is_right_where_it_is_what_its_file_ordered(
    ordered: int | None, expected: tuple[Kind, int] | None
) -> None:
    found = reconciliation.of_batch(Batch("acleda", "m-1", TODAY, 300, ordered))
    assert (found and (found.kind, found.riel)) == expected


def test_every_kind_has_an_owner_and_a_next_step() -> None:
    assert set(STEPS) == set(Kind)


def test_a_difference_is_the_same_while_nothing_changes() -> None:
    first, again = (list(reconciliation.of_payment(CASES["another amount"][0], TERMS)) for _ in range(2))
    assert (
        first == again == [Difference(Kind.AMOUNT, "acleda", "p-1", ISSUED, -10, "90 riel paid, 100 ordered")]
    )
