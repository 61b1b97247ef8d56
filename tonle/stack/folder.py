"""One stack's data folder: who owns it now, whether it has room, which ports its parts use."""

import fcntl
import json
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from tonle.stack import process, state
from tonle.stack.errors import StackError

FREE_MB_MIN = 1024
LEFTOVER_S_MAX = 30


def claim(data_dir: Path) -> IO[str]:
    """Make the folder (mode 0700) and lock it for as long as the returned file is open.

    Raises `StackError` when it cannot be written, has no room, or a stack runs on it already.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        data_dir.chmod(0o700)
        lock = (data_dir / ".lock").open("a")
    except OSError as error:
        raise trouble(data_dir, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise StackError(
            f"A stack is running on {data_dir} already.",
            "See it with `tonle status`, stop it with `tonle down`, or choose another --data-dir.",
        ) from error
    try:
        _check_room(data_dir)
    except StackError:
        lock.close()
        raise
    return lock


def refuse_new_master_key(data_dir: Path) -> None:
    """Raise `StackError` where there is data, and the key that alone opens its persons is gone."""
    key = data_dir / "secrets" / "master.key"
    if (data_dir / "postgres" / "PG_VERSION").exists() and not key.exists():
        raise StackError(
            f"{key} is missing: it alone opens the persons in {data_dir}.",
            "Put it back from your backup, or choose another folder with --data-dir or TONLE_HOME.",
        )


def trouble(data_dir: Path, error: OSError) -> StackError:
    """What to say when the folder, or something in it, cannot be written."""
    return StackError(
        f"The data folder {data_dir} cannot be written: {error.strerror or type(error).__name__}.",
        "Give yourself the right to write there, or free some space, "
        "or choose another with --data-dir or TONLE_HOME.",
    )


def _check_room(data_dir: Path) -> None:
    free_mb = shutil.disk_usage(data_dir).free // (1024 * 1024)
    if free_mb < FREE_MB_MIN:
        raise StackError(
            f"Only {free_mb} MB are free on the disk of {data_dir}; a stack needs at least {FREE_MB_MIN} MB.",
            "Free some space, or choose a folder on another disk with --data-dir or TONLE_HOME.",
        )


async def end_leftovers(previous: state.StackState) -> list[str]:
    """End what a crashed supervisor left running, programs first; returns the names of what was ended."""
    ended = []
    for name, part in reversed(previous.parts().items()):
        stop_signal = signal.SIGINT if name == "postgres" else signal.SIGTERM
        identity = part.identity
        if identity is not None and await process.end_stale(identity, stop_signal, LEFTOVER_S_MAX):
            ended.append(name)
    return ended


def choose_ports(data_dir: Path, names: Sequence[str], fixed: Mapping[str, int]) -> dict[str, int]:
    """A free loopback port per name: the fixed one, else last time's when still free, else any.

    Raises `StackError` when a fixed one is taken or its name is unknown.
    """
    unknown = sorted(set(fixed) - set(names))
    if unknown:
        raise StackError(f"There is no part called {unknown[0]}.", f"Parts are: {', '.join(names)}.")
    memory = data_dir / "ports.json"
    remembered: dict[str, int] = json.loads(memory.read_text()) if memory.exists() else {}
    chosen: dict[str, int] = {}
    for name in names:
        port = fixed.get(name)
        if port is not None and not process.port_is_free(port):
            raise StackError(
                f"Port {port}, asked for {name}, is taken by another program.",
                f"Stop that program, or leave out `--port {name}={port}`: a free port is chosen then.",
            )
        port = port or process.free_port(remembered.get(name))
        while port in chosen.values():
            port = process.free_port()
        chosen[name] = port
    _remember(memory, chosen)
    return chosen


def _remember(memory: Path, ports: Mapping[str, int]) -> None:
    draft = memory.with_name(f".{memory.name}.{os.getpid()}")
    draft.write_text(json.dumps(ports, indent=1))
    draft.replace(memory)
