"""`make audit`: known vulnerabilities of what is locked, and secrets in the repository.

What no advisory source answered for is *not checked*, never *none*. Exit codes: 0; 1 when a secret is found.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from detect_secrets.core import baseline
from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import configure_settings_from_baseline

from deploy import install
from tonle.stack import jars

ROOT = Path(__file__).parents[1]
BASELINE = ROOT / ".secrets.baseline"
SOURCES = ("pypi", "osv")
ANSWER_S_MAX = 300
NOT_CHECKED = "not checked"


@dataclass(frozen=True)
class Checked:
    """A locked package or jar: `none`, `not checked`, or the names of its advisories; and who said so."""

    name: str
    version: str
    found: str
    source: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was found; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make audit", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    chosen = parser.parse_args(arguments)
    checked = [*packages((ROOT / "requirements.lock").read_text()), *kafka_jars()]
    found = secrets(tracked())
    counts = dict(Counter(each.found if each.found in ("none", NOT_CHECKED) else "known" for each in checked))
    if chosen.json:
        said = {"counts": counts, "checked": [asdict(each) for each in checked], "secrets": found}
        print(json.dumps(said))  # noqa: T201
    else:
        print("\n".join(table(checked, found)))  # noqa: T201
    return 1 if found else 0


def packages(lock: str) -> list[Checked]:
    """Each locked Python package, by the first source that answers for it."""
    pins = dict(line.partition(";")[0].strip().split("==") for line in install.pins(lock).splitlines())
    known: dict[str, Checked] = {}
    for source in SOURCES:
        left = {name: version for name, version in pins.items() if name not in known}
        known |= answers(ask(source, left), source) if left else {}
    return [known.get(name, Checked(name, version, NOT_CHECKED)) for name, version in sorted(pins.items())]


def ask(source: str, pins: Mapping[str, str]) -> object:
    """What pip-audit says of these pins by one source; None where that source can't be reached."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("".join(f"{name}=={version}\n" for name, version in pins.items()))
        file.flush()
        options = ("--disable-pip", "--no-deps", "--progress-spinner", "off", "--format", "json")
        command = (sys.executable, "-m", "pip_audit", "-s", source, "-r", file.name, *options)
        try:
            answer = subprocess.run(command, capture_output=True, check=False, timeout=ANSWER_S_MAX)
            return json.loads(answer.stdout)
        except (subprocess.TimeoutExpired, ValueError):
            return None


def answers(said: object, source: str) -> dict[str, Checked]:
    """Of pip-audit's answer what is one: a package that it skipped was not looked up."""
    listed = said.get("dependencies", []) if isinstance(said, dict) else []
    return {
        each["name"]: Checked(
            each["name"],
            each["version"],
            ", ".join(sorted(flaw["id"] for flaw in each["vulns"])) or "none",
            source,
        )
        for each in listed
        if "vulns" in each
    }


def kafka_jars() -> list[Checked]:
    """Kafka's jars: no source of advisories for Maven is asked, so none of them is checked."""
    parts = [name.rsplit(":", 1) for name in jars.read_lock()]
    return [Checked(name, version, NOT_CHECKED) for name, version in parts]


def tracked() -> list[str]:
    """The files of the repository."""
    listed = subprocess.run(("git", "ls-files", "-z"), cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def secrets(files: Sequence[str], root: Path = ROOT) -> list[str]:
    """`file:line kind` of what looks like a secret and is not in the baseline.

    After a look at each: `.venv/bin/detect-secrets scan --no-verify --baseline .secrets.baseline`.
    """
    accepted = json.loads(BASELINE.read_text())
    configure_settings_from_baseline(accepted)
    known = baseline.load(accepted)
    found = SecretsCollection()
    with contextlib.chdir(root):  # the baseline's names are the repository's
        for file in files:
            found.scan_file(file)
    new = found - known
    return [f"{file}:{secret.line_number} {secret.type}" for file, secret in new]


def table(checked: Sequence[Checked], found: Sequence[str]) -> list[str]:
    """For people: a line per advisory and per secret, then how many were not checked."""
    known = [each for each in checked if each.found not in ("none", NOT_CHECKED)]
    lines = [f"{each.name} {each.version}: {each.found} ({each.source})" for each in known]
    lines += [f"{each}: looks like a secret" for each in found]
    for what, some in (
        ("Python packages", [each for each in checked if ":" not in each.name]),
        ("Kafka's jars", [each for each in checked if ":" in each.name]),
    ):
        missing = sum(each.found == NOT_CHECKED for each in some)
        flawed = sum(each in known for each in some)
        lines.append(
            f"{what}: {len(some)} locked, {flawed} with known vulnerabilities, "
            f"{len(some) - missing - flawed} without, {missing} not checked"
        )
    lines.append(f"secrets in the repository: {len(found) or 'none'}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
