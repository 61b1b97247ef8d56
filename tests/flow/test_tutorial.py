"""The tutorial works word for word: its blocks run as they stand, in one session, in a fresh clone."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.architecture import tree

pytestmark = [pytest.mark.more, pytest.mark.timeout(1800)]

PAGE = "docs/tutorial.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
MARK = "@@ block"
WORD = re.compile(r"[\w-]+")


class Block(NamedTuple):
    """What the page tells to type, and what it says is seen."""

    typed: str
    shown: str


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clone of what is committed; its stack is stopped at the end, however far the tutorial came."""
    folder = tmp_path_factory.mktemp("tutorial") / "tonle"
    subprocess.run(["git", "clone", "--quiet", tree.ROOT, folder], check=True)
    yield folder
    if (folder / ".venv/bin/tonle").exists():
        subprocess.run([".venv/bin/tonle", "down"], cwd=folder, env=environment(), check=True)


@pytest.fixture(scope="module")
def blocks() -> list[Block]:
    return [Block(*found) for found in BLOCK.findall(tree.text(PAGE))]


@pytest.fixture(scope="module")
def outputs(clone: Path, blocks: list[Block]) -> list[str]:
    """What each block said; the last is the one that failed, where one did."""
    script = "set -e\n" + "".join(f"echo '{MARK}'\n{block.typed}" for block in blocks)
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=clone,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    said = ran.stdout.split(f"{MARK}\n")[1:]
    assert ran.returncode == 0, f"{blocks[len(said) - 1].typed}\n{said[-1]}"
    return said


def environment() -> dict[str, str]:
    """This one, without what a newcomer has not set."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TONLE_") and name != "VIRTUAL_ENV"
    }


def words(text: str) -> set[str]:
    """All words without digits; a column is called the same on a terminal (`last error`) as in a pipe."""
    return {word for word in WORD.findall(text.replace("_", " ")) if not re.search(r"\d", word)}


def test_every_block_of_the_tutorial_runs_and_says_what_the_page_shows(
    outputs: list[str], blocks: list[Block]
) -> None:
    assert len(outputs) == len(blocks) > 15
    missing = {
        block.typed: sorted(words(block.shown) - words(said))
        for block, said in zip(blocks, outputs, strict=True)
    }
    assert {typed: lost for typed, lost in missing.items() if lost} == {}
