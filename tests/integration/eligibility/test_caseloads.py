"""A cycle that opens or ends: the caseload is scored again, once, whatever runs beside it or is stopped."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import NamedTuple, cast

import asyncpg
import pytest
import pytest_asyncio

from contracts.cycle import CycleState
from contracts.household import KeyPurpose
from contracts.wire import Record
from postbox.courier import Courier
from postbox.message import Batch
from postbox.outbox import Publisher
from postbox.service import Service
from postbox.telemetry import Metrics
from services.eligibility import app, handlers, jobs
from services.eligibility.handlers import Office
from services.eligibility.packages import Panel
from tests.broker import unheard
from tests.conftest import MakeDatabase
from tests.integration.eligibility.conftest import Scene
from tests.unit.eligibility.samples import (
    CYCLE,
    JUNE,
    PROGRAMME,
    SERVICES,
    WRITTEN_TO,
    Event,
    Sealer,
    cycle_changed,
    exited,
    history,
    key_of,
)
from tests.waiting import until
from vault import keyring
from vault.keyring import WrappedKey
from vault.master import MasterKey

pytestmark = pytest.mark.stack
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MASTER = MasterKey(b"\x05" * 32)


async def test_opening_a_cycle_scores_everybody_again_but_those_who_left(scene: Scene) -> None:
    async with scene.running():
        await scene.register("h-1", "h-2", "h-3")
        await until(lambda: scene.counts(without_cycle=3, refused=3))
        await scene.tell(exited("h-3"))
        await until(lambda: scene.counts(without_cycle=3, exited=1, refused=3))
        await scene.tell(cycle_changed())
        await until(lambda: scene.counts(in_cycle=2, eligible=2, caseloads_running=0))
        told = [
            (each.key, each.sequence, [decision.cycle_id for decision in each.data.decisions])
            for each in await scene.scored()
        ]
        (caseload,) = (await scene.get("/caseloads")).json()
    assert told == [
        ("h-1", 1, []),
        ("h-1", 2, [CYCLE]),
        ("h-2", 1, []),
        ("h-2", 2, [CYCLE]),
        ("h-3", 1, []),
    ]
    assert (caseload["households"], caseload["seen"], caseload["scored"]) == (2, 2, 2)
    assert caseload["failed"] == []


async def test_a_cycle_told_twice_or_late_changes_nothing(scene: Scene) -> None:
    async with scene.running():
        await scene.tell(cycle_changed(version=2, reference_date=JUNE))
        await until(lambda: scene.db.fetchval("select count(*) from cycle"))
        await scene.register("h-1")
        await until(lambda: scene.counts(eligible=1))
        await scene.tell(cycle_changed(version=2), cycle_changed(CycleState.CLOSED, version=1))
        await scene.register("h-2")
        await until(lambda: scene.counts(eligible=2, caseloads_running=0))
        assert [(each.key, each.sequence) for each in await scene.scored()] == [("h-1", 1), ("h-2", 1)]
        assert await scene.db.fetchval("select ended_at is null from cycle")


@dataclass
class Desk:
    """The handlers and the job on a database of their own, without a broker."""

    dsn: str
    sealer: Sealer = field(default_factory=Sealer)
    office: Office = field(
        default_factory=lambda: Office(
            *(MASTER, Panel({PROGRAMME.id: PROGRAMME}), {}),
            services=SERVICES,
            ministries=WRITTEN_TO,
        )
    )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        db = await asyncpg.connect(self.dsn)
        try:
            async with db.transaction():
                yield db
        finally:
            await db.close()

    async def know(self, household_ids: Sequence[str]) -> None:
        """Keep these households' keys."""
        async with self.transaction() as db:
            await keyring.keep(
                db, [wrapped(each, purpose) for each in household_ids for purpose in KeyPurpose]
            )

    async def handle(self, db: asyncpg.Connection, topic: str, events: Sequence[Event]) -> Sequence[Record]:
        handler = {
            "registered": partial(handlers.score, self.office),
            "exited": partial(handlers.leave, self.office),
            "cycle": handlers.open_cycle,
        }[topic]
        batch = Batch(list(events), NOW, holds=True)
        records = await handler(batch, db)  # type: ignore[operator]
        assert not batch.parked
        return records  # type: ignore[no-any-return]

    async def commit(self, topic: str, *events: Event) -> Sequence[Record]:
        async with self.transaction() as db:
            return await self.handle(db, topic, events)

    async def chunk(self, most: int) -> bool:
        """One chunk of the oldest caseload; whether there was one."""
        async with self.transaction() as db:
            return await jobs.score_chunk(self.office, db, most) is not None

    async def fetch(self, query: str) -> list[asyncpg.Record]:
        async with self.transaction() as db:
            return await db.fetch(query)


