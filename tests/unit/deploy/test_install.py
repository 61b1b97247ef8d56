"""What goes into an image: the locked packages of one service, and its part of the tree."""

from pathlib import Path

import pytest

from deploy import install

PYPROJECT = """
[project]
dependencies = ["asyncpg>=0.31", "uvloop>=0.21; sys_platform != 'win32'"]
[project.optional-dependencies]
payments = ["joserfc>=1.4"]
cli = ["rich>=14"]
"""
LOCK = r"""# This file was written by a machine
asyncpg==0.32.0 \
    --hash=sha256:aa \
    --hash=sha256:bb
joserfc==1.6.0 \
    --hash=sha256:cc
Typing_Extensions==4.15.0 \
    --hash=sha256:dd
uvloop==0.23.0 ; sys_platform != 'win32' \
    --hash=sha256:ee
"""


def test_an_image_wants_the_base_and_its_own_extra_alone() -> None:
    assert install.wanted(PYPROJECT, "payments") == [
        "asyncpg>=0.31",
        "uvloop>=0.21; sys_platform != 'win32'",
        "joserfc>=1.4",
    ]
    assert install.wanted(PYPROJECT, "base") == ["asyncpg>=0.31", "uvloop>=0.21; sys_platform != 'win32'"]


def test_the_constraints_are_the_locked_pins_without_their_hashes() -> None:
    assert install.pins(LOCK).splitlines() == [
        "asyncpg==0.32.0",
        "joserfc==1.6.0",
        "Typing_Extensions==4.15.0",
        "uvloop==0.23.0 ; sys_platform != 'win32'",
    ]


def test_what_is_selected_keeps_its_hashes() -> None:
    assert install.selected(LOCK, ["typing-extensions", "Asyncpg"]) == (
        "asyncpg==0.32.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
        "Typing_Extensions==4.15.0 \\\n    --hash=sha256:dd\n"
    )


def test_a_package_that_is_not_locked_is_not_installed() -> None:
    with pytest.raises(KeyError, match="left-pad"):
        install.selected(LOCK, ["left-pad"])


def tree_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.py"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for package in ("contracts", "postbox", "vault", "services", "simulators", "tonle"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "postbox/broker.py").touch()
    (tmp_path / "services/py.typed").touch()
    for service in ("payments", "eligibility"):
        (tmp_path / "services" / service).mkdir()
        for name in ("__init__.py", "app.py", "cli.py"):
            (tmp_path / "services" / service / name).touch()
    return tmp_path


def test_an_image_holds_the_shared_packages_and_one_service(tree: Path, tmp_path: Path) -> None:
    target = tmp_path / "app"
    install.install_sources("payments", tree, target)
    assert tree_of(target) == [
        "contracts/__init__.py",
        "postbox/__init__.py",
        "postbox/broker.py",
        "services/__init__.py",
        "services/payments/__init__.py",
        "services/payments/app.py",
        "services/payments/cli.py",
        "vault/__init__.py",
    ]


def test_the_command_line_holds_of_the_services_only_their_commands(tree: Path, tmp_path: Path) -> None:
    target = tmp_path / "app"
    install.install_sources("cli", tree, target)
    assert [path for path in tree_of(target) if path.startswith("services")] == [
        "services/__init__.py",
        "services/eligibility/__init__.py",
        "services/eligibility/cli.py",
        "services/payments/__init__.py",
        "services/payments/cli.py",
    ]


def test_a_service_that_is_not_there_ends_the_build(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="console: there is no services/console"):
        install.install_sources("console", tree, tmp_path / "app")
