"""A Docker engine started by hand, in namespaces of its own: it changes no address, rule or mount outside.

There is no network in there but loopback and the engine's own bridges, so images are built offline.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.containers.steps import StepFailed, run, step

READY_S_MAX = 60
STOP_S_MAX = 60


def in_namespaces(command: Sequence[str | Path]) -> int:
    """Run a command as the first process of new namespaces; all in there ends with it, and it with us."""
    apart = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    return subprocess.run(["setpriv", "--pdeathsig", "KILL", *apart, *command], check=False).returncode


@contextmanager
def running(data: Path) -> Iterator[None]:
    """An engine that keeps its images in `data`; DOCKER_HOST names it meanwhile. Raises `StepFailed`."""
    run("ip", "link", "set", "lo", "up")
    run("mount", "-t", "tmpfs", "tmpfs", "/run")  # its sockets and processes' files go with the namespace
    os.environ["DOCKER_HOST"] = "unix:///run/docker.sock"
    with step("engine") as said, (data.parent / "dockerd.log").open("wb") as log:
        server = subprocess.Popen(["dockerd", "--data-root", data], stdout=log, stderr=subprocess.STDOUT)
        said.append(_wait_until_it_answers(server, Path(log.name)))
    try:
        yield
    finally:
        server.terminate()
        server.wait(STOP_S_MAX)


def _wait_until_it_answers(server: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + READY_S_MAX
    while True:
        try:
            return run("docker", "info", "--format", "Docker {{.ServerVersion}}, {{.Driver}}")
        except StepFailed:
            if server.poll() is not None or time.monotonic() > deadline:
                last = "\n".join(log.read_text().splitlines()[-5:])
                raise StepFailed(f"dockerd does not answer:\n{last}") from None
            time.sleep(0.2)