def wrapped(household_id: str, purpose: KeyPurpose) -> WrappedKey:
    key_id = f"{household_id}-{purpose}"
    bound_to = f"{household_id}/{key_id}"
    return WrappedKey(
        household_id,
        key_id,
        purpose,
        "active",
        MASTER.id,
        MASTER.wrap(key_of(key_id), bound_to=bound_to),
    )


@pytest_asyncio.fixture
async def desk(database: MakeDatabase) -> Desk:
    made = Desk(await database("eligibility", app.MIGRATIONS))
    await made.know([f"h-{n}" for n in range(8)])
    return made


async def waits(desk: Desk) -> bool:
    found = await desk.fetch("select 1 from pg_locks where locktype = 'advisory' and not granted")
    return bool(found)


async def test_a_household_being_scored_is_in_the_caseload_of_a_cycle_that_opens_meanwhile(
    desk: Desk,
) -> None:
    async with desk.transaction() as db:
        await desk.handle(db, "registered", [desk.sealer.registered("h-1")])
        opening = asyncio.create_task(desk.commit("cycle", cycle_changed()))
        await until(lambda: waits(desk))
        assert not opening.done()
    await opening
    assert [row["households"] for row in await desk.fetch("select households from caseload")] == [1]


async def test_a_household_that_comes_while_a_cycle_opens_sees_the_cycle(desk: Desk) -> None:
    async with desk.transaction() as db:
        await desk.handle(db, "cycle", [cycle_changed()])
        scoring = asyncio.create_task(desk.commit("registered", desk.sealer.registered("h-1")))
        await until(lambda: waits(desk))
        assert not scoring.done()
    await scoring
    assert [row["cycle_id"] for row in await desk.fetch("select cycle_id from decision")] == [CYCLE]


async def test_a_caseload_that_was_stopped_goes_on_where_it_was(desk: Desk) -> None:
    await desk.commit("registered", *(desk.sealer.registered(f"h-{n}") for n in range(5)))
    await desk.commit("cycle", cycle_changed())
    assert await desk.chunk(2)
    db = await asyncpg.connect(desk.dsn)
    await db.execute("begin")
    assert await jobs.score_chunk(desk.office, db, 2)
    await db.close()  # the process dies before it commits
    seen = [(row["seen"], row["after"]) for row in await desk.fetch("select seen, after from caseload")]
    assert seen == [(2, "h-1")]
    while await desk.chunk(2):
        pass
    rows = await desk.fetch("select household_id, sequence from decision order by 1")
    assert [tuple(row) for row in rows] == [(f"h-{n}", 2) for n in range(5)]
    assert await desk.fetch("select 1 from caseload where finished_at is null") == []


async def test_a_chunk_is_done_while_the_broker_is_away_and_waits_in_the_outbox(desk: Desk) -> None:
    await desk.commit("registered", desk.sealer.registered("h-1"))
    await desk.commit("cycle", cycle_changed())
    publisher = cast(Publisher, SimpleNamespace(publish=unheard))
    async with asyncpg.create_pool(desk.dsn, min_size=1) as pool:
        courier = Courier(publisher, Metrics())
        service = cast(Service, SimpleNamespace(db=pool, publisher=publisher, courier=courier))
        assert await jobs.score_caseload(desk.office, service)
        await courier.close()
    waits = await desk.fetch("select 1 from outbox where published_at is null and lane like 'job:%'")
    assert (len(waits) > 0, [row[0] for row in await desk.fetch("select seen from caseload")]) == (True, [1])


