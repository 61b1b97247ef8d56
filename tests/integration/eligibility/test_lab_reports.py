"""The lab reads condition reports from an archive, and pays by them what the stream pays."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from contracts.household import KeyState
from services.eligibility import library
from services.eligibility.app import FOLDER, read_programmes
from services.eligibility.lab import extraction, running
from services.eligibility.lab.columns import Readable
from services.eligibility.lab.extraction import Extracted, Source
from services.eligibility.lab.proposals import propose
from services.eligibility.lab.shapes import Day
from services.eligibility.lab.store import Lab
from services.eligibility.poverty import SCORECARD
from tests.broker import admin
from tests.integration.eligibility.conftest import Scene
from tests.integration.eligibility.test_life import APRIL, ATTENDED, FAMILY, MARCH, STUDENTS, students
from tests.waiting import until
from tonle.archiving import writing
from tonle.simulation_run import READ

pytestmark = pytest.mark.stack
TODAY = date(2025, 4, 6)


async def test_the_lab_pays_for_what_was_reported_as_the_stream_does(scene: Scene, tmp_path: Path) -> None:
    async with scene.running():
        await scene.tell_keys("h-1")
        await scene.tell_keys("h-2", KeyState.DESTROYED)
        await scene.tell(scene.sealer.registered(minute=MARCH, of=FAMILY))
        report = scene.sealer.reported(ATTENDED, minute=APRIL)
        await scene.tell(report, report)
        await until(lambda: scene.counts(eligible=1))
        await scene.tell(*(scene.sealer.reported(ATTENDED, household_id=each) for each in ("h-2", "h-3")))
        await until(lambda: scene.db.fetchval("select count(*) from household_key where state = 'destroyed'"))
    *_, (_, outcome, riel, _) = await students(scene)
    source = await archived(scene, tmp_path)
    read = await asyncio.to_thread(extraction.extract, source, lambda _: None)
    said = Counter({Readable.READ: 2, Readable.FORGOTTEN: 1, Readable.KEY_MISSING: 1})
    assert read == Extracted(registrations=1, reports=said)
    assert (outcome, paid(source, [date(2025, 3, 30), TODAY])) == ("eligible", [0, riel])


async def archived(scene: Scene, folder: Path) -> Source:
    """What the topics hold as an archive, and where its facts go."""
    await writing.write(folder / "archive", admin(scene.settings), scene.settings.topic_prefix, READ)
    (folder / "facts").mkdir(mode=0o700)
    return Source(
        folder / "archive",
        folder / "facts",
        scene.settings.database,
        scene.settings.master_key_file,
        library.scorecards(FOLDER / "scorecards")[SCORECARD],
        TODAY,
        processes=2,
    )


def paid(source: Source, days: Sequence[date]) -> list[object]:
    """Riel of the students' programme on each day."""
    current = read_programmes(FOLDER / "programmes")
    lab = Lab(source.facts, threads=1)
    found = []
    for on in days:
        running.decide(lab, Day(propose(current, {}), on))
        rows = [each for each in lab.programmes() if each["programme"] == STUDENTS]
        found.append(next((each["riel"] for each in rows if each["side"] == "current"), 0))
    return found
