"""The composed stack: up, 1,000 households through it, and what its containers may do."""

import asyncio
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NotRequired, TypedDict

import httpx

from deploy.containers.downloads import ROOT
from deploy.containers.steps import StepFailed, run, step
from tonle import generate
from tonle.demo_acts import Acts, Terms
from tonle.hops import Counted, at_rest, sums
from tonle.stack import containers
from tonle.stack.process import Identity
from tonle.stack.secrets import Secrets
from tonle.stack.state import KafkaPart, PostgresPart, StackState, WebPart
from tonle.stack.topics import SERVICES


class Health(TypedDict):
    """What a container's health check found, and each time what it said."""

    Status: str
    Log: list[dict[str, str]] | None


class State(TypedDict):
    """As much of a container's state as matters here; `Health` is missing without a health check."""

    Status: str
    ExitCode: int
    Health: NotRequired[Health]


class Inspected(TypedDict):
    """As much as is used of what `docker inspect` says of a container."""

    Name: str
    State: State
    HostConfig: dict[str, object]
    Config: dict[str, str | list[str]]


PROJECT = "tonle-check"
HEALTHY_S_MAX = 600
AT_REST_S_MAX = 600
RIEL_PER_HOUSEHOLD = 1_000_000
PORTS = {"registration": 8001, "eligibility": 8002, "payments": 8003, "notifications": 8004}
OUTSIDE = {"gateway": 8011, "partner-wing": 8012}


def command() -> tuple[str, ...]:
    """How compose is called here: the plugin where there is one, else the program of Debian 12."""
    try:
        run("docker", "compose", "version")
    except StepFailed:
        program: tuple[str, ...] = ("docker-compose",)
    else:
        program = ("docker", "compose")
    return (*program, "--project-name", PROJECT, "--file", str(ROOT / "docker-compose.yml"))


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
    except StepFailed as error:
        raise StepFailed(f"{error}\n{run(*compose, 'logs', '--tail', '15')[-6000:]}") from None
    finally:
        with step("down"):
            run(*compose, "down", "--volumes", "--timeout", "20")
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


def _containers() -> list[Inspected]:
    names = run("docker", "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}")
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


def check_confinement() -> None:
    """Every running container has a read-only root, no capability, and a user that is not root."""
    with step("confinement") as said:
        found = _containers()
        for each in found:
            host, user = each["HostConfig"], str(each["Config"]["User"]).partition(":")[0]
            if not host["ReadonlyRootfs"] or host["CapDrop"] != ["ALL"] or user in ("", "0", "root"):
                raise StepFailed(f"{each['Name']} runs as {user or 'root'}, or can write or do too much")
            if any("PASSWORD=" in variable for variable in each["Config"]["Env"]):
                raise StepFailed(f"{each['Name']} is told a password in its environment")
        said.append(f"{len(found)} containers: not root, read-only, no capabilities, no secret in variables")


def send_households(stack: StackState, households: int) -> str:
    """Import a file over HTTP, wait until every SMS has its outcome, check the sums; says what came."""
    with step("households") as said, tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "households.csv")
        generate.write(file, households=households, seed=4)
        began = time.monotonic()
        counted = asyncio.run(_send(stack, file, households))
        seconds = time.monotonic() - began
        said += [str(each) for each in sums(counted)[:1]]
        said.append(f"{households / seconds:,.0f} households/s")
        return (
            f"{counted.registration['registered']:,} households registered, "
            f"{counted.payments['payments']:,} payments, {counted.notifications['sent']:,} SMS"
        )


async def _send(stack: StackState, file: Path, households: int) -> Counted:
    async with Acts(stack) as acts:
        await acts.let_in()
        await acts.prepare(await acts.programme(), Terms(households * RIEL_PER_HOUSEHOLD))
        await acts.approve()
        await acts.upload(file)
    headers = {"Authorization": f"Bearer {stack.tokens['admin']}"}
    async with httpx.AsyncClient(headers=headers, timeout=30) as http:
        counted = await _wait_until_at_rest(http, stack, households)
        gateway = (await http.get(f"{stack.simulators['gateway'].url}/summary")).json()
    told = counted.notifications
    if (gateway["accepted"], gateway["duplicates_absorbed"]) != (told["sent"] + told["unknown"], 0):
        raise StepFailed(f"the gateway has {gateway}, notifications {dict(told)}")
    return counted


async def _wait_until_at_rest(http: httpx.AsyncClient, stack: StackState, households: int) -> Counted:
    deadline = time.monotonic() + AT_REST_S_MAX
    while True:
        counts = {name: (await http.get(f"{stack.services[name].url}/summary")).json() for name in SERVICES}
        counted = Counted(**counts)
        if counted.registration["imported"] >= households and at_rest(counted):
            return counted
        if time.monotonic() > deadline:
            raise StepFailed(f"not at rest: {'; '.join(map(str, sums(counted)))}")
        await asyncio.sleep(0.5)
