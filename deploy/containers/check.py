"""`make containers-check`: the Dockerfile, the compose file and testcontainers, seen to work.

Needs root and apt, and changes nothing of this machine but its packages and a cache folder: an engine is
started by hand in namespaces of its own, with images made here in place of those that cannot be pulled.
Exit codes: 0 passed, 1 failed, 77 cannot run here.
"""

import argparse
import fcntl
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from deploy.containers import composed, downloads, engine, images, sending
from deploy.containers.steps import CannotRun, StepFailed, run, step
from tonle.stack.errors import StackError

EXIT_CANNOT_RUN = 77
# These start stacks of their own on one machine, whatever the images are.
ALONE = ("stack/test_commands.py", "stack/test_first_start.py", "stack/test_supervisor.py", "benchmarks")
PROCESSES = "3"  # each with a Kafka and a PostgreSQL of its own; most of a test is waiting
TESTS = ("tests/integration", *(f"--ignore=tests/integration/{each}" for each in ALONE))


class Fetched(NamedTuple):
    """Where the base system and the contexts of the stand-in images are."""

    base: Path
    build: Path
    kafka: Path
    postgres: Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch what is missing, then do the rest in namespaces; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make containers-check", description=__doc__)
    parser.add_argument("--households", type=int, default=1_000)
    parser.add_argument("--tests", nargs="*", default=TESTS, help="what pytest runs on the images")
    parser.add_argument("--inside", type=Path, nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    try:
        if chosen.inside:
            return _inside(Fetched(*chosen.inside), chosen.households, chosen.tests)
        return _outside(sys.argv[1:] if arguments is None else arguments)
    except CannotRun as reason:
        print(f"did not run: {reason}")  # noqa: T201
        return EXIT_CANNOT_RUN
    except (StepFailed, StackError) as error:
        print(f"containers-check: failed\n{error}")  # noqa: T201
        return 1


def _outside(arguments: Sequence[str]) -> int:
    if os.geteuid() != 0:
        raise CannotRun("an engine can only be started by root")
    downloads.cache().mkdir(parents=True, exist_ok=True)
    with (downloads.cache() / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotRun("another check is running") from None
        downloads.debian_packages()
        fetched = Fetched(
            downloads.base_system(),
            downloads.build_context(),
            downloads.kafka_context(),
            downloads.postgres_context(),
        )
        command = (sys.executable, "-m", "deploy.containers.check", *arguments, "--inside")
        return engine.in_namespaces([*command, *map(str, fetched)])


def _inside(fetched: Fetched, households: int, tests: Sequence[str]) -> int:
    began = time.monotonic()
    secrets = downloads.cache() / "secrets"
    os.environ.update(images.settings(), TONLE_SECRETS_FOLDER=str(secrets))
    with engine.running(downloads.cache() / "engine"):
        compose = composed.command()
        images.import_base(fetched.base)
        images.build_stand_in(images.BUILD, fetched.build)
        images.build_stand_in(images.KAFKA, fetched.kafka)
        images.build_stand_in(images.POSTGRES, fetched.postgres)
        images.build_ours(compose)
        with composed.running(compose, secrets) as stack:
            sent = sending.send_households(stack, compose, households)
            composed.check_confinement(secrets)
        passed = _run_tests(tests)
    seconds = time.monotonic() - began
    print(f"containers-check: passed in {seconds:.0f} s: {sent}; on testcontainers: {passed}")  # noqa: T201
    return 0


def _run_tests(tests: Sequence[str]) -> str:
    with step("tests") as said:
        told = {"TONLE_TEST_STACK": "containers", "TESTCONTAINERS_RYUK_DISABLED": "true"}
        pytest = (sys.executable, "-m", "pytest", "--quiet", "-m", "not more", "-n", PROCESSES, *tests)
        said.append(run(*pytest, within=downloads.ROOT, told=told, shown=True).splitlines()[-1].strip("= "))
    return said[0]


if __name__ == "__main__":
    sys.exit(main())
