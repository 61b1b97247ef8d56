"""Runs the plain pipeline on a fresh stack, and counts as the floor does."""

import sys
from pathlib import Path

from benchmarks.floor.run import main, measure

HOUSEHOLDS = 2_000


async def _baseline(home: Path, households: int) -> dict[str, object]:
    return await measure(home, households, "benchmarks.baseline")


if __name__ == "__main__":
    sys.exit(main(None, HOUSEHOLDS, _baseline))
