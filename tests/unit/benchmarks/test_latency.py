"""Percentiles, and households that are sure to be told."""

import pytest

from benchmarks.latency import figures, forms, percentile


@pytest.mark.parametrize(("percent", "value"), [(50, 5), (90, 9), (99, 10), (100, 10), (1, 1)])
def test_a_percentile_is_the_smallest_value_that_so_many_are_not_above(percent: float, value: float) -> None:
    assert percentile(list(range(1, 11)), percent) == value


def test_of_300_waits_the_fourth_longest_is_the_99th_percentile() -> None:
    waits = [100.0] * 150 + [200.0] * 146 + [300.0, 400.0, 500.0, 600.0]
    assert figures(waits[::-1]) == {
        "latency_requests": 300,
        "latency_ms_p50": 100.0,
        "latency_ms_p99": 300.0,
        "latency_ms_max": 600.0,
    }


def test_every_household_is_poor_and_has_a_telephone() -> None:
    made = list(forms(40))
    assert len({form["reference"] for form in made}) == 40
    assert {form["level"] for form in made} <= {"poor_1", "poor_2"}
    assert all(form["phone"] for form in made)


def test_a_form_has_its_members_and_no_empty_answers() -> None:
    form = next(forms(1))
    assert isinstance(form["members"], list)
    assert form["members"][0]["name_km"]
    assert "" not in form.values()
