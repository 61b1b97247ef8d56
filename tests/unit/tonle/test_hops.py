"""The sums that must close, what waits at each hop, and the bars."""

from dataclasses import replace

import pytest

from tonle.hops import PAYMENT_STATES, Counted, at_rest, bars, hops, rates, sums

DONE = Counted(
    registration={
        "imported": 1000,
        "registered": 990,
        "quarantined": 6,
        "duplicates": 4,
        "rows_left": 0,
        "imports_running": 0,
    },
    eligibility={"households": 990, "eligible": 900, "refused": 90, "riel": 90_000_000},
    payments={
        **dict.fromkeys(PAYMENT_STATES, 0),
        "payments": 890,
        "reissued": 0,
        "waiting": 10,
        "settled": 885,
        "failed": 5,
        "riel_issued": 89_000_000,
    },
    notifications={
        **dict.fromkeys((f"payments_{state}" for state in PAYMENT_STATES), 0),
        "payments_settled": 885,
        "payments_failed": 5,
        "sent": 1600,
        "unknown": 2,
        "none": 174,
        "failed": 0,
        "told_sent": 800,
        "told_unknown": 2,
        "told_none": 88,
        "told_failed": 0,
        "told_waiting": 0,
        "queued": 0,
        "sending": 0,
    },
)
ONE_LESS = {
    "registration": ("quarantined", "imported"),
    "eligibility": ("eligible", "registered"),
    "payments": ("waiting", "eligible"),
    "notifications": ("told_sent", "payments"),
}


def changed(service: str, **counts: int) -> Counted:
    return replace(DONE, **{service: {**getattr(DONE, service), **counts}})


def test_the_sums_of_a_finished_run_close() -> None:
    assert [str(each) for each in sums(DONE)] == [
        "imported 1,000 = registered 990 + quarantined 6 + duplicates 4",
        "registered 990 = eligible 900 + refused 90",
        "eligible 900 = payments 890 + waiting 10",
        "payments 890 = SMS sent 800 + unknown 2 + none 88",
    ]
    assert at_rest(DONE)


@pytest.mark.parametrize("service", list(ONE_LESS))
def test_a_household_missing_anywhere_opens_a_sum(service: str) -> None:
    name, whole = ONE_LESS[service]
    counted = changed(service, **{name: getattr(DONE, service)[name] - 1})
    broken = [each for each in sums(counted) if not each.closes]
    assert whole in [each.whole[0] for each in broken]
    assert "≠" in str(broken[0])
    assert not at_rest(counted)


@pytest.mark.parametrize(
    ("service", "counts"),
    [
        ("registration", {"imports_running": 1}),
        ("payments", {"issued": 1}),
        ("payments", {"accepted": 1}),
        ("notifications", {"sending": 1}),
        ("notifications", {"payments_settled": 884}),
    ],
)
def test_nothing_is_at_rest_while_something_is_on_its_way(service: str, counts: dict[str, int]) -> None:
    assert not at_rest(changed(service, **counts))


def test_a_refused_sms_is_a_term_of_its_own() -> None:
    counted = changed("notifications", told_sent=799, told_failed=1)
    assert str(sums(counted)[3]).endswith("none 88 + SMS failed 1")
    assert sums(counted)[3].closes


def test_what_waits_before_each_hop_is_told_in_households_and_riel() -> None:
    counted = replace(
        changed("registration", rows_left=7),
        eligibility={"households": 980, "eligible": 895, "refused": 85, "riel": 89_500_000},
    )
    assert [(hop.waiting, hop.waiting_riel) for hop in hops(counted)] == [
        (7, None),
        (10, None),
        (5, 500_000),
        (0, None),
    ]


def test_bars_fall_and_the_smallest_is_still_seen() -> None:
    assert bars({"Takeo": 1, "Kampot": 1000, "Kep": 0}, 20) == [("Kampot", 1000, "█" * 20), ("Takeo", 1, "█")]


def test_rates_are_households_per_second_between_two_looks() -> None:
    later = hops(changed("notifications", told_sent=850))
    assert rates(hops(DONE), later, 2.0) == [0.0, 0.0, 0.0, 25.0]
    assert rates(later, later, 0.0) == [0.0] * 4
