"""The composed stack: up, what its containers may do, and down to nothing."""

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NotRequired, TypedDict

from deploy.containers.downloads import ROOT
from deploy.containers.steps import StepFailed, run, step
from tonle.stack import containers
from tonle.stack.errors import StackError
from tonle.stack.process import Identity
from tonle.stack.secrets import Secrets
from tonle.stack.state import KafkaPart, PostgresPart, StackState, WebPart


class Health(TypedDict):
    """What a container's health check found, and each time what it said."""

    Status: str
    Log: list[dict[str, str]] | None


class State(TypedDict):
    """As much of a container's state as matters here; `Health` is missing without a health check."""

    Status: str
    ExitCode: int
    Health: NotRequired[Health]


class Mount(TypedDict):
    """Where something else lies in a container, and whether it can be written to."""

    Destination: str
    RW: bool


class Inspected(TypedDict):
    """As much as is used of what `docker inspect` says of a container."""

    Name: str
    State: State
    RestartCount: int
    HostConfig: dict[str, object]
    Config: dict[str, object]
    Mounts: list[Mount]


PROJECT = "tonle-check"
OURS = ("--filter", f"label=com.docker.compose.project={PROJECT}")
HEALTHY_S_MAX = 600
SECRETS = "/run/secrets/"
PLAIN = {".password", ".token", ".secret", ".key"}
"""What the files are named that hold a secret as it is spoken."""
PORTS = {"registration": 8001, "eligibility": 8002, "payments": 8003, "notifications": 8004}
OUTSIDE = {"gateway": 8011, "partner-wing": 8012, "partner-truemoney": 8013, "partner-acleda": 8014}


def command() -> tuple[str, ...]:
    """How compose is called here: the plugin where there is one, else the program of Debian 12."""
    try:
        run("docker", "compose", "version")
    except StepFailed:
        program: tuple[str, ...] = ("docker-compose",)
    else:
        program = ("docker", "compose")
    file = ("--file", str(ROOT / "docker-compose.yml"))
    return (*program, "--project-name", PROJECT, *file, "--profile", "http-partner")


@contextmanager
def running(compose: Sequence[str], secrets: Path) -> Iterator[StackState]:
    """The whole stack, healthy; afterwards its containers, network, volumes and secrets are removed."""
    shutil.rmtree(secrets, ignore_errors=True)
    run(*compose, "down", "--volumes", "--remove-orphans")
    try:
        with step("up") as said:
            containers.write_secrets(secrets, secrets.with_suffix(".env"))
            run(*compose, "up", "--detach", "--no-build")
            said.append(f"{_wait_until_healthy()} containers healthy")
        yield _addresses(Secrets(secrets))
    except (StepFailed, StackError) as error:
        raise StepFailed(f"{error}\n{run(*compose, 'logs', '--tail', '15')[-6000:]}") from None
    finally:
        with step("down") as said:
            run(*compose, "down", "--volumes", "--timeout", "1")
            said.append(_nothing_is_left())
        shutil.rmtree(secrets)


def _wait_until_healthy() -> int:
    """How many containers there are, once each is healthy and the one that ends has ended well."""
    deadline = time.monotonic() + HEALTHY_S_MAX
    while True:
        found = {each["Name"].lstrip("/"): each["State"] for each in _containers()}
        failed = [name for name, state in found.items() if state["Status"] == "exited" and state["ExitCode"]]
        waiting = [f"{name} {_last_words(state)}" for name, state in found.items() if not _is_well(state)]
        if not waiting:
            return len(found)
        if failed or time.monotonic() > deadline:
            raise StepFailed(f"not healthy: {', '.join(failed or waiting)}")
        time.sleep(1)


def _is_well(state: State) -> bool:
    if "Health" in state:
        return state["Health"]["Status"] == "healthy"
    return state["Status"] == "exited" and state["ExitCode"] == 0


def _last_words(state: State) -> str:
    """What the health check said last, such as the last line of a traceback."""
    said = [each["Output"].strip() for each in state["Health"]["Log"] or ()] if "Health" in state else []
    return said[-1].rpartition("\n")[2] if said else state["Status"]


def _nothing_is_left() -> str:
    kinds = {"containers": ("ps", "--all"), "volumes": ("volume", "ls"), "networks": ("network", "ls")}
    left = {kind: run("docker", *listing, "--quiet", *OURS) for kind, listing in kinds.items()}
    if any(left.values()):
        raise StepFailed(f"left behind: {left}")
    return f"no {', '.join(kinds)} left"


def _containers() -> list[Inspected]:
    names = run("docker", "ps", "--all", "--quiet", *OURS)
    found: list[Inspected] = json.loads(run("docker", "inspect", *names.split()))
    return found


def _addresses(made: Secrets) -> StackState:
    """The composed stack as those see it who speak HTTP; nothing else of it can be reached."""

    def parts(ports: Mapping[str, int]) -> dict[str, WebPart]:
        return {
            name: WebPart(port=port, log=Path(), url=f"http://127.0.0.1:{port}")
            for name, port in ports.items()
        }

    return StackState(
        state="running",
        data_dir=made.folder,
        topic_prefix="",
        partitions=4,
        supervisor=Identity(os.getpid(), 0.0, ()),
        kafka=KafkaPart(port=9092, log=Path(), bootstrap="kafka:9092"),
        postgres=PostgresPart(port=5432, log=Path(), dsn={}),
        services=parts(PORTS),
        simulators=parts(OUTSIDE),
        tokens={"admin": made.admin_token},
    )


def check_confinement(secrets: Path) -> None:
    """Every container is confined, has its secrets as files alone, and was never started again."""
    values = [path.read_text().strip() for path in secrets.iterdir() if path.suffix in PLAIN]
    with step("confinement") as said:
        found = _containers()
        if wrong := [f"{each['Name']} {flaw}" for each in found for flaw in flaws(each, values)]:
            raise StepFailed("; ".join(wrong))
        said.append(f"{len(found)} containers: not root, read-only, no capabilities, secrets as files")


def flaws(container: Inspected, secrets: Sequence[str]) -> Iterator[str]:
    """What a container may do and should not; `secrets` are texts it may not be told."""
    host, told = container["HostConfig"], container["Config"]
    if str(told["User"]).partition(":")[0] in ("", "0", "root"):
        yield "runs as root"
    if not host["ReadonlyRootfs"]:
        yield "can write to its root"
    if (host["CapDrop"], host["SecurityOpt"]) != (["ALL"], ["no-new-privileges:true"]):
        yield "can do too much"
    if any(secret in json.dumps(told) for secret in secrets):
        yield "is told a secret in a variable or its command"
    if any(mount["RW"] for mount in container["Mounts"] if mount["Destination"].startswith(SECRETS)):
        yield "can write to its secrets"
    if container["RestartCount"]:
        yield f"was started again {container['RestartCount']} times"
