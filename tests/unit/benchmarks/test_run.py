"""What is asked of a benchmark, and what is set against what."""

from collections.abc import Mapping

import pytest

from benchmarks.pipeline import manned
from benchmarks.run import answer, main, ratios


def test_a_part_that_does_not_exist_is_named_with_those_that_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "pipelin"])
    assert "no part pipelin; there are baseline, floor, pipeline" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--households", "--sizes", "--backlog"])
def test_a_size_that_is_no_number_is_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([option, "many"])
    assert "'many' is no number of households or messages" in capsys.readouterr().err


def test_ratios_are_taken_only_of_what_was_measured_together() -> None:
    parts: dict[str, Mapping[str, object]] = {
        "pipeline": {"households_per_second": 2500, "cpu_us_per_household": 800},
        "floor": {"floor_households_per_second": 4000, "floor_cpu_us_per_household": 450},
        "baseline": {"baseline_households_per_second": 100},
    }
    ratios(parts)
    assert (parts["floor"]["floor_ratio"], parts["floor"]["floor_cpu_ratio"]) == (0.625, 0.562)
    assert parts["baseline"] == {"baseline_households_per_second": 100, "baseline_ratio": 25}
    alone: dict[str, Mapping[str, object]] = {"floor": {"floor_households_per_second": 4000}}
    ratios(alone)
    assert "floor_ratio" not in alone["floor"]


WELL = '{"households": 10, "households_per_second": 5, "cpu_s_by_process": {"a": 1, "postgres_a": 9}}'


def test_a_program_that_says_its_cpu_seconds_gets_them_for_one_household() -> None:
    assert answer(WELL, 0)["cpu_us_per_household"] == 100_000


@pytest.mark.parametrize(("line", "code"), [("{}", 0), ("", 0), ("7", 0), (WELL, 1)])
def test_a_program_that_ended_otherwise_gives_no_figures(line: str, code: int) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        answer(line, code)


def test_a_service_runs_as_often_as_asked_under_names_of_its_own() -> None:
    names = [program.name for program in manned({"payments": 3})]
    assert [name for name in names if name.startswith("payments")] == ["payments", "payments-2", "payments-3"]
    assert sorted(set(names)) == sorted(names)
