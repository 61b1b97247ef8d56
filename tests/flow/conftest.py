"""One finished run of the whole system, shared by all flow tests: from the file to the SMS."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from rich.console import Console

from tests.keys import give_master_key
from tonle.demo_run import Done, Plan, perform
from tonle.demo_screen import Screen
from tonle.stack.supervisor import Stack, StackSettings

HOUSEHOLDS = 300


@dataclass(frozen=True)
class Run:
    """The stack, still running; what was counted; and the rows of the file, in the clear."""

    stack: Stack
    done: Done
    rows: list[dict[str, str]]

    @property
    def data_dir(self) -> Path:
        return self.stack.state.data_dir


@pytest_asyncio.fixture(scope="package")
async def run(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Run]:
    """Every trace is recorded. The file lies outside the data folder, as a registrar's file does."""
    file = tmp_path_factory.mktemp("registrar") / "households.csv"
    home = tmp_path_factory.mktemp("flow")
    plan = Plan(HOUSEHOLDS, seed=8, envelope=HOUSEHOLDS * 1_000_000, home=home, file=file)
    screen = Screen(Console(file=io.StringIO()), HOUSEHOLDS)
    give_master_key(home, plan.seed)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TONLE_SAMPLE_RATIO", "1")
        async with Stack(StackSettings(data_dir=home, durable=False, partitions=2)) as stack:
            done = await perform(stack.state, plan, screen)
            with file.open(encoding="utf-8-sig", newline="") as source:
                rows = list(csv.DictReader(source))
            yield Run(stack, done, rows)
