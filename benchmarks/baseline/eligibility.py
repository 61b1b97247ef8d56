"""Scores a household at a time."""

import asyncio
from typing import Annotated

import asyncpg
from faststream import Context

from benchmarks.baseline.messages import Registered, Scored, application, stack_broker
from benchmarks.floor.eligibility import decision
from contracts.topics import ELIGIBILITY_SCORED, HOUSEHOLD_REGISTERED

broker = stack_broker()
scored = broker.publisher(ELIGIBILITY_SCORED.name)


@broker.subscriber(HOUSEHOLD_REGISTERED.name, group_id="eligibility", auto_offset_reset="earliest")
async def score(said: Registered, db: Annotated[asyncpg.Pool, Context()]) -> None:
    """Decide, keep, tell."""
    decided = decision(said.persons, said.level, said.area_type, said.commune)
    await db.execute(
        "insert into household values ($1, $2) on conflict do nothing", said.household_id, decided.amount
    )
    told = Scored(household_id=said.household_id, commune=said.commune, decision=decided, payee=said.payee)
    await scored.publish(told, key=said.household_id.encode())


app = application(broker, "household (household_id text primary key, amount bigint not null)")

if __name__ == "__main__":
    asyncio.run(app.run())
