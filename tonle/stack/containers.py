"""What the composed stack needs besides images: its secrets before it starts, topics and databases in it."""

import argparse
import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

import asyncpg

from tonle.stack import access, admission, postgres, secrets, topics
from tonle.stack.errors import StackError
from tonle.stack.secrets import Secrets

FOLDER = Path(".tonle/containers")
READY_S_MAX = 60
CONTAINER_USER = 10001
KAFKA_USER = 1000
KAFKA_SECRETS = "kafka.properties"
USER_VARIABLES = ("TONLE_UID", "TONLE_GID")


def write_secrets(folder: Path, variables: Path) -> None:
    """Make what is missing of the secrets that `docker-compose.yml` names, readable by one user alone.

    The containers run as that user: for root it is the images' own, else the caller, whose ids then go into
    `variables`, the file of settings that compose reads.
    """
    roles = (postgres.SUPERUSER, postgres.AUDITOR, *topics.SERVICES)
    made = secrets.ensure(folder, roles=roles, partners=topics.PARTNERS)
    told = folder / KAFKA_SECRETS
    told.write_text(f"{access.ADMIN}={made.kafka_password(access.ADMIN)}\n")
    if os.geteuid() == 0:
        for path in (folder, *folder.iterdir()):
            os.chown(path, CONTAINER_USER, CONTAINER_USER)
        os.chown(told, KAFKA_USER, KAFKA_USER)
        told.chmod(0o600)
        return
    # Kafka's image has a user of its own; on this side nobody else gets into the folder.
    told.chmod(0o644)
    known = variables.read_text() if variables.exists() else ""
    with variables.open("a") as file:
        for name, number in zip(USER_VARIABLES, (os.geteuid(), os.getegid()), strict=True):
            if f"{name}=" not in known:
                file.write(f"{name}={number}\n")


async def prepare(kafka: str, controller: str, address: str, made: Secrets, partitions: int) -> None:
    """Create the topics, databases and roles that are missing, and let in who may speak to Kafka.

    Raises `StackError` when Kafka refuses, aiokafka's and asyncpg's errors.
    """
    await admission.set_passwords(controller, made.kafka_passwords())
    broker = made.broker(kafka, access.ADMIN)
    deadline = time.monotonic() + READY_S_MAX
    while not await admission.answers(broker):
        if time.monotonic() > deadline:
            raise StackError("Kafka does not let its admin in.", "See Kafka's log.")
        await asyncio.sleep(0.1)
    await topics.create(broker, partitions=partitions)
    await admission.settle(broker, access.rules(""))
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
    preparing = commands.add_parser("prepare", help="create topics, databases, roles and users")
    preparing.add_argument("--kafka", required=True, metavar="HOST:PORT")
    preparing.add_argument("--controller", required=True, metavar="HOST:PORT")
    preparing.add_argument("--postgres", required=True, metavar="HOST:PORT")
    preparing.add_argument("--secrets", type=Path, required=True, metavar="FOLDER")
    preparing.add_argument("--partitions", type=int, default=4)
    chosen = parser.parse_args(arguments)
    if chosen.command == "secrets":
        write_secrets(chosen.folder, chosen.variables)
    else:
        made = Secrets(chosen.secrets)
        asyncio.run(prepare(chosen.kafka, chosen.controller, chosen.postgres, made, chosen.partitions))


if __name__ == "__main__":
    main()
