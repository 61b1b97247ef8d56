"""What must not stand in any file, and links that must lead somewhere."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

import pytest

from tests.architecture import tree

PUBLIC_REGISTRIES = ("pypi" + ".org", "python" + "hosted.org", "maven" + ".org", "npm" + "js.org")
HOMES = re.compile(r"(?<![\w.$}])/(root|home/\w+|Users/\w+)(/|\b)")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def registry_hosts() -> set[str]:
    """The public registries, and whatever this machine is told to use instead."""
    told = " ".join(value for name, value in os.environ.items() if re.match("(PIP|UV|NPM|MAVEN|JGO)_", name))
    for place in ("pip/pip.conf", "uv/uv.toml"):
        for folder in (Path("/etc"), Path.home() / ".config"):
            if (folder / place).is_file():
                told += (folder / place).read_text()
    urls = re.findall(r"https?://[^\s\"']+", told)
    return {*PUBLIC_REGISTRIES, *(host for host in (urlparse(url).hostname for url in urls) if host)}


def lines_with(found: "re.Pattern[str]") -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:120]}"
        for path in tree.files()
        if found.search(tree.text(path))
        for number, line in enumerate(tree.text(path).splitlines(), 1)
        if found.search(line)
    ]


def test_no_registry_is_named() -> None:
    hosts = registry_hosts() - {"localhost", "127.0.0.1"}
    assert lines_with(re.compile("|".join(re.escape(host) for host in sorted(hosts)))) == []


def test_no_path_of_a_machine_is_named() -> None:
    here = {str(folder) for folder in (tree.ROOT, Path.home()) if len(folder.parts) > 2}
    assert lines_with(re.compile("|".join([HOMES.pattern, *map(re.escape, sorted(here))]))) == []


def test_shared_data_is_named_in_one_place_only() -> None:
    named = [
        line for line in lines_with(re.compile(r"shared/" + "data")) if line.split(":")[0].endswith(".py")
    ]
    assert [line.split(":")[0] for line in named] in ([], ["tests/conftest.py"])


def links(path: str) -> Iterator[str]:
    for link, image in LINK.findall(CODE.sub("", tree.text(path))):
        yield link or image


def anchors(path: str) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ +(.+)$", tree.text(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", [path for path in tree.files() if path.endswith(".md")])
def test_every_link_of_a_page_leads_somewhere(path: str) -> None:
    lost = []
    for link in links(path):
        if re.match(r"(https?|mailto):", link):
            continue
        file, _, anchor = link.partition("#")
        target = (tree.ROOT / path).parent / file if file else tree.ROOT / path
        if not leads_somewhere(target.resolve(), anchor):
            lost.append(link)
    assert lost == []


def leads_somewhere(target: Path, anchor: str) -> bool:
    if not target.is_relative_to(tree.ROOT) or not target.exists():
        return False
    return not anchor or anchor in anchors(str(target.relative_to(tree.ROOT)))
