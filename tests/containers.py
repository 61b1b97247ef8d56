"""The session's Kafka and PostgreSQL from the images that `docker-compose.yml` names, by testcontainers."""

import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tonle.stack import access, admission, folder, kafka, postgres, secrets, state, topics
from tonle.stack.process import Identity
from tonle.stack.state import KafkaPart, PostgresPart, StackState
from tonle.stack.supervisor import Stack, StackSettings

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

COMPOSE = Path(__file__).parents[1] / "docker-compose.yml"
CHOICE = "TONLE_TEST_STACK"
SOCKET = Path("/var/run/docker.sock")
READY_S_MAX = 240  # three at once, each of two Javas, beside whatever else the machine does


def chosen() -> bool:
    """Whether containers are used: as TONLE_TEST_STACK says, else where Docker and the images are."""
    choice = os.environ.get(CHOICE)
    if choice not in (None, "containers", "machine"):
        raise ValueError(f"{CHOICE} is containers or machine")
    return choice == "containers" or (choice is None and _images_are_here())


def _images_are_here() -> bool:
    if "DOCKER_HOST" not in os.environ and not SOCKET.exists():
        return False
    import docker  # type: ignore[import-untyped]

    try:
        engine = docker.from_env(timeout=5)
        return all(engine.images.list(name=composed(name)["image"]) for name in ("kafka", "postgres"))
    except docker.errors.DockerException:
        return False


@cache
def composed(service: str):  # type: ignore[no-untyped-def]  # a part of a YAML file
    """One service of docker-compose.yml, with the defaults of its variables put in."""
    text = re.sub(
        r"\$\{(\w+):-([^}]*)\}", lambda found: os.environ.get(found[1], found[2]), COMPOSE.read_text()
    )
    return yaml.safe_load(text.replace("$$", "$"))["services"][service]


@asynccontextmanager
async def running(settings: StackSettings) -> AsyncIterator[Stack]:
    """A `Stack` whose two servers run in containers and whose other parts are as ever."""
    kafka.READY_S_MAX = postgres.READY_S_MAX = READY_S_MAX
    claimed = folder.claim(settings.data_dir)
    stack = Stack(settings, services=())
    ports = folder.choose_ports(settings.data_dir, ("kafka", "kafka-controller", "postgres"), {})
    roles = (postgres.SUPERUSER, postgres.AUDITOR, *topics.SERVICES)
    stack.secrets = secrets.ensure(settings.data_dir / "secrets", roles=roles, partners=topics.PARTNERS)
    broker = kafka.Kafka(
        settings.data_dir / "kafka", ports["kafka"], ports["kafka-controller"], stack.secrets
    )
    server = postgres.Postgres(
        settings.data_dir / "postgres", ports["postgres"], stack.secrets, topics.SERVICES
    )
    stack.state = _state(settings, broker, server, roles)
    state.save(stack.state)
    with ExitStack() as containers:
        containers.enter_context(claimed)
        for each in (_kafka(broker), _postgres(server, stack.secrets)):
            containers.enter_context(each)
        await broker.ready(lambda: False)
        await admission.settle(broker.as_admin, access.rules(settings.topic_prefix))
        await server.ready(lambda: False)
        yield stack


def _kafka(broker: kafka.Kafka) -> "DockerContainer":
    """The composed broker, but reached from outside, on one port that is the same on both sides."""
    told = {
        **composed("kafka")["environment"],
        "KAFKA_LISTENERS": f"CLIENT://:{broker.port},CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"CLIENT://{broker.bootstrap}",
    }
    own = broker.folder.with_name("kafka.properties")
    own.write_text(f"admin={broker.secrets.kafka_password('admin')}\n")
    own.chmod(0o644)  # for the image's user; nobody else of this machine gets into the folder
    container = _container("kafka", told, {broker.port: broker.port, 9093: broker.controller_port})
    return container.with_volume_mapping(own, "/run/secrets/kafka.properties")


def _postgres(server: postgres.Postgres, made: secrets.Secrets) -> "DockerContainer":
    """The composed server without fsync: tests kill processes, never the machine."""
    told = {
        "POSTGRES_PASSWORD": made.database_password(postgres.SUPERUSER),
        "POSTGRES_INITDB_ARGS": composed("postgres")["environment"]["POSTGRES_INITDB_ARGS"],
    }
    command = [*composed("postgres")["command"], "-cfsync=off", "-cfull_page_writes=off"]
    return _container("postgres", told, {5432: server.port}).with_command(command)


def _container(service: str, told: Mapping[str, str], ports: Mapping[int, int]) -> "DockerContainer":
    from testcontainers.core.container import DockerContainer

    container = DockerContainer(composed(service)["image"], env=dict(told), shm_size="512m")
    for inside, outside in ports.items():  # on loopback alone
        container.ports[f"{inside}/tcp"] = ("127.0.0.1", outside)  # type: ignore[assignment]
    return container


def _state(
    settings: StackSettings, broker: kafka.Kafka, server: postgres.Postgres, roles: tuple[str, ...]
) -> StackState:
    nowhere = settings.data_dir / "logs"
    return StackState(
        state="running",
        data_dir=settings.data_dir,
        topic_prefix=settings.topic_prefix,
        partitions=settings.partitions,
        supervisor=Identity.of(os.getpid()) or Identity(os.getpid(), 0.0, ()),
        kafka=KafkaPart(
            port=broker.port,
            state="running",
            log=nowhere,
            bootstrap=broker.bootstrap,
            password_files={user: broker.secrets.kafka_password_file(user) for user in access.users()},
        ),
        postgres=PostgresPart(
            port=server.port,
            state="running",
            log=nowhere,
            dsn={role: server.dsn(role) for role in roles},
        ),
        services={},
        simulators={},
        tokens={"admin": server.secrets.admin_token},
    )
