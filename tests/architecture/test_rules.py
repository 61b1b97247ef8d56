"""The rules of the house over the whole tree."""

import re
from collections.abc import Callable, Sequence

import pytest

from tests.architecture import rules, tree
from tests.architecture.exceptions import EXCEPTIONS

EDGES = re.compile(
    r"services/\w+/(app|cli\w*|jobs|api\w*|gateways/\w+|partners/(\w+/)?\w+|lab/(app|running|extraction))\.py"
)
"""Where a service meets the world: clocks and I/O are read here and passed inwards."""

TRANSACTION = re.compile(r"services/\w+/(lab/)?(handlers|store\w*)\.py")
"""Where a service meets its database, with the loop's clock."""


def deciding() -> list[str]:
    """What takes its clock as an argument: all of contracts and the services but the edges."""
    return [path for path in tree.python("contracts", "services") if not EDGES.fullmatch(path)]


def pure() -> list[str]:
    return [path for path in deciding() if not TRANSACTION.fullmatch(path)]


def outside_apps() -> list[str]:
    shared = tree.python("contracts", "postbox", "vault")
    return shared + [path for path in tree.python("services") if not path.endswith("/app.py")]


def outside_stores() -> list[str]:
    return [path for path in tree.python("services") if not re.search(r"/store\w*\.py$", path)]


def ours() -> list[str]:
    return tree.python(*tree.PACKAGES)


def of_tests() -> list[str]:
    return tree.python("tests")


SCOPES: Sequence[tuple[rules.Rule, Callable[[], list[str]]]] = [
    (rules.long_functions, tree.python),
    (rules.abbreviations, tree.python),
    (rules.clock_or_chance, deciding),
    (rules.input_or_output, pure),
    (rules.settings, outside_apps),
    (rules.sql, outside_stores),
    (rules.personal_data_told, ours),
    (rules.validation_errors_told, ours),
    (rules.any_used, ours),
    (rules.sleeps, of_tests),
    (rules.fakes, tree.python),
]


def found(rule: rules.Rule, paths: Sequence[str]) -> dict[str, list[str]]:
    """What a rule finds, by file."""
    by_file = {path: [f"{path}:{line}: {what}" for line, what in rule(tree.syntax(path))] for path in paths}
    return {path: lines for path, lines in by_file.items() if lines}


@pytest.mark.parametrize(("rule", "scope"), SCOPES, ids=[rule.__name__ for rule, _ in SCOPES])
def test_the_tree_keeps_the_rule(rule: rules.Rule, scope: Callable[[], list[str]]) -> None:
    broken = found(rule, scope())
    reported = [
        line for path, lines in broken.items() if (rule.__name__, path) not in EXCEPTIONS for line in lines
    ]
    assert reported == [], f"{rule.__doc__}\n" + "\n".join(reported)


def test_no_exception_outlives_its_need() -> None:
    needed = {(rule.__name__, path) for rule, scope in SCOPES for path in found(rule, scope())}
    assert sorted(set(EXCEPTIONS) - needed) == []


def test_every_exception_has_a_reason() -> None:
    assert [key for key, reason in EXCEPTIONS.items() if len(reason.split()) < 4] == []


def test_a_file_has_at_most_400_lines_and_an_app_at_most_100() -> None:
    lengths = {path: len(tree.text(path).splitlines()) for path in tree.python()}
    allowed = {path: rules.APP_LINES if path.endswith("/app.py") else rules.FILE_LINES for path in lengths}
    assert {path: lines for path, lines in lengths.items() if lines > allowed[path]} == {}
