"""`make bench-growth`: whether a household costs the same when there are many, a service can be several
processes, and a backlog drains in flat memory."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks import pipeline
from benchmarks.pipeline import Ground, Say
from benchmarks.results import spread
from benchmarks.watch import Look, rss_mb_growth, rss_mb_most
from contracts import topics
from tonle.stack.errors import StackError
from tonle.stack.topics import SERVICES

SIZES = (10_000, 100_000, 700_000)
BACKLOG = 500_000
WARM_UP = 5_000
"""Households before those that count: Java compiles while it runs, and pools fill."""
WARM_SEED = 2
SHARED = "payments"
PROCESSES = (1, 2, 4)
SHARED_HOUSEHOLDS = 20_000
PILED = (topics.HOUSEHOLD_REGISTERED.name, topics.HOUSEHOLD_KEYS.name)
MESSAGES_PER_ROW = 1.97
"""A registration and its keys; one row in 150 is bad."""
LATE = "eligibility"


async def measure(sizes: Sequence[int], backlog: int, home: Path | None, say: Say) -> dict[str, object]:
    """All three; each run has a fresh stack."""
    return {
        **await _by_size(sizes, home, say),
        **await _by_processes(min(SHARED_HOUSEHOLDS, max(sizes)), home, say),
        **await _after_a_backlog(backlog, home, say),
    }


async def _by_size(sizes: Sequence[int], home: Path | None, say: Say) -> dict[str, object]:
    runs, warm_up = {}, min(WARM_UP, *sizes)
    for size in sizes:
        say(f"-- {size:,} households")
        with pipeline.scratch(_within(home, f"size-{size}")) as folder:
            async with pipeline.opened(folder, warm_up + size, say) as ground:
                await pipeline.flow(ground, warm_up, WARM_SEED)
                runs[size] = await pipeline.flow(ground, size)
                await pipeline.verify(ground)
    cost = {size: round(run.cpu_us_per_household, 1) for size, run in runs.items()}
    speed = {size: round(run.households_per_second, 1) for size, run in runs.items()}
    return {
        "growth_cpu_us_per_household": {str(size): each for size, each in cost.items()},
        "growth_households_per_second": {str(size): each for size, each in speed.items()},
        "growth_cpu_spread": spread(list(cost.values())),
        "growth_speed_spread": spread(list(speed.values())),
        "growth_rss_mb_max": max(float(str(run.figures()["rss_mb_max"])) for run in runs.values()),
    }


async def _by_processes(households: int, home: Path | None, say: Say) -> dict[str, object]:
    figures: dict[str, object] = {}
    for processes in PROCESSES:
        say(f"-- {SHARED} as {processes} processes")
        with pipeline.scratch(_within(home, f"{SHARED}-{processes}")) as folder:
            async with pipeline.opened(folder, households, say, {SHARED: processes}) as ground:
                run = await pipeline.flow(ground, households)
                await pipeline.verify(ground)
                shares = await _shares(ground)
        say(f"messages handled: {', '.join(f'{name} {count:,}' for name, count in shares.items())}")
        if len(shares) != processes or not all(shares.values()):
            raise StackError(f"A process of {SHARED} handled nothing.", "Its partitions are not shared.")
        figures[str(processes)] = {
            "households_per_second": round(run.households_per_second, 1),
            "cpu_us_per_household": round(run.cpu_us_per_household, 1),
            "least_share": round(min(shares.values()) / sum(shares.values()), 3),
        }
    return {f"growth_{SHARED}_processes": figures}


async def _after_a_backlog(messages: int, home: Path | None, say: Say) -> dict[str, object]:
    """Eligibility is away while a file is imported; what piled up is counted, then it comes back."""
    households = round(messages / MESSAGES_PER_ROW) + 1
    say(f"-- {messages:,} messages pile up before {LATE}")
    with pipeline.scratch(_within(home, "backlog")) as folder:
        async with pipeline.opened(folder, households, say) as ground:
            keeper = ground.running.keeper(LATE)
            before = await ground.watch.look()
            await keeper.stop()
            await ground.acts.upload(await pipeline.written(ground, households))
            full = await _until_imported(ground)
            piled = sum(full.messages[topic] - before.messages[topic] for topic in PILED)
            say(f"{piled:,} messages wait for {LATE}")
            await keeper.start()
            looks = [await ground.watch.look()]
            await pipeline.follow(ground, looks)
            await pipeline.verify(ground)
    seconds = looks[-1].seconds - looks[0].seconds
    return {
        "growth_backlog_messages": piled,
        "growth_backlog_drained_s": round(seconds, 1),
        "growth_backlog_messages_per_second": round(piled / seconds, 1),
        "growth_backlog_rss_mb_max": {name: round(rss_mb_most(looks, name), 1) for name in SERVICES},
        "growth_backlog_rss_mb_growth": {name: round(rss_mb_growth(looks, name), 1) for name in SERVICES},
    }


async def _until_imported(ground: Ground) -> Look:
    """Until registration has read the file and published all of it."""
    registration = ground.stack.services["registration"].url
    headers = {"Authorization": f"Bearer {ground.stack.tokens['admin']}"}
    spoken = looked = await ground.watch.look()
    async with httpx.AsyncClient(verify=False, base_url=registration, headers=headers, timeout=60) as http:
        while True:
            await asyncio.sleep(pipeline.LOOK_S)
            earlier, looked = looked, await ground.watch.look()
            if looked.seconds - spoken.seconds > pipeline.SAY_EVERY_S:
                ground.say(f"{looked.messages[PILED[0]]:,} registered")
                spoken = looked
            if looked.messages == earlier.messages:
                summary = (await http.get("/summary")).raise_for_status().json()
                if not summary["imports_running"] and looked.messages[PILED[0]] >= summary["registered"]:
                    return looked


async def _shares(ground: Ground) -> Mapping[str, int]:
    """How many messages each process of the shared service has handled."""
    handled = {}
    async with httpx.AsyncClient(verify=False, timeout=30) as http:
        for name, part in ground.stack.services.items():
            if name.partition("-")[0] == SHARED:
                text = (await http.get(f"{part.url}/metrics")).raise_for_status().text
                handled[name] = round(
                    sum(
                        sample.value
                        for family in text_string_to_metric_families(text)
                        for sample in family.samples
                        if sample.name == "postbox_handled_total"
                    )
                )
    return handled


def _within(home: Path | None, name: str) -> Path | None:
    return home / name if home else None
