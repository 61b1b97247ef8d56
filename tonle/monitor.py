"""`tonle topics`: messages, rate and lag per topic, and what that means in households and riel waiting."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated

import httpx
import typer
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from contracts import topics
from tonle import terminal
from tonle.hops import Counted, Hop, hops
from tonle.stack.access import AUDITOR
from tonle.stack.state import StackState
from tonle.stack.topics import PARTNERS, SERVICES

SAMPLE_S = 1.0
LOOK_S_MAX = 15.0
Offsets = dict[TopicPartition, int]


@dataclass(frozen=True)
class TopicLine:
    """One topic: messages in it, messages per second lately, and each group's messages still to do."""

    topic: str
    messages: int
    rate: float
    lag: Mapping[str, int] = field(default_factory=dict)


class Monitor:
    """Looks at a running stack again and again; use it as an asynchronous context."""

    def __init__(self, stack: StackState) -> None:
        self._stack = stack
        self._names = [stack.topic_prefix + name for name in flow_topics()]
        options = stack.kafka.broker(AUDITOR).options
        self._consumer = AIOKafkaConsumer(**options, group_id=None)
        self._admin = AIOKafkaAdminClient(**options)
        headers = {"Authorization": f"Bearer {stack.tokens['admin']}"}
        self._http = httpx.AsyncClient(headers=headers, timeout=30)
        self._places: list[TopicPartition] = []
        self._last: tuple[float, Offsets] | None = None

    async def __aenter__(self) -> "Monitor":
        try:
            async with asyncio.timeout(LOOK_S_MAX):
                await self._begin()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _begin(self) -> None:
        await self._consumer.start()
        await self._admin.start()
        for topic in await self._admin.describe_topics(self._names):
            self._places += [
                TopicPartition(topic["topic"], each["partition"]) for each in topic["partitions"]
            ]

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()
        await self._admin.close()
        await self._consumer.stop()

    async def counted(self) -> Counted:
        """The services' own counts."""
        return Counted(
            **dict(zip(SERVICES, await asyncio.gather(*map(self._summary, SERVICES)), strict=True))
        )

    async def topics(self) -> list[TopicLine]:
        """Every topic; rates are those since the look before (0 at the first). Raises `TimeoutError`."""
        async with asyncio.timeout(LOOK_S_MAX):
            begins = await self._consumer.beginning_offsets(self._places)
            ends: Offsets = await self._consumer.end_offsets(self._places)
            done = await self._done()
        now = time.monotonic()
        seconds = now - self._last[0] if self._last else 0.0
        before = self._last[1] if self._last else ends
        self._last = (now, ends)
        lines = []
        for name in self._names:
            places = [place for place in self._places if place.topic == name]
            new = sum(ends[place] - before[place] for place in places)
            lines.append(
                TopicLine(
                    topic=name,
                    messages=sum(ends[place] - begins[place] for place in places),
                    rate=new / seconds if seconds else 0.0,
                    lag=_lag(places, ends, begins, done),
                )
            )
        return lines

    async def until_cycles_are_known(self) -> None:
        """Until eligibility has read what was said of cycles: who registers before waits for a job."""
        while True:
            told = [each for each in await self.topics() if each.topic.endswith(topics.CYCLE_CHANGED.name)]
            if all(line.messages and line.lag.get("eligibility") == 0 for line in told):
                return
            await asyncio.sleep(0.1)

    async def _summary(self, service: str) -> dict[str, int]:
        answer = await self._http.get(f"{self._stack.services[service].url}/summary")
        answer.raise_for_status()
        return {name: count for name, count in answer.json().items() if isinstance(count, int)}

    async def _done(self) -> dict[str, Offsets]:
        """Per group, where each partition stands: services say it themselves, of others Kafka knows."""
        done = {}
        for group, _kind, *_ in await self._admin.list_consumer_groups():
            service = group.removeprefix(self._stack.topic_prefix)
            if service in self._stack.services:
                done[service] = await self._positions(service)
            elif group.startswith(self._stack.topic_prefix):
                committed = await self._admin.list_consumer_group_offsets(group)
                done[service] = {place: each.offset for place, each in committed.items()}
        return done

    async def _positions(self, service: str) -> Offsets:
        answer = await self._http.get(f"{self._stack.services[service].url}/positions")
        answer.raise_for_status()
        return {
            TopicPartition(each["topic"], each["partition"]): each["next_offset"] for each in answer.json()
        }


