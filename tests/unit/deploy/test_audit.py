"""What an audit may say: nothing is without fault that nobody was asked about."""

from pathlib import Path

import pytest

from deploy import audit
from deploy.audit import NOT_CHECKED, Checked

SAID = {
    "dependencies": [
        {"name": "flawed", "version": "1.0", "vulns": [{"id": "PYSEC-2"}, {"id": "PYSEC-1"}]},
        {"name": "sound", "version": "2.0", "vulns": []},
        {"name": "unknown", "skip_reason": "Dependency not found on PyPI and could not be audited"},
    ]
}


def test_a_package_that_was_skipped_has_no_answer() -> None:
    assert audit.answers(SAID, "pypi") == {
        "flawed": Checked("flawed", "1.0", "PYSEC-1, PYSEC-2", "pypi"),
        "sound": Checked("sound", "2.0", "none", "pypi"),
    }
    assert audit.answers(None, "osv") == {}


def test_what_no_source_answered_for_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def ask(source: str, pins: dict[str, str]) -> object:
        asked.append((source, sorted(pins)))
        return SAID if source == "pypi" else None

    monkeypatch.setattr(audit, "ask", ask)
    lock = "".join(f"{name}==1.0 \\\n    --hash=sha256:aa\n" for name in ("flawed", "sound", "unknown"))
    found = {each.name: each.found for each in audit.packages(lock)}
    assert found == {"flawed": "PYSEC-1, PYSEC-2", "sound": "none", "unknown": NOT_CHECKED}
    assert asked == [("pypi", ["flawed", "sound", "unknown"]), ("osv", ["unknown"])]
    lines = audit.table([Checked(name, "1", what) for name, what in found.items()], [])
    assert "3 locked, 1 with known vulnerabilities, 1 without, 1 not checked" in lines[1]


def test_kafka_s_jars_are_not_checked() -> None:
    assert {each.found for each in audit.kafka_jars()} == {NOT_CHECKED}


def test_a_key_that_somebody_leaves_in_a_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "left.py").write_text('TOKEN = "AKIA' + "IOSFODNN7" + 'EXAMPLQ"\n')
    assert [line.partition(" ")[0] for line in audit.secrets(["left.py"], tmp_path)] == ["left.py:1"]
