"""How the check speaks: one line a step with its seconds, and an error that says what to do."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

LINES_SHOWN = 30
CHUNK_BYTES = 65_536


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
    shown: bool = False,
) -> str:
    """Run to the end and return what it printed, shown as it comes if asked for. Raises `StepFailed`.

    `given` is its standard input, `told` are further variables.
    """
    words, printed = [str(word) for word in command], bytearray()
    environment = {**os.environ, **(told or {})}
    with (given or Path(os.devnull)).open("rb") as source:
        started = subprocess.Popen(
            words, cwd=within, env=environment, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    with started:
        assert started.stdout is not None
        while part := os.read(started.stdout.fileno(), CHUNK_BYTES):
            printed += part
            if shown:
                print(part.decode(errors="replace"), end="", flush=True)  # noqa: T201
    text = printed.decode(errors="replace").strip()
    if started.returncode != 0:
        last = "see above" if shown else "\n".join(text.splitlines()[-LINES_SHOWN:])
        raise StepFailed(f"`{' '.join(words)[:200]}` ended with {started.returncode}:\n{last}")
    return text


def megabytes(path: Path) -> str:
    """The size of a file or folder, for a person."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return f"{sum(each.lstat().st_size for each in files) / 1e6:,.0f} MB"
