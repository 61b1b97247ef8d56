"""The data folder of a run: gone after it, there where it failed."""

from pathlib import Path

import pytest

from benchmarks.pipeline import scratch
from tonle.stack.errors import StackError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_folder_of_a_run_is_removed() -> None:
    with scratch() as home:
        assert home.is_dir()
    assert not home.exists()


def test_the_folder_of_an_interrupted_run_is_removed() -> None:
    with pytest.raises(KeyboardInterrupt), scratch() as home:
        raise KeyboardInterrupt
    assert not home.exists()


def test_the_folder_of_a_run_that_failed_stays_and_its_logs_are_named() -> None:
    with pytest.raises(StackError) as told, scratch() as home:
        raise StackError("It stands still.", "Look.")
    assert home.is_dir()
    assert told.value.remedy == f"Look. Logs are in {home / 'logs'}."


def test_a_folder_that_is_given_stays(tmp_path: Path) -> None:
    with scratch(tmp_path / "mine") as home:
        home.mkdir()
    assert home.is_dir()


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("")
    with pytest.raises(StackError, match="not empty"), scratch(tmp_path):
        pass
