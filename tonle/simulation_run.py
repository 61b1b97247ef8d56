"""A run of the policy lab: its scratch folder, what it is told, and what it answers."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import psutil
from pydantic import BaseModel

from contracts import topics
from tonle import terminal
from tonle.archiving import layout, writing
from tonle.archiving.layout import ArchiveRefused
from tonle.stack.postgres import AUDITOR
from tonle.stack.secrets import Secrets
from tonle.stack.state import StackState

PHNOM_PENH = timezone(timedelta(hours=7))
SCRATCH = "lab-"
READ = tuple(
    topic.name
    for topic in (
        topics.HOUSEHOLD_EXITED,
        topics.HOUSEHOLD_REGISTERED,
        topics.CONDITION_REPORTED,
        topics.SHOCK_DECLARED,
        topics.SHOCK_ENDED,
    )
)


class Line(BaseModel):
    """What the lab says, one of these a line."""

    progress: tuple[str, int, int] | None = None
    refused: str | None = None
    remedy: str = ""
    report: dict[str, object] | None = None
    plan: list[str] = []


@dataclass(frozen=True)
class Run:
    """A proposal and the days to judge it on, on a running stack."""

    stack: StackState
    proposed: Sequence[Path]
    days: Sequence[date]

    def plan(self) -> list[str]:
        """The statements, of which none is run."""
        with scratch(self.stack.data_dir) as folder:
            return self._ask(folder, folder, plan=True).plan

    def from_topics(self) -> dict[str, object]:
        """The report on what the topics hold now, read as the auditor once the proposal is in order."""
        self.plan()
        with scratch(self.stack.data_dir) as folder:
            archive = folder / "archive"
            _read_topics(self.stack, archive)
            return self._report(archive, folder)

    def from_archive(self, archive: Path) -> dict[str, object]:
        """The report on what an archive holds."""
        try:
            found = layout.origin(archive)
        except ArchiveRefused as refused:
            terminal.fail(refused.message, refused.remedy)
        if found is None:
            terminal.fail(f"{archive} is no archive.", "Write one with `tonle archive write`, or name it.")
        with scratch(self.stack.data_dir) as folder:
            return self._report(archive, folder)

    def _report(self, archive: Path, folder: Path) -> dict[str, object]:
        report = self._ask(archive, folder, plan=False).report
        assert report is not None
        return report

    def _ask(self, archive: Path, folder: Path, *, plan: bool) -> Line:
        """Ask the lab, a process of its own with eligibility's keys; its last line is the answer."""
        command = (sys.executable, "-m", "services.eligibility.lab.app")
        settings = self._settings(archive, folder) | {"TONLE_PLAN": str(plan).lower()}
        answer = Line()
        with (
            subprocess.Popen(
                command, env={**os.environ, **settings}, stdout=subprocess.PIPE, text=True
            ) as lab,
            terminal.progress("Simulating") as advance,
        ):
            assert lab.stdout is not None
            for line in lab.stdout:
                answer = Line.model_validate_json(line)
                if answer.progress:
                    what, done, of = answer.progress
                    advance(done, f"{what} {done:,} of {of:,}")
        if answer.refused is not None:
            terminal.fail(answer.refused, answer.remedy)
        if answer.report is None and not answer.plan:
            terminal.fail("The lab ended without an answer.", "What it said stands above.")
        return answer

    def _settings(self, archive: Path, folder: Path) -> dict[str, str]:
        dsn = self.stack.postgres.passwordless()[AUDITOR]
        secrets = Secrets(self.stack.data_dir / "secrets")
        facts = folder / "facts"
        facts.mkdir(mode=0o700)
        return {
            "TONLE_DATABASE": dsn.rpartition("/")[0] + "/eligibility",
            "PGPASSFILE": str(secrets.passfile(AUDITOR)),
            "TONLE_MASTER_KEY_FILE": str(secrets.master_key),
            "TONLE_PROPOSED": json.dumps([str(path.absolute()) for path in self.proposed]),
            "TONLE_ARCHIVE": str(archive.absolute()),
            "TONLE_FACTS": str(facts),
            "TONLE_DAYS": json.dumps([day.isoformat() for day in self.days]),
            "TONLE_TODAY": datetime.now(UTC).astimezone(PHNOM_PENH).date().isoformat(),
        }


@contextmanager
def scratch(data_dir: Path) -> Iterator[Path]:
    """A folder that its user alone may enter, gone afterwards; what a killed run left goes first."""
    for left in data_dir.glob(f"{SCRATCH}*-*"):
        if not psutil.pid_exists(int(left.name.split("-")[1])):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{SCRATCH}{os.getpid()}-", dir=data_dir) as folder:
        yield Path(folder)


def _read_topics(stack: StackState, folder: Path) -> None:
    broker = stack.kafka.broker(AUDITOR)
    with terminal.progress("Reading") as advance:
        asyncio.run(
            writing.write(folder, broker, stack.topic_prefix, READ, lambda topic, done: advance(done, topic))
        )
