"""How the check speaks: one line a step with its seconds, and an error that says what to do."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

LINES_SHOWN = 30


class CannotRun(Exception):
    """This machine lacks what the check needs; the text says what."""


class StepFailed(Exception):
    """A step ended badly; the text holds what it said last."""


@contextmanager
def step(name: str) -> Iterator[list[str]]:
    """`with step("engine") as said: said.append("overlay2")` prints `engine  overlay2  2.1 s`."""
    said: list[str] = []
    began = time.monotonic()
    try:
        yield said
    except (StepFailed, CannotRun) as error:
        raise type(error)(f"{name}: {error}") from None
    print(f"  {name:<21}{', '.join(said):<76}{time.monotonic() - began:7.1f} s", flush=True)  # noqa: T201


def run(
    *command: str | Path,
    within: Path | None = None,
    told: Mapping[str, str] | None = None,
    given: Path | None = None,
) -> str:
    """Run to the end and return what it printed; `given` is its standard input. Raises `StepFailed`."""
    words = [str(word) for word in command]
    with (given or Path(os.devnull)).open("rb") as source:
        done = subprocess.run(
            words,
            cwd=within,
            env={**os.environ, **(told or {})},
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        last = "\n".join(done.stdout.splitlines()[-LINES_SHOWN:])
        raise StepFailed(f"`{' '.join(words)[:200]}` ended with {done.returncode}:\n{last}")
    return done.stdout.strip()


def megabytes(path: Path) -> str:
    """The size of a file or folder, for a person."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return f"{sum(each.lstat().st_size for each in files) / 1e6:,.0f} MB"
