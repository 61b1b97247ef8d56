"""The Dockerfile, the compose file and testcontainers work, or it is said why that could not be seen."""

import subprocess
import sys

import pytest

from deploy.containers.check import EXIT_CANNOT_RUN
from tests.architecture import tree


@pytest.mark.long
@pytest.mark.more
@pytest.mark.timeout(3600)
def test_households_flow_through_the_composed_stack() -> None:
    command = [sys.executable, "-m", "deploy.containers.check"]
    done = subprocess.run(command, cwd=tree.ROOT, capture_output=True, text=True, check=False)
    last = done.stdout.strip().rpartition("\n")[2]
    if done.returncode == EXIT_CANNOT_RUN:
        pytest.skip(last.removeprefix("did not run: "))
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert last.startswith("containers-check: passed")
