"""Commands that an error or a page tells to type are there."""

import re
from collections.abc import Iterator

import typer
from typer.core import TyperGroup

from tests.architecture import tree
from tonle import cli

# Followed by words of a sentence, only a sub-command's name is one.
NAMED = re.compile(r"\btonle ([a-z][a-z-]+)(?: ([a-z][a-z-]+))?")
PAGES = ("README.md", "docs/tutorial.md", "docs/runbooks/", "docs/partners")


def named() -> Iterator[tuple[str, str, str]]:
    """(file, command, the word after it) of each mention."""
    for path in [*tree.python("services", "tonle", "postbox"), *filter(is_page, tree.files())]:
        for command, word in NAMED.findall(tree.text(path)):
            yield path, command, word


def is_page(path: str) -> bool:
    return path.endswith(".md") and path.startswith(PAGES)


def test_every_command_that_is_named_exists() -> None:
    top = typer.main.get_command(cli.build([]))
    assert isinstance(top, TyperGroup)
    lost = []
    for path, command, word in named():
        found = top.commands.get(command)
        if found is None or (isinstance(found, TyperGroup) and word and word not in found.commands):
            lost.append(f"{path}: tonle {command} {word}")
    assert lost == []
