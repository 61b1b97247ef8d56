"""What a cycle would pay against the one before, as tables."""

import pytest

from services.payments.preview import Change, Entry, Measure, Preview, Sum, expected

TYPICAL = Measure(typical=100_000, cap=400_000)


@pytest.mark.parametrize(
    ("amount", "last", "change"),
    [
        (100_000, 0, Change.NEW),
        (0, 100_000, Change.GONE),
        (120_000, 100_000, Change.RAISED),
        (80_000, 100_000, Change.LOWERED),
        (100_000, 100_000, Change.SAME),
    ],
)
def test_a_household_s_change_is_by_what_it_got_last(amount: int, last: int, change: Change) -> None:
    assert Entry("h", amount, last, "").change is change


@pytest.mark.parametrize(
    ("amount", "last", "outlier"),
    [
        (300_000, 0, False),
        (300_100, 0, True),
        (200_000, 100_000, False),
        (200_100, 100_000, True),
        (100_000, 200_100, True),
        (100_000, 200_000, False),
        (0, 900_000, False),
    ],
    ids=["3 x typical", "more", "doubled", "more", "less than half", "half", "gone"],
)
def test_an_outlier_is_far_from_the_median_or_from_last_time(amount: int, last: int, outlier: bool) -> None:
    assert TYPICAL.is_outlier(Entry("h", amount, last, "")) is outlier


def test_an_amount_above_the_cap_is_an_outlier_however_typical() -> None:
    assert Measure(500_000, 400_000).is_outlier(Entry("h", 400_100, 400_100, ""))


@pytest.mark.parametrize(
    ("amount", "waits", "balance", "amount_expected", "carried"),
    [
        (100_000, 100_000, 0, 100_000, 0),
        (100_000, 100_000, 24_000, 124_000, 24_000),
        (100_000, 100_000, 400_000, 400_000, 300_000),
        (100_000, 100_000, -40_000, 80_000, -20_000),
        (100_000, 0, -40_000, 100_000, 0),
        (0, 0, 24_000, 0, 0),
    ],
    ids=["nothing", "owed", "within the cap", "a fifth is withheld", "issued already", "gets nothing"],
)
def test_what_waits_is_expected_with_what_its_issuing_will_carry(
    amount: int, waits: int, balance: int, amount_expected: int, carried: int
) -> None:
    entry = Entry("h", amount, 0, "payroll" if waits else "")
    found = expected(entry, waits, balance, cap=TYPICAL.cap, recover_percent=20)
    assert (found.amount, found.carried) == (amount_expected, carried)


def test_sums_count_each_household_once_and_name_the_largest_outliers() -> None:
    preview = Preview(TYPICAL, shown_most=2)
    preview.add([Entry("h-1", 100_000, 100_000, "approval"), Entry("h-2", 0, 90_000, "")])
    preview.add([Entry(f"h-{n}", n * 100_000, 0, "household-cap") for n in (7, 9, 8)])
    assert preview.total == Sum(4, 2_500_000)
    assert preview.changes[Change.GONE] == Sum(1, 90_000)
    assert preview.changes[Change.NEW] == Sum(3, 2_400_000)
    assert preview.waiting == {"approval": Sum(1, 100_000), "household-cap": Sum(3, 2_400_000)}
    assert preview.states == {"planned": Sum(4, 2_500_000)}
    assert preview.outliers == Sum(3, 2_400_000)
    assert [each.household_id for each in preview.largest_outliers()] == ["h-9", "h-8"]
