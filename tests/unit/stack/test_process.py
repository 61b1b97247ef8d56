"""What stands between fork and exec of a child."""

import errno

import pytest

from tonle.stack import process
from tonle.stack.process import Confinement


class Kernel:
    """Refuses a user namespace as often as it is told."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals

    def unshare(self, _flags: int) -> int:
        self.refusals -= 1
        return -1 if self.refusals >= 0 else 0


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    monkeypatch.setattr("ctypes.get_errno", lambda: errno.ENOSPC)


def test_a_namespace_that_is_refused_for_a_moment_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(refusals=2)
    monkeypatch.setattr(process, "_libc", kernel)
    Confinement(namespace=True).enter()
    assert kernel.refusals == -1


def test_a_namespace_that_stays_refused_says_why(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(process, "_libc", Kernel(refusals=1000))
    with pytest.raises(OSError, match="unshare"):
        Confinement(namespace=True).enter()
    assert "No space left on device" in capfd.readouterr().err
