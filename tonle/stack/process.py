"""Child processes that die with their parent, and pids that are checked before anything is ended."""

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tonle.stack.errors import StackError

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
_UNSHARE_TRIES = 20
_LOG_BYTES_MAX = 16 * 1024 * 1024
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Identity:
    """One process for ever: a pid is used again, a pid with its start time and command line is not."""

    pid: int
    started: float
    command: tuple[str, ...]

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """The process that has this pid now; None when there is none."""
        try:
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            return cls(pid, process.create_time(), tuple(process.cmdline()))
        except psutil.Error:
            return None

    def alive(self) -> bool:
        """Whether this very process runs: same pid, same start within a second, same command line."""
        now = self.of(self.pid)
        return now is not None and abs(now.started - self.started) < 1 and now.command == self.command


@dataclass(frozen=True)
class Confinement:
    """How a child runs when the parent is root and the program refuses root (PostgreSQL does).

    `namespace`: in a user namespace without a mapping, where root is nobody but still owns its files.
    `uid`: as this unprivileged user. Neither: as the parent's own user.
    """

    namespace: bool = False
    uid: int | None = None

    def enter(self) -> None:
        """Called in the child between fork and exec."""
        if self.namespace:
            _unshare()
        if self.uid is not None:
            os.setgroups([])
            os.setgid(self.uid)
            os.setuid(self.uid)


def _unshare() -> None:
    # Seen to be refused once in some thousand starts, and granted a moment later.
    for _ in range(_UNSHARE_TRIES):
        if _libc.unshare(_CLONE_NEWUSER) == 0:
            return
        error = ctypes.get_errno()
        time.sleep(0.05)
    # What is raised between fork and exec reaches the parent without its text.
    os.write(2, f"unshare(CLONE_NEWUSER): {os.strerror(error)}\n".encode())
    raise OSError(error, "unshare(CLONE_NEWUSER)")


def before_exec(
    death_signal: signal.Signals, confinement: Confinement, niceness: int = 0
) -> Callable[[], None]:
    """A `preexec_fn`: be patient, nice and confined; let the kernel signal the child when its parent ends."""
    parent = os.getpid()

    def prepare() -> None:
        # Who wakes up interrupts nobody: each keeps its core, and what lies in its cache, a little longer.
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        if niceness:
            _yield_to_others(niceness)
        confinement.enter()  # first: a change of credentials clears the death signal
        _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def _yield_to_others(niceness: int) -> None:
    os.nice(niceness)
    # Where Linux groups processes by session, niceness counts within one alone, and its group has its own.
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(niceness))


@dataclass
class Child:
    """A running child, its log, and how it is asked to stop."""

    name: str
    process: asyncio.subprocess.Process
    identity: Identity
    log: Path
    stop_signal: signal.Signals

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def exited(self) -> bool:
        """Whether the process has ended."""
        return self.process.returncode is not None

    async def stop(self, grace_s: float) -> None:
        """Ask to stop, wait `grace_s`, then kill."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(self.stop_signal)
        try:
            await asyncio.wait_for(self.process.wait(), grace_s)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


async def spawn(
    name: str,
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
    confinement: Confinement | None = None,
    niceness: int = 0,
) -> Child:
    """Start a child in a session of its own, its output appended to `log`; 19 is the nicest.

    `env` is added to the parent's. Raises `StackError` when it cannot be started.
    """
    _rotate(log)
    try:
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *map(str, command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
                preexec_fn=before_exec(stop_signal, confinement or Confinement(), niceness),
            )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise StackError(f"{name} could not be started: {error}.", f"See {log}.") from error
    identity = Identity.of(process.pid) or Identity(process.pid, 0.0, ())
    return Child(name, process, identity, log, stop_signal)


def _rotate(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LOG_BYTES_MAX:
        log.replace(log.with_suffix(".1.log"))


async def end_stale(identity: Identity, stop_signal: signal.Signals, grace_s: float) -> bool:
    """End a process that an earlier, crashed supervisor left; True when there was one.

    Only the very process that was recorded is touched: one that merely has its pid is left alone.
    """
    if not identity.alive():
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(identity.pid, stop_signal)
    if not await ended(identity, grace_s):
        with contextlib.suppress(ProcessLookupError):
            os.kill(identity.pid, signal.SIGKILL)
        await ended(identity, grace_s)
    return True


async def ended(identity: Identity, patience_s: float) -> bool:
    """Wait until a process (not necessarily a child of ours) has ended; False when it has not in time."""
    deadline = time.monotonic() + patience_s
    while identity.alive():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


def free_port(preferred: int | None = None) -> int:
    """A free loopback port, `preferred` when it is free."""
    if preferred and port_is_free(preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def owns(pid: int | None, port: int) -> bool:
    """Whether it is this process of ours that listens on the port, not one that took its place."""
    try:
        found = psutil.Process(pid).net_connections("tcp") if pid else []
    except psutil.Error:
        return False
    return any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in found)


async def listens(host: str, port: int) -> bool:
    """Whether a server accepts connections there now."""
    try:
        _reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


def tail(log: Path, lines: int = 8) -> str:
    """The last lines of a log, for a message; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.strip().splitlines()[-lines:])
