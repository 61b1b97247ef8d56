"""What the composed stack needs besides images: its secrets before it starts, topics and databases in it."""

import argparse
import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import asyncpg

from tonle.stack import postgres, secrets, topics
from tonle.stack.secrets import Secrets

FOLDER = Path(".tonle/containers")
CONTAINER_USER = 10001
USER_VARIABLES = ("TONLE_UID", "TONLE_GID")


def write_secrets(folder: Path, variables: Path) -> None:
    """Make what is missing of the secrets that `docker-compose.yml` names, readable by one user alone.

    The containers run as that user: for root it is the images' own, else the caller, whose ids then go into
    `variables`, the file of settings that compose reads.
    """
    roles = (postgres.SUPERUSER, postgres.AUDITOR, *topics.SERVICES)
    made = secrets.ensure(folder, roles=roles, partners=topics.PARTNERS)
    for service in topics.SERVICES:
        _write(folder / f"{service}.pgpass", f"*:*:*:{service}:{made.database_password(service)}\n")
    if os.geteuid() == 0:
        for path in (folder, *folder.iterdir()):
            os.chown(path, CONTAINER_USER, CONTAINER_USER)
        return
    known = variables.read_text() if variables.exists() else ""
    with variables.open("a") as file:
        for name, number in zip(USER_VARIABLES, (os.geteuid(), os.getegid()), strict=True):
            if f"{name}=" not in known:
                file.write(f"{name}={number}\n")


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


async def prepare(bootstrap: str, address: str, made: Secrets, partitions: int) -> None:
    """Create the topics, databases and roles that are missing; what is there stays as it is.

    Raises `StackError` when Kafka refuses, and asyncpg's errors.
    """
    await topics.create(bootstrap, partitions=partitions)
    password = made.database_password(postgres.SUPERUSER)
    db = await asyncpg.connect(f"postgresql://{postgres.SUPERUSER}:{password}@{address}/{postgres.SUPERUSER}")
    try:
        await postgres.ensure_roles(db, made, topics.SERVICES)
    finally:
        await db.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m tonle.stack.containers secrets` before, `… prepare` in the composed stack."""
    parser = argparse.ArgumentParser(prog="python -m tonle.stack.containers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("secrets", help="make the files that docker-compose.yml names as secrets")
    making.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    making.add_argument("--variables", type=Path, default=Path(".env"), help="where compose's settings are")
    preparing = commands.add_parser("prepare", help="create topics, databases and roles")
    preparing.add_argument("--kafka", required=True, metavar="HOST:PORT")
    preparing.add_argument("--postgres", required=True, metavar="HOST:PORT")
    preparing.add_argument("--secrets", type=Path, required=True, metavar="FOLDER")
    preparing.add_argument("--partitions", type=int, default=4)
    chosen = parser.parse_args(arguments)
    if chosen.command == "secrets":
        write_secrets(chosen.folder, chosen.variables)
    else:
        asyncio.run(prepare(chosen.kafka, chosen.postgres, Secrets(chosen.secrets), chosen.partitions))


if __name__ == "__main__":
    main()
