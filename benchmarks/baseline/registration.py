"""Registers a file's households, row by row."""

import asyncio
import csv
from itertools import islice
from pathlib import Path
from uuid import uuid5

import asyncpg

from benchmarks.baseline.messages import Registered, application, stack_broker
from benchmarks.floor.registration import persons_of, pieces
from contracts.household import Level
from contracts.topics import HOUSEHOLD_REGISTERED
from contracts.wire import NAMESPACE
from services.registration.places import area_type_of

broker = stack_broker()
registered = broker.publisher(HOUSEHOLD_REGISTERED.name)


async def read(db: asyncpg.Pool, path: str) -> None:
    """Write and tell each row."""
    chance, file = pieces(), Path(path).open(encoding="utf-8", newline="")  # noqa: ASYNC230, SIM115 - alone
    for row in islice(csv.reader(file), 1, None):
        persons, payee = persons_of(row, chance)
        household = Registered(
            household_id=str(uuid5(NAMESPACE, f"household/{row[0]}")),
            commune=row[1][:6],
            area_type=area_type_of(row[1][:6]),
            level=Level(row[2]),
            persons=persons,
            payee=payee,
        )
        await db.execute(
            "insert into household values ($1, $2)", household.household_id, household.model_dump_json()
        )
        await registered.publish(household, key=household.household_id.encode())


app = application(broker, "household (household_id text primary key, said jsonb not null)", read)

if __name__ == "__main__":
    asyncio.run(app.run())
