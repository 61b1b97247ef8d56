"""Disturbs a whole stack by a seeded schedule while households flow, then counts what came of it.

The same seed draws the same schedule and the same load; what the machine makes of it differs.
"""

import argparse
import asyncio
import json
import logging
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.faults.disturbances import BUSINESS, Disturber
from tests.faults.echoes import Echoes
from tests.faults.guards import loosen
from tests.faults.load import Load
from tests.faults.operating import Operator
from tests.faults.plan import GUARDS, Plan, schedule
from tests.faults.settling import settle
from tests.faults.verdict import Verdict, judge
from tests.faults.world import World
from tonle.demo_acts import REGISTRAR, Acts, Terms

RIEL_PER_HOUSEHOLD = 130_000
"""Less than all would need: at the end some must wait for room."""
FED = 0.003


@dataclass
class Talk:
    """Says what happens, with seconds since the start; on standard error where only JSON is wanted."""

    began: float
    quiet: bool

    def __call__(self, text: str) -> None:
        stream = sys.stderr if self.quiet else sys.stdout
        print(f"{time.monotonic() - self.began:7.1f} s  {text}", file=stream, flush=True)


async def run(plan: Plan, *, quiet: bool = False) -> Verdict:
    """One whole run."""
    say = Talk(time.monotonic(), quiet)
    say(f"seed {plan.seed}, {plan.households} households in {plan.home}")
    if plan.without:
        say(f"without {', '.join(sorted(plan.without))}")
    load = Load(plan)
    async with World(plan) as world:
        say("the stack runs")
        await loosen(world, plan.without)
        token = await _approve(world)
        operator = Operator(world, say)
        disturber = Disturber(world, operator, lambda: load.release(FED))
        names = [world.state.topic_prefix + topic.name for topic in BUSINESS]
        echoes = Echoes(world.broker, names, plan.seed)
        async with _beside(operator.run()):
            async with _beside(echoes.run()), load.working(world.url("registration"), token):
                await _disturb(plan, disturber, load, say)
                load.release()
                await load.done()
            say("registrars are done")
            left = await settle(world, say)
        await world.scrape()
        found = await judge(world, load.told, disturber, left)
        return found.with_echoes(echoes.count, time.monotonic() - say.began)


@asynccontextmanager
async def _beside(work: Coroutine[object, object, None]) -> AsyncIterator[None]:
    """Until the block ends; what fails in it fails the run."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _disturb(plan: Plan, disturber: Disturber, load: Load, say: Talk) -> None:
    steps = schedule(plan)
    for number, step in enumerate(steps, 1):
        load.release(0.7 / len(steps))
        say(f"[{number}/{len(steps)}] {step}")
        if said := await disturber.do(step):
            say(f"    {said}")
        await asyncio.sleep(step.pause_s)


async def _approve(world: World) -> str:
    """Two officers open and approve a cycle; returns the registrar's token."""
    async with Acts(world.state) as acts:
        await acts.let_in()
        envelope = world.plan.households * RIEL_PER_HOUSEHOLD // 100 * 100
        await acts.prepare(await acts.programme(), Terms(envelope))
        await acts.approve()
        return acts.tokens[REGISTRAR]


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code is not 0 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.run", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--households", type=int, default=20_000)
    parser.add_argument("--short", action="store_true", help="each kind of disturbance once at most")
    parser.add_argument("--home", type=Path, help="the stack's data folder; a temporary one where not given")
    parser.add_argument("--without", default="", help=f"guards to take away, of: {', '.join(GUARDS)}")
    parser.add_argument("--json", action="store_true", help="the JSON line alone on standard output")
    asked = parser.parse_args(arguments)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that the broker is away is no news here
    without = frozenset(filter(None, map(str.strip, asked.without.split(","))))
    if unknown := without - set(GUARDS):
        parser.error(f"no such guard: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        plan = Plan(asked.seed, asked.households, asked.home or Path(folder), asked.short, without)
        verdict = asyncio.run(run(plan, quiet=asked.json))
    for line in verdict.lines():
        print(line, file=sys.stderr if asked.json else sys.stdout)
    print(json.dumps(verdict.as_json()), flush=True)  # noqa: T201
    return 0 if verdict.passed else 1


if __name__ == "__main__":
    sys.exit(main())
