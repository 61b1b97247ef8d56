"""`tonle up`, `status` and `down` as a user runs them, with Kafka and PostgreSQL alone."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.stack


class Commands:
    """Runs `tonle` on one data folder, in a pipe."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from tonle.cli import main; main()", "--data-dir", str(self.home)]
        return subprocess.run([*command, *words], capture_output=True, text=True, timeout=120, check=False)

    def status(self) -> dict[str, object]:
        return dict(json.loads(self.run("status", "--json").stdout))


@pytest.fixture
def tonle(tmp_path: Path) -> Iterator[Commands]:
    commands = Commands(tmp_path / "home")
    yield commands
    commands.run("down")


def test_up_status_and_down_as_a_user_runs_them(tonle: Commands) -> None:
    before = tonle.run("status")
    assert (before.returncode, before.stdout) == (3, "")
    assert "tonle up" in before.stderr
    up = tonle.run("up", "--servers-only", "--json")
    assert up.returncode == 0, up.stderr
    shown = json.loads(up.stdout)
    assert (shown["state"], shown["kafka"]["restarts"]) == ("running", 0)
    assert "Starting: " in up.stderr
    secrets = (tonle.home / "secrets" / "admin.token").read_text().strip()
    assert secrets not in up.stdout
    assert "postgresql://" not in up.stdout
    again = tonle.run("up", "--servers-only")
    assert again.stdout.splitlines()[1].startswith("kafka\trunning\t127.0.0.1:")
    assert tonle.run("dead-letters", "list").stdout == "Nothing is parked.\n"
    assert json.loads(tonle.run("down", "--json").stdout)["stopped"] is True
    assert tonle.status()["state"] == "stopped"
    assert tonle.run("down").stdout.startswith("No stack runs on ")


def test_a_killed_supervisor_is_shown_as_crashed_and_down_cleans_up(tonle: Commands) -> None:
    shown = json.loads(tonle.run("up", "--servers-only", "--json").stdout)
    psutil.Process(shown["supervisor"]["pid"]).kill()
    psutil.wait_procs([psutil.Process(shown["supervisor"]["pid"])], timeout=10)
    assert tonle.status()["state"] == "crashed"
    assert json.loads(tonle.run("down", "--json").stdout)["stopped"] is True
    assert tonle.status()["state"] == "stopped"
    assert not any(str(tonle.home) in " ".join(each.info["cmdline"] or ()) for each in processes())


def test_a_port_that_makes_no_sense_is_answered_with_what_does(tonle: Commands) -> None:
    taken = tonle.run("up", "--servers-only", "--port", "kafka=nonsense")
    assert (taken.returncode, "NAME=PORT" in taken.stderr) == (2, True)
    unknown = tonle.run("up", "--servers-only", "--port", "kafak=9092")
    assert unknown.returncode == 1
    assert "error: There is no part called kafak." in unknown.stderr


def processes() -> Iterator[psutil.Process]:
    """Every process but this one and its pytest."""
    return (each for each in psutil.process_iter(["cmdline"]) if each.pid != os.getpid())
