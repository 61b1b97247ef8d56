"""What one image holds: its part of requirements.lock, and its part of the tree.

Runs in the build stage of `deploy/Dockerfile` on any Python 3.11 with pip; needs nothing else.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

SHARED = ("contracts", "postbox", "vault", "services/__init__.py", "services/py.typed")
BASE = "base"
OTHERS = {
    "simulators": ("contracts", "simulators"),
    "cli": (
        "contracts",
        "postbox/__init__.py",
        "postbox/broker.py",
        "tonle",
        "services/__init__.py",
        "services/*/__init__.py",
        "services/*/cli*.py",
    ),
}
"""What the images hold that are no service."""


def holds(service: str) -> tuple[str, ...]:
    """Patterns of the paths that the image of `service` holds: the shared packages and that one service."""
    return OTHERS.get(service) or (*SHARED, f"services/{service}")


def belongs(service: str, path: str) -> bool:
    """Whether the image of `service` holds a path of the tree."""
    relative = Path(path)
    return any(relative.match(pattern) or relative.is_relative_to(pattern) for pattern in holds(service))


def wanted(pyproject: str, service: str) -> list[str]:
    """The requirements of the base, and of the extra that is named like the service."""
    project = tomllib.loads(pyproject)["project"]
    extra = [] if service == BASE else project["optional-dependencies"][service]
    return [*project["dependencies"], *extra]


def entries(lock: str) -> dict[str, str]:
    """Each package's lines in requirements.lock, by its normalised name: the pin, its marker, its hashes."""
    blocks = re.findall(r"^[^\s#].*(?:\n[ \t]+\S.*)*", lock, re.MULTILINE)
    return {normalised(re.split(r"[=@\[ ;]", block, maxsplit=1)[0]): block for block in blocks}


def pins(lock: str) -> str:
    """The same pins without hashes: constraints for pip, which cannot resolve against hashed ones."""
    lines = (block.partition("\\")[0].strip() for block in entries(lock).values())
    return "\n".join(lines) + "\n"


def selected(lock: str, names: Iterable[str]) -> str:
    """The lines of requirements.lock for these packages. Raises `KeyError` for one that is not locked."""
    locked = entries(lock)
    return "\n".join(locked[name] for name in sorted({normalised(name) for name in names})) + "\n"


def normalised(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def install_packages(service: str, target: Path) -> None:
    """Put what the service needs into a virtual environment, each file with its locked hash.

    `base` is what every image needs: installed first, it is a layer that all of them share.
    """
    pyproject, lock = Path("pyproject.toml").read_text(), Path("requirements.lock").read_text()
    if not target.exists():
        _run(sys.executable, "-m", "venv", "--without-pip", str(target))
    with tempfile.TemporaryDirectory() as folder:
        constraints, chosen = Path(folder, "constraints.txt"), Path(folder, "chosen.txt")
        constraints.write_text(pins(lock))
        names = _resolve(wanted(pyproject, service), constraints, target)
        chosen.write_text(selected(lock, names))
        _pip(target, "install", "--no-deps", "--require-hashes", "--requirement", str(chosen))


def _resolve(requirements: Sequence[str], constraints: Path, target: Path) -> Collection[str]:
    """The names of all that must be installed for these requirements at the locked versions."""
    options = ("--dry-run", "--ignore-installed", "--only-binary=:all:", "--constraint", str(constraints))
    report = json.loads(_pip(target, "install", *options, "--report=-", *requirements))
    return [each["metadata"]["name"] for each in report["install"]]


def _pip(target: Path, *arguments: str) -> str:
    quiet = ("--quiet", "--no-input", "--no-cache-dir", "--disable-pip-version-check")
    return _run(sys.executable, "-m", "pip", "--python", str(target / "bin/python"), *arguments, *quiet)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def install_sources(service: str, tree: Path, target: Path) -> None:
    """Copy what the image holds, compiled beforehand: its file system is read-only later."""
    for pattern in holds(service):
        found = sorted(tree.glob(pattern))
        if not found:
            sys.exit(f"{service}: there is no {pattern}")
        for path in found:
            copy = target / path.relative_to(tree)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.copytree(path, copy, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(path, copy)
    _run(sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(target))


def main(arguments: Sequence[str]) -> None:
    """`install.py packages SERVICE|base VENV` or `install.py sources SERVICE TREE TARGET`."""
    match arguments:
        case ["packages", service, target]:
            install_packages(service, Path(target))
        case ["sources", service, tree, target]:
            install_sources(service, Path(tree), Path(target))
        case _:
            sys.exit(main.__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
