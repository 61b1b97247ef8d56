"""The lab as a process of its own: it reads an archive and eligibility's keys, and writes to neither.

Answers in JSON, a line each: `progress` while it works, then `report`, `plan` or `refused`.
"""

import json
import os
import sys
from datetime import date
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from services.eligibility import library
from services.eligibility.app import FOLDER, read_programmes
from services.eligibility.lab import running
from services.eligibility.lab.extraction import Source
from services.eligibility.lab.proposals import propose
from services.eligibility.lab.running import NothingRegistered
from services.eligibility.poverty import SCORECARD
from services.eligibility.reading import FileRefused


class LabSettings(BaseSettings):
    """As `TONLE_…` environment variables. `facts` is an empty folder that its user alone may enter.

    `days` are judged in their order; `today` is the day that poverty is estimated for.
    """

    model_config = SettingsConfigDict(env_prefix="TONLE_", extra="ignore")

    database: str
    master_key_file: Path
    programmes: Path = FOLDER / "programmes"
    proposed: tuple[Path, ...]
    archive: Path
    facts: Path
    days: tuple[date, ...]
    today: date
    plan: bool = False


def main(settings: LabSettings) -> int:
    """Answer, and give the exit code: 1 where the proposal or the archive is refused."""
    try:
        files = {path.name: path.read_bytes() for path in settings.proposed}
        proposal = propose(read_programmes(settings.programmes), files)
        if settings.plan:
            _say(plan=running.plan(proposal, settings.days))
            return 0
        source = Source(
            settings.archive,
            settings.facts,
            settings.database,
            settings.master_key_file,
            library.scorecards(FOLDER / "scorecards")[SCORECARD],
            settings.today,
            processes=os.cpu_count() or 1,
        )
        report = running.simulate(proposal, source, settings.days, _progress)
    except FileRefused as refused:
        _say(refused="The proposal can't be used.", remedy=str(refused))
        return 1
    except NothingRegistered:
        remedy = "Import households first; an archive is filled by `tonle archive write`."
        _say(refused="There is no registration to look at.", remedy=remedy)
        return 1
    _say(report=report)
    return 0


def _progress(what: str, done: int, of: int) -> None:
    _say(progress=[what, done, of])


def _say(**said: object) -> None:
    sys.stdout.write(json.dumps(said, ensure_ascii=False) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(LabSettings()))