def flow_topics() -> list[str]:
    """Every topic of the flow, in its order, then the partners' and the dead letters."""
    partner = [
        topic(name).name for name in PARTNERS for topic in (topics.partner_instruction, topics.partner_report)
    ]
    return [*(topic.name for topic in topics.TOPICS), *partner, *map(topics.dead_letter, SERVICES)]


def mount(app: typer.Typer) -> None:
    """Add `tonle topics`."""
    app.command("topics", rich_help_panel="See what happens")(show)


def show(
    watch: Annotated[bool, typer.Option("--watch", help="Look again every second until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a look.")] = False,
) -> None:
    """Show every topic: messages, messages per second, and lag of each group that reads it.

    Below it stands what that means: how many households and riel wait before each of the four hops.
    """
    asyncio.run(_show(terminal.running_stack(), watch=watch, as_json=as_json))


async def _show(stack: StackState, *, watch: bool, as_json: bool) -> None:
    async with Monitor(stack) as monitor:
        await monitor.topics()
        if watch and not as_json and Console().is_terminal:
            with Live(auto_refresh=False) as live:
                while True:
                    await asyncio.sleep(SAMPLE_S)
                    live.update(screen(await monitor.topics(), hops(await monitor.counted())), refresh=True)
        while True:
            await asyncio.sleep(SAMPLE_S)
            lines, steps = await monitor.topics(), hops(await monitor.counted())
            if as_json:
                answer = {
                    "topics": [asdict(each) for each in lines],
                    "hops": [asdict(each) for each in steps],
                }
                terminal.emit(answer, True)
            elif Console().is_terminal:
                Console(highlight=False).print(screen(lines, steps))
            else:
                terminal.emit([_topic_row(each) for each in lines], False)
                terminal.emit([_hop_row(each) for each in steps], False)
            if not watch:
                return


def screen(lines: Sequence[TopicLine], steps: Sequence[Hop]) -> Group:
    """Both tables as one thing to print."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("topic", "messages", "per second", "lag"):
        table.add_column(name, justify="right" if name not in ("topic", "lag") else "left")
    for line in lines:
        lag = ", ".join(f"{group} {count:,}" for group, count in line.lag.items())
        table.add_row(line.topic, f"{line.messages:,}", f"{line.rate:,.0f}", lag or "-")
    waits = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("hop", "households", "riel", "waiting before it", "riel waiting"):
        waits.add_column(name, justify="left" if name == "hop" else "right")
    for hop in steps:
        waits.add_row(
            hop.name, f"{hop.households:,}", _riel(hop.riel), f"{hop.waiting:,}", _riel(hop.waiting_riel)
        )
    return Group(table, Text(""), waits)


def _topic_row(line: TopicLine) -> dict[str, object]:
    lag = ", ".join(f"{group} {count}" for group, count in line.lag.items())
    return {
        "topic": line.topic,
        "messages": line.messages,
        "per_second": round(line.rate),
        "lag": lag or None,
    }


def _hop_row(hop: Hop) -> dict[str, object]:
    return {
        "hop": hop.name,
        "households": hop.households,
        "riel": hop.riel,
        "waiting_before_it": hop.waiting,
        "riel_waiting": hop.waiting_riel,
    }


def _riel(amount: int | None) -> str:
    return "-" if amount is None else f"{amount:,}"


def _lag(
    places: Sequence[TopicPartition], ends: Offsets, begins: Offsets, done: Mapping[str, Offsets]
) -> dict[str, int]:
    return {
        group: sum(max(0, ends[place] - offsets.get(place, begins[place])) for place in places)
        for group, offsets in sorted(done.items())
        if any(place in offsets for place in places)
    }