async def test_an_ended_cycle_concerns_only_who_registered_later(desk: Desk) -> None:
    await desk.commit("cycle", cycle_changed())
    await desk.commit(
        "registered", desk.sealer.registered("h-1", minute=3), desk.sealer.registered("h-2", minute=9)
    )
    await desk.commit("cycle", cycle_changed(CycleState.CLOSED, 2, minute=5))
    await desk.chunk(10)
    while await desk.chunk(10):
        pass
    rows = await desk.fetch(
        "select household_id, h.sequence, cycle_id from household h"
        " left join decision using (household_id) order by 1"
    )
    assert [tuple(row) for row in rows] == [("h-1", 1, CYCLE), ("h-2", 2, None)]


async def test_a_household_that_can_not_be_scored_again_is_listed_and_does_not_stop_the_others(
    desk: Desk,
) -> None:
    await desk.commit("registered", desk.sealer.registered("h-1"), desk.sealer.registered("h-2"))
    async with desk.transaction() as db:
        await db.execute("update registration set event_id = 'moved' where household_id = 'h-1'")
    await desk.commit("cycle", cycle_changed())
    while await desk.chunk(10):
        pass
    failed = await desk.fetch("select household_id, reason from caseload_failure")
    assert [tuple(row) for row in failed] == [("h-1", "seal-broken")]
    rows = await desk.fetch("select household_id, cycle_id from decision order by 1")
    assert [tuple(row) for row in rows] == [("h-2", CYCLE)]


async def test_a_household_forgotten_since_is_seen_and_not_scored_again(desk: Desk) -> None:
    await desk.commit("registered", desk.sealer.registered("h-1"), desk.sealer.registered("h-2"))
    async with desk.transaction() as db:
        destroyed = WrappedKey("h-1", "h-1-person", KeyPurpose.PERSON, "destroyed", None, None)
        await keyring.keep(db, [destroyed])
    await desk.commit("cycle", cycle_changed())
    while await desk.chunk(10):
        pass
    rows = await desk.fetch("select household_id, standing, sequence from household order by 1")
    assert [tuple(row) for row in rows] == [("h-1", "forgotten", 1), ("h-2", "eligible", 2)]
    assert [tuple(row) for row in await desk.fetch("select seen, scored from caseload")] == [(2, 1)]


class State(NamedTuple):
    household_id: str
    left: bool
    revision: int
    exit_revision: int
    decided: object


_STATE = """
select h.household_id, exit_revision >= h.revision, h.revision, exit_revision,
    (h.standing, h.riel, h.in_cycle, h.basis,
        d.as_of, d.cycle_id, d.period, d.outcome, d.amount, d.reasons, d.lines,
        array(select mark from referral r
            where r.household_id = h.household_id and withdrawn_number is null order by 1))::text
from household h left join decision d using (household_id) order by 1
"""


async def end_state(desk: Desk) -> list[State]:
    """What holds once all caseloads are done; of a household that left, only that it did."""
    while await desk.chunk(3):
        pass
    states = [State(*row) for row in await desk.fetch(_STATE)]
    return [each._replace(decided=None) if each.left else each for each in states]


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_of_batches_ends_in_the_same_rows(database: MakeDatabase, seed: int) -> None:
    random = Random(seed)
    sealer, topics = history(random)
    plain, drawn = [Desk(await database("eligibility", app.MIGRATIONS), sealer) for _ in range(2)]
    for each in (plain, drawn):
        await each.know(["h-1", "h-2"])
    for name in ("cycle", "registered", "exited"):
        for event in topics[name]:
            await plain.commit(name, event)
    done = dict.fromkeys(topics, 0)
    while any(done[name] < len(events) for name, events in topics.items()):
        name = random.choice(list(topics))
        told, left = topics[name][: done[name]], topics[name][done[name] :]
        new = left[: random.randint(0, 3)]
        await drawn.commit(name, *random.sample(told, k=random.randint(0, min(2, len(told)))), *new)
        done[name] += len(new)
        if random.random() < 0.5:
            await drawn.chunk(1)
    assert await end_state(drawn) == await end_state(plain)
