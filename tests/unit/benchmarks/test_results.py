"""Figures: flat, merged, compared with their targets."""

import pytest

from benchmarks.results import cpu_us, flat, meets, merge, ratio, rows, spread

NOW = {"commit": "abc1234", "date": "2023-06-01T00:00:00+00:00"}


def test_a_mapping_within_a_mapping_becomes_joined_keys() -> None:
    figures = {"households": 5, "cpu_s": {"kafka": 1.5, "partner-wing": {"own": 2}}}
    assert flat(figures) == {"households": 5, "cpu_s_kafka": 1.5, "cpu_s_partner_wing_own": 2}


def test_a_part_measured_anew_replaces_its_own_figures_and_no_others() -> None:
    before = {
        "floor_ratio": 0.4,
        "floor_gone": 1,
        "households_per_second": 2000,
        "pipeline_commit": "0000000",
    }
    merged = merge(before, {"floor": {"floor_ratio": 0.6}}, **NOW)
    assert merged == {
        "floor_commit": "abc1234",
        "floor_date": "2023-06-01T00:00:00+00:00",
        "floor_ratio": 0.6,
        "households_per_second": 2000,
        "pipeline_commit": "0000000",
    }


def test_a_ratio_is_ours_as_a_multiple_of_theirs() -> None:
    assert ratio(2500, 5000) == 0.5
    assert ratio(2500, 99) == 25.253


def test_a_spread_is_a_share_of_the_first() -> None:
    assert spread([100, 120, 90]) == 0.3
    assert spread([100]) == 0


@pytest.mark.parametrize(
    ("name", "value", "met"),
    [
        ("households_per_second", 2500, True),
        ("households_per_second", 2499.9, False),
        ("latency_ms_p50", 300, False),
        ("latency_ms_p50", 299.9, True),
        ("growth_cpu_spread", 0.2, True),
        ("growth_cpu_spread", 0.21, False),
        ("households", 5, None),
    ],
)
def test_a_figure_is_held_against_its_target(name: str, value: float, met: bool | None) -> None:
    assert meets(name, value) is met


def test_cpu_is_that_of_one_household_whether_or_not_the_part_says_its_name() -> None:
    used = {"households": 1000, "cpu_s_by_process": {"kafka": 0.5}}
    assert cpu_us("pipeline", used) == {"kafka": 500}
    assert cpu_us("floor", {f"floor_{name}": value for name, value in used.items()}) == {"kafka": 500}
    assert cpu_us("latency", {"latency_ms_p50": 5}) == {}


def test_a_row_says_the_target_and_whether_it_is_met() -> None:
    assert list(rows({"households_per_second": 1234.5, "sms": 10_000})) == [
        ("households_per_second", "1,234.5", "at least 2500", "NOT met"),
        ("sms", "10,000", "", ""),
    ]
