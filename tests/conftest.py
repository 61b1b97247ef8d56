"""One real Kafka and one real PostgreSQL per test session; a cloned database and own topics per test."""

import itertools
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from xdist.scheduler import LoadScopeScheduling

from postbox import migrate
from postbox.broker import Broker
from postbox.service import ServiceSettings
from tests import containers
from tonle.stack import access, admission, topics
from tonle.stack.access import ADMIN
from tonle.stack.postgres import AUDITOR, SUPERUSER, close_to_others
from tonle.stack.secrets import Secrets
from tonle.stack.supervisor import Stack, StackSettings

pytest_plugins = ["tests.summary"]
# How fast a busy machine draws examples is not what is tested.
hypothesis_settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("patient")

PARTITIONS, PREFIXES = 2, 16
SESSION_TIMEOUT_MS = 6000
LONGEST = ("tests/faults/test_the_whole", "tests/flow", "tests/faults", "tests/integration", "")

Settings = TypeVar("Settings", bound=ServiceSettings)
_numbers = itertools.count(1)


class MakeDatabase(Protocol):
    """`dsn = await database("payments", [folder, …])`: a fresh database, cloned from a migrated template."""

    async def __call__(self, service: str, migrations: Sequence[Path] = ()) -> str: ...


class MakeSettings(Protocol):
    """`settings = await service_settings(PaymentsSettings, "payments", [MIGRATIONS], partners=…)`.

    Gives the settings class everything a service process is told, on a fresh database and this test's
    topics; further keywords are its own settings, or replace the usual ones.
    """

    async def __call__(
        self, kind: type[Settings], service: str, migrations: Sequence[Path] = (), **changes: object
    ) -> Settings: ...


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    """With `-n 3` a file's tests stay in one process, and so do all that share the flow's one run."""
    config.option.loadscopereorder = False  # the files with most tests would come first: the quickest ones
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = together
    return scheduler


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that no process has it left when the others are done."""
    items.sort(key=lambda item: next(n for n, folder in enumerate(LONGEST) if item.nodeid.startswith(folder)))


def together(nodeid: str) -> str:
    """What a test shares its process with: its file, or all of the flow's."""
    file = nodeid.partition("::")[0]
    return "tests/flow" if file.startswith("tests/flow/") else file


@pytest_asyncio.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Kafka and PostgreSQL, started once; no service runs in it."""
    settings = StackSettings(data_dir=tmp_path_factory.mktemp("stack"), durable=False, partitions=PARTITIONS)
    servers = containers.running(settings) if containers.chosen() else Stack(settings, services=())
    async with servers as running:
        yield running


@pytest.fixture(scope="session")
def secrets(stack: Stack) -> Secrets:
    """The keys and tokens of the session's stack, as files."""
    return stack.secrets


@pytest_asyncio.fixture(scope="session")
async def prefixes(stack: Stack) -> deque[str]:
    """Whose rules are set once: services run under tests as who they are, and rules take the broker longest.

    Each is used again only after all others, when members of its groups that were killed have timed out.
    """
    found = deque(f"t{number}." for number in range(PREFIXES))
    rules = [access.rules(prefix) for prefix in found]
    await admission.allow(stack.state.kafka.broker(ADMIN), frozenset().union(*rules))
    return found


@pytest_asyncio.fixture
async def topic_prefix(stack: Stack, prefixes: deque[str]) -> AsyncIterator[str]:
    """A prefix of this test's own, with every topic of the flow made under it."""
    prefixes.rotate()
    async with own_topics(stack.state.kafka.broker(ADMIN), prefixes[0]):
        yield prefixes[0]


@asynccontextmanager
async def own_topics(broker: Broker, prefix: str) -> AsyncIterator[None]:
    """Every topic of the flow under a prefix, deleted in the end."""
    names = await topics.create(broker, prefix=prefix, partitions=PARTITIONS)
    yield
    await topics.delete(broker, names)


@pytest_asyncio.fixture(scope="session")
async def templates(stack: Stack) -> dict[tuple[str, tuple[Path, ...]], str]:
    """The migrated template databases made so far in this session."""
    return {}


@pytest_asyncio.fixture
async def database(
    stack: Stack, templates: dict[tuple[str, tuple[Path, ...]], str]
) -> AsyncIterator[MakeDatabase]:
    """A factory of databases for this test, dropped when it ends."""
    admin = await asyncpg.connect(stack.state.postgres.dsn[SUPERUSER])
    made: list[str] = []

    async def make(service: str, migrations: Sequence[Path] = ()) -> str:
        key = (service, tuple(migrations))
        if key not in templates:
            templates[key] = await _template(stack, admin, service, migrations)
        name = f"{service}_{next(_numbers)}"
        await admin.execute(f"create database {name} template {templates[key]} owner {service}")
        await close_to_others(admin, name)
        made.append(name)
        return _dsn(stack, service, name)

    yield make
    for name in made:
        await admin.execute(f"drop database {name} with (force)")
    await admin.close()


@pytest.fixture
def service_settings(stack: Stack, database: MakeDatabase, topic_prefix: str, tmp_path: Path) -> MakeSettings:
    """A factory of a service's settings, so that `async with service.running()` works in the test."""

    async def make(
        kind: type[Settings], service: str, migrations: Sequence[Path] = (), **changes: object
    ) -> Settings:
        usual: dict[str, object] = {
            "kafka": stack.state.kafka.bootstrap,
            "kafka_user": service,
            "kafka_password_file": stack.secrets.kafka_password_file(service),
            "topic_prefix": topic_prefix,
            "data_dir": tmp_path / service,
            "port": 0,
            "admin_token_file": stack.secrets.admin_token_file,
            "master_key_file": stack.secrets.master_key,
            "session_timeout_ms": SESSION_TIMEOUT_MS,
        }
        if "database" not in changes:
            usual["database"] = await database(service, migrations)
        (tmp_path / service).mkdir(exist_ok=True)
        return kind.model_validate({**usual, **changes})

    return make


@pytest.fixture
def auditor_dsn(stack: Stack) -> Callable[[str], str]:
    """From a service's DSN to the read-only auditor's on the same database."""
    return lambda dsn: _dsn(stack, AUDITOR, dsn.rpartition("/")[2])


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of shared source data; the test is skipped where it is not."""
    folder = Path(os.environ.get("TONLE_SHARED_DATA", Path(__file__).parents[1] / "../shared/data"))
    if not folder.is_dir():
        pytest.skip("the shared data folder is not here (set TONLE_SHARED_DATA to it)")
    return folder.resolve()


async def _template(stack: Stack, admin: asyncpg.Connection, service: str, migrations: Sequence[Path]) -> str:
    name = f"template_{service}_{next(_numbers)}"
    await admin.execute(f"create database {name} owner {service}")
    db = await asyncpg.connect(_dsn(stack, service, name))
    try:
        await migrate.apply_all(db, migrations)
    finally:
        await db.close()
    return name


def _dsn(stack: Stack, role: str, database: str) -> str:
    return stack.state.postgres.dsn[role].rpartition("/")[0] + f"/{database}"
