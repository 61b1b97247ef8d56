"""A newcomer who knows one service knows them all."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture import rules, tree

EVERY_SERVICE = {"__init__.py", "app.py", "handlers.py", "api.py", "cli.py", "store.py"}
HEARS_NOTHING = {"registration"}


@pytest.mark.parametrize("service", tree.SERVICES)
def test_every_service_has_the_same_few_files(service: str) -> None:
    below = [path.split("/")[2:] for path in tree.files() if path.startswith(f"services/{service}/")]
    there = {steps[0] for steps in below}
    wanted = EVERY_SERVICE - ({"handlers.py"} if service in HEARS_NOTHING else set())
    assert wanted - there == set()
    assert "migrations" in there


def test_services_are_the_four_that_are_known() -> None:
    assert {path.split("/")[1] for path in tree.python("services")} - {"__init__.py"} == set(tree.SERVICES)


def test_no_file_is_called_by_an_abbreviation_or_a_word_for_anything() -> None:
    named = [path for path in tree.files() if rules.ABBREVIATIONS.search(Path(path).stem)]
    assert named == []


def test_sql_files_are_migrations_that_each_have_a_number_of_their_own() -> None:
    folders: dict[str, list[str]] = {}
    for path in tree.files():
        if path.endswith(".sql"):
            folder, _, name = path.rpartition("/")
            assert folder.endswith("/migrations"), path
            folders.setdefault(folder, []).append(name)
    for folder, names in folders.items():
        numbers = [int(name.split("_")[0]) for name in sorted(names)]
        assert len(numbers) == len(set(numbers)), folder


def test_every_package_says_that_it_is_typed() -> None:
    assert [package for package in tree.PACKAGES if f"{package}/py.typed" not in tree.files()] == []


def test_imports_keep_to_the_architecture() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=tree.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
