"""A short run of `make faults`: everything is killed, stopped or cut once, and every promise is kept."""

from pathlib import Path

import pytest

from tests.faults.plan import Plan
from tests.faults.run import run

SEED, HOUSEHOLDS = 7, 2_000


@pytest.mark.stack
@pytest.mark.timeout(600)
async def test_nothing_is_lost_or_doubled_whatever_is_killed_stopped_or_cut(tmp_path: Path) -> None:
    verdict = await run(Plan(SEED, HOUSEHOLDS, tmp_path / "stack", short=True))
    assert verdict.broken == []
    assert verdict.counted["payments"] > HOUSEHOLDS // 3
    assert verdict.counted["cut_records"] > 0
    assert verdict.absorbed["position"] + verdict.absorbed["sequence"] > 0
