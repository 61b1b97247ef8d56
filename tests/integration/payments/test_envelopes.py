"""Many workers spend from one envelope at once: never too much, and nobody waits while room is left."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import TypeVar

import asyncpg
import pytest

from postbox.message import Connection
from services.payments import ledger, store, store_cycles, store_envelopes, store_ledger
from services.payments.states import Payment, State
from tests.integration.payments.conftest import CYCLE, PERIOD, PROGRAMME, PURPOSE, Scene, family
from tests.waiting import until
from tonle.checking.kept import RULES

pytestmark = pytest.mark.stack
T = TypeVar("T")
WORKERS, TURNS, AT_ONCE = 16, 12, 8
SMALLEST, LARGEST, ENVELOPE = 1_000, 9_700, 2_000_000
EXCEEDED = """
select (select count(*) from cycle join spent using (cycle_id) where committed - released > funded)
    + (select count(*) from sub_envelope where committed - released > allotted)
    + (select count(*) from fund f where amount < (select coalesce(sum(committed - released), 0)
        from sub_envelope s where s.cycle_id = f.cycle_id and s.fund = f.number))
"""


class Hammer:
    """Workers that issue amounts of a seeded draw, let wait what has no room, and free what was issued."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self._scene, self._random, self._numbers = scene, random.Random(seed), count()
        self.issued: list[Payment] = []

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Connection]:
        db = await asyncpg.connect(self._scene.settings.database)
        yield db
        await db.close()

    async def work(self) -> None:
        async with self.connected() as db:
            for _ in range(TURNS):
                amounts = [self._random.randrange(SMALLEST, LARGEST, 100) for _ in range(AT_ONCE)]
                wanted = [payment(next(self._numbers), riel) for riel in amounts]
                self.issued += await _as_loops_do(db, partial(self._issue, db, wanted))
                some = [self.issued.pop() for _ in range(self._random.randrange(4)) if self.issued]
                await _as_loops_do(db, partial(self._free, db, some))

    async def try_again(self, db: Connection) -> bool:
        """As the job does: what waits, once there was room again; False where nobody was freed since."""
        taken = await _as_loops_do(db, partial(self._take_turn, db))
        self.issued += taken or []
        return taken is not None

    async def _take_turn(self, db: Connection) -> list[Payment] | None:
        turn = await store_cycles.next_turn(db)
        if turn is None:
            return None
        waiting = await db.fetch("select number, riel from waits order by number")
        taken = await self._issue(db, [payment(*row) for row in waiting])
        await store_cycles.go_on(db, turn, None)
        return taken

    async def _issue(self, db: Connection, wanted: list[Payment]) -> list[Payment]:
        (budget,) = (await store_envelopes.budgets(db, {CYCLE: len(wanted)})).values()
        taken = [each for each in wanted if budget.take(budget.cycle.terms, each.amount) is None]
        funds = await store_envelopes.spend(db, [budget], taken)
        taken = [each._replace(fund=funds[each.payment_id]) for each in taken]
        await store.insert_transfers(
            db, [ledger.issued(each, each.fund) for each in taken], datetime.now(UTC)
        )
        left = [(int(each.payment_id), each.amount) for each in wanted if each.payment_id not in funds]
        await db.executemany("insert into waits values ($1, $2) on conflict do nothing", left)
        await db.execute("delete from waits where number = any($1)", list(map(int, funds)))
        return taken

    async def _free(self, db: Connection, some: list[Payment]) -> None:
        moved = [ledger.moved(each, each._replace(state=State.FAILED)) for each in some]
        await store_envelopes.keep_open(db, {each.cycle_id for each in some})
        await store.insert_transfers(db, [each for each in moved if each], datetime.now(UTC))
        await store_envelopes.free(db, [each for each in moved if each])


async def _as_loops_do(db: Connection, act: Callable[[], Awaitable[T]]) -> T:
    """One transaction, again where it was the victim of a deadlock: a sub-envelope that changed while it was
    looked for stays locked, though it is not taken."""
    while True:
        try:
            async with db.transaction():
                return await act()
        except asyncpg.DeadlockDetectedError:
            continue


def payment(number: int, riel: int) -> Payment:
    at = (PROGRAMME, PERIOD, PURPOSE, 1, CYCLE)
    return Payment(str(number), f"h-{number}", *at, riel, riel, "wing", "120101", 1, "d", "c", "t")


async def funded_by_two(scene: Scene) -> None:
    async with scene.running():
        await scene.open_cycle(envelope=ENVELOPE // 2, cap_household=LARGEST, cap_payments=100_000)
        await scene.approve()
        more = {"envelope": ENVELOPE, "donor": "wfp", "reason": "a second donor"}
        (await scene.call("POST", f"/cycles/{CYCLE}/fund", more, by="Sokha")).raise_for_status()
        await scene.approve()
        await until(lambda: scene.db.fetchval("select issue_after is null from cycle"))


async def test_sixteen_workers_never_exceed_an_envelope_and_leave_nobody_waiting_while_there_is_room(
    scene: Scene,
) -> None:
    await funded_by_two(scene)
    await scene.db.execute("create table waits (number integer primary key, riel bigint)")
    hammer, exceeded = Hammer(scene, seed=6), []
    async with hammer.connected() as db, hammer.connected() as watching:
        working = asyncio.gather(*(hammer.work() for _ in range(WORKERS)))
        while not working.done():
            exceeded.append(await watching.fetchval(EXCEEDED))
            await hammer.try_again(db)
        await working
        while await hammer.try_again(db):
            continue
        room = await db.fetchval(
            "select funded - committed + released from cycle join spent using (cycle_id)"
        )
        least = await db.fetchval("select min(riel) from waits")
        broken = [each.name for each in RULES if each.database == "payments" and await db.fetch(each.query)]
        funds = {each.donor: each for each in await store_ledger.funds(db, None, CYCLE)}
    assert (set(exceeded), len(exceeded) > WORKERS) == ({0}, True)
    assert (room, broken) == (ENVELOPE - sum(each.amount for each in hammer.issued), [])
    assert 0 <= room < least
    assert sum(each.room for each in funds.values()) == room
    assert {each.funded for each in funds.values()} == {ENVELOPE // 2}
    assert await scene.db.fetchval("select count(*) from split") > 0


async def test_what_gets_room_while_a_job_goes_through_is_gone_through_again(scene: Scene) -> None:
    one = family("h-0001")
    async with scene.running():
        await scene.open_cycle()
        await scene.approve()
        await scene.send([scene.key(one), scene.scored(one, 100_000)])
        await scene.settled_down(states={"h-0001": "issued"})
        await until(lambda: scene.db.fetchval("select issue_after is null from cycle"))
    await store_cycles.try_again(scene.db, CYCLE)
    turn = await store_cycles.next_turn(scene.db)
    assert turn is not None
    (payment,) = map(store.payment_of, await scene.db.fetch(store.PAYMENTS))
    freed = ledger.moved(payment, payment._replace(state=State.FAILED))
    assert freed is not None
    await store_envelopes.free(scene.db, [freed])
    await store_cycles.go_on(scene.db, turn, None)
    assert await store_cycles.next_turn(scene.db) is not None
