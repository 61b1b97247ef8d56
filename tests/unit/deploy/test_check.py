"""Where the check of the containers cannot run, it says why and ends with a code of its own."""

import os
import shutil

import pytest

from deploy.containers import check, downloads
from deploy.containers.steps import CannotRun, StepFailed, run, step


def test_a_user_who_is_not_root_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    assert check.main([]) == check.EXIT_CANNOT_RUN == 77
    assert capsys.readouterr().out == "did not run: an engine can only be started by root\n"


def test_a_machine_without_apt_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _command: None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CannotRun, match=r"debootstrap, docker-compose, docker\.io, iproute2"):
        downloads.debian_packages()


def test_what_takes_minutes_is_shown_as_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("echo", "27%", shown=True) == "27%"
    assert capsys.readouterr().out == "27%\n"


def test_a_step_that_fails_is_named_with_what_its_command_said_last() -> None:
    with pytest.raises(StepFailed, match=r"(?s)^images: .*ended with 3:.*no such image"), step("images"):
        run("sh", "-c", "echo no such image; exit 3")
