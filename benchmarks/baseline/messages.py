"""What the plain pipeline says, persons in the clear; and how each step is an application."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path

import asyncpg
from faststream import ContextRepo, FastStream
from faststream.kafka import KafkaBroker
from faststream.security import SASLScram256
from pydantic import BaseModel

from contracts.eligibility import ProgrammeDecision
from contracts.household import AreaType, Level, Payee, Persons


def stack_broker() -> KafkaBroker:
    """The stack's broker, as the user of the service whose name the process has."""
    password = Path(os.environ["TONLE_KAFKA_PASSWORD_FILE"]).read_text().strip()
    login = SASLScram256(os.environ["TONLE_KAFKA_USER"], password, use_ssl=False)
    return KafkaBroker(os.environ["TONLE_KAFKA"], security=login)


class Registered(BaseModel):
    """A household, with its persons."""

    household_id: str
    commune: str
    area_type: AreaType
    level: Level
    persons: Persons
    payee: Payee


class Scored(BaseModel):
    """What a household is given."""

    household_id: str
    commune: str
    decision: ProgrammeDecision
    payee: Payee


class Issued(BaseModel):
    """A payment, and who is told of it."""

    payment_id: str
    household_id: str
    programme: str
    period: str
    amount: int
    withdraw_until: date
    payee: Payee


def application(
    broker: KafkaBroker, table: str, told: Callable[[asyncpg.Pool, str], Awaitable[None]] | None = None
) -> FastStream:
    """The application: makes `table`, puts the pool into the context, listens where the stack expects it."""
    app = FastStream(broker)

    @app.on_startup
    async def connect(context: ContextRepo) -> None:
        db = await asyncpg.create_pool(os.environ["TONLE_DATABASE"])
        await db.execute(f"create table if not exists {table}")
        context.set_global("db", db)

    @app.after_startup
    async def listen(context: ContextRepo) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if (line := (await reader.readline()).decode().strip()) and told is not None:
                await told(context.get("db"), line)
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", int(os.environ["TONLE_PORT"]))
        context.set_global("server", server)

    return app
