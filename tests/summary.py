"""Ends a test run with one table: suite, tests, seconds, stack used, and what did not run and why."""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

STACK = "Kafka + PostgreSQL"


@dataclass
class Suite:
    """What one suite's tests came to."""

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    stack: bool = False


class Summary:
    """Collects reports, and writes the table when the run ends."""

    def __init__(self) -> None:
        self._suites: dict[str, Suite] = {}
        self._not_run: Counter[str] = Counter()
        self._not_selected: dict[str, int] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        suite = self._suites.setdefault(suite_of(report.nodeid), Suite())
        suite.seconds += report.duration
        suite.stack |= "stack" in dict(report.user_properties)
        if report.when == "call" or report.outcome != "passed":
            suite.outcomes[report.outcome] += 1
        if report.skipped and isinstance(report.longrepr, tuple):
            self._not_run[report.longrepr[2].removeprefix("Skipped: ")] += 1

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if "stack" in getattr(item, "fixturenames", ()) or item.get_closest_marker("stack"):
            item.user_properties.append(("stack", True))

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        more = sum(item.get_closest_marker("more") is not None for item in items)
        if more:
            self._not_selected["needs apt, Docker or a browser, or takes long: run by make test-more"] = more
        if len(items) > more:
            self._not_selected["not selected by this command"] = len(items) - more

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        # Under xdist only the workers deselect, and all deselect the same: one of them tells the controller.
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["not_selected"] = self._not_selected

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        self._not_selected = getattr(node, "workeroutput", {}).get("not_selected", self._not_selected)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        rows = [*lint_rows(), *(row(name, suite) for name, suite in sorted(self._suites.items()))]
        if not rows:
            return
        terminalreporter.section("suites")
        head = ("suite", "passed", "failed", "skipped", "seconds", "stack")
        widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]
        for line in (head, *rows):
            cells = (
                cell.ljust(width) if column in (0, 5) else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            terminalreporter.write_line("  ".join(cells).rstrip())
        not_run = self._not_run + Counter(self._not_selected)
        for reason, count in not_run.most_common():
            terminalreporter.write_line(f"did not run: {count} - {reason}")
        if not not_run:
            terminalreporter.write_line("did not run: nothing")


def pytest_configure(config: pytest.Config) -> None:
    """Register one collector per run."""
    config.pluginmanager.register(Summary(), "suites")


def suite_of(nodeid: str) -> str:
    """`tests/unit/…` -> `unit`, `tests/integration/payments/…` -> `integration/payments`."""
    folders = Path(nodeid.partition("::")[0]).parts[1:-1]
    return "/".join(folders[:2] if folders[:1] == ("integration",) else folders[:1]) or "tests"


def lint_rows() -> list[tuple[str, ...]]:
    """The checks that `make lint` passed just before: name and seconds, tab-separated."""
    file = Path(os.environ.get("TONLE_LINTED", ""))
    if not file.is_file():
        return []
    checks = (line.split("\t") for line in file.read_text().splitlines())
    return [(f"lint: {name}", "1", "0", "0", f"{float(seconds):.1f}", "-") for name, seconds in checks]


def row(name: str, suite: Suite) -> tuple[str, ...]:
    """One line of the table."""
    counts = [str(suite.outcomes[each]) for each in ("passed", "failed", "skipped")]
    return (name, *counts, f"{suite.seconds:.1f}", STACK if suite.stack else "-")
