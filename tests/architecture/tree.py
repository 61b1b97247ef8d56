"""The repository as the rules see it: its files (tracked, or about to be) and their syntax."""

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("contracts", "postbox", "vault", "services", "simulators", "tonle")
SERVICES = ("registration", "eligibility", "payments", "notifications")


@cache
def files() -> tuple[str, ...]:
    """Every file that is, or would be, in a commit; as paths from the root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(path for path in sorted(set(listed.stdout.splitlines())) if (ROOT / path).is_file())


def python(*folders: str) -> list[str]:
    """The Python files below those folders; all of them without an argument."""
    return [
        path
        for path in files()
        if path.endswith(".py")
        and (not folders or path.startswith(tuple(f"{folder}/" for folder in folders)))
    ]


@cache
def syntax(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


@cache
def text(path: str) -> str:
    """A file's text; empty for what is not UTF-8."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""
