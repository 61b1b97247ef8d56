"""`tonle recompute`: decisions of the event log made again, and held against what was told then."""

import asyncio
import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import Annotated, Any

import httpx
import typer
from aiokafka import ConsumerRecord

from contracts import topics
from contracts.eligibility import EligibilityScored
from contracts.wire import Received, WireError, decode
from postbox.broker import Broker
from tonle import terminal
from tonle.checking import told
from tonle.stack.postgres import AUDITOR

CASES_AT_ONCE = 100
SHOWN_MOST = 20
Record = dict[str, Any]
"""A record as eligibility takes it: key, value, headers."""
Shocks = dict[str, list[Record]]
"""What was told of shocks, `declared` and `ended`."""


@dataclass
class Wanted:
    """Which decisions are made again: one household's, or those of a sample that is always the same.

    A sample holds the households whose ids have the smallest SHA-256.
    """

    household: str = ""
    sample: int = 0
    since: date | None = None
    chosen: dict[str, list[Received[EligibilityScored]]] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    _largest: list[tuple[int, str]] = field(default_factory=list)

    def offer(self, scored: Received[EligibilityScored], record: Record) -> None:
        """Keep a decision if it is wanted; a household that falls out of the sample is let go."""
        if self.household not in ("", scored.key) or (self.since and scored.time.date() < self.since):
            return
        if scored.key not in self.chosen and not self._choose(scored.key):
            return
        self.chosen.setdefault(scored.key, []).append(scored)
        self.records[scored.id] = record

    def _choose(self, household_id: str) -> bool:
        if not self.sample:
            return True
        rank = -int.from_bytes(sha256(household_id.encode()).digest()[:8])
        if len(self._largest) == self.sample and rank <= self._largest[0][0]:
            return False
        heapq.heappush(self._largest, (rank, household_id))
        if len(self._largest) > self.sample:
            _, gone = heapq.heappop(self._largest)
            for scored in self.chosen.pop(gone, ()):
                self.records.pop(scored.id)
        return True


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(recompute)


def recompute(
    *,
    household: Annotated[str, typer.Option(help="This household only.")] = "",
    sample: Annotated[
        int, typer.Option(min=0, help="So many households, always the same; 0 for all.")
    ] = 1000,
    since: Annotated[str, typer.Option(help="Decisions from this day (UTC) on, YYYY-MM-DD.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON.")] = False,
) -> None:
    """Make decisions again from the event log and the programme files of their hashes, and compare them.

    A decision is `equal` where its canonical JSON, unsealed, is the same byte for byte. `forgotten`: the
    household's keys were destroyed, so it is counted only. `missing`: something it rests on is not there,
    a programme file say. It fails where any differs or misses something. The log is read as the auditor; the
    service that keeps the keys opens it, and nothing is written. What is compared stays in memory meanwhile.
    """
    wanted = Wanted(household, 0 if household else sample, _day(since))
    stack = terminal.running_stack()
    broker = stack.kafka.broker(AUDITOR)
    shocks = asyncio.run(gathered_shocks(broker, stack.topic_prefix))
    with terminal.progress("Reading the log (records)") as advance:
        cases = asyncio.run(gathered(wanted, broker, stack.topic_prefix, advance))
    counts = Counter[str]()
    differing: list[dict[str, Any]] = []
    with (
        terminal.client("eligibility", timeout_s=120) as http,
        terminal.progress("Recomputing (decisions)", len(cases)) as advance,
    ):
        for begin in range(0, len(cases), CASES_AT_ONCE):
            for each in _answers(http, cases[begin : begin + CASES_AT_ONCE], shocks):
                counts[each["verdict"]] += 1
                if each["verdict"] in ("differs", "missing") and len(differing) < SHOWN_MOST:
                    differing.append(each)
            advance(min(begin + CASES_AT_ONCE, len(cases)))
    verdicts = {name: counts[name] for name in ("equal", "differs", "forgotten", "missing")}
    _tell({"households": len(wanted.chosen), "events": len(cases), **verdicts}, differing, as_json)
    if counts["differs"] or counts["missing"]:
        raise typer.Exit(1)


def _tell(said: dict[str, int], differing: Sequence[Record], as_json: bool) -> None:
    terminal.emit({**said, "found": differing} if as_json else said, as_json)
    if differing and not as_json:
        terminal.emit([{**each, "programmes": ", ".join(each["programmes"])} for each in differing], as_json)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        terminal.fail(f"{text} is no day.", "Write it like 2026-01-31.")


def _answers(http: httpx.Client, cases: Sequence[Record], shocks: Shocks) -> list[dict[str, Any]]:
    body = {"cases": cases, **shocks}
    found: list[dict[str, Any]] = terminal.checked(http.post("/recomputations", json=body)).json()
    return found


async def gathered(wanted: Wanted, broker: Broker, prefix: str, advance: terminal.Advance) -> list[Record]:
    """Each wanted decision with the events it rests on: first the decisions are read, then those."""
    read = 0
    async for batch in told.whole(broker, prefix + topics.ELIGIBILITY_SCORED.name):
        read += len(batch)
        for scored, record in _decoded(batch):
            wanted.offer(scored, record)
        advance(read)
    revisions = {(each.key, each.data.revision) for decisions in wanted.chosen.values() for each in decisions}
    registered: dict[tuple[str, int], Record] = {}
    async for batch in told.whole(broker, prefix + topics.HOUSEHOLD_REGISTERED.name):
        for each in _of(batch, wanted):
            key = (each["key"], int(each["headers"]["ce_sequence"]))
            if key in revisions:
                registered[key] = each
    rest = {}
    for topic in (topics.CONDITION_REPORTED, topics.APPEAL_DECIDED):
        rest[topic] = found = dict[str, list[Record]]()
        async for batch in told.whole(broker, prefix + topic.name):
            for each in _of(batch, wanted):
                found.setdefault(each["key"], []).append(each)
    return [
        {
            "scored": wanted.records[scored.id],
            "registered": registered.get((scored.key, scored.data.revision)),
            "reports": rest[topics.CONDITION_REPORTED].get(scored.key, []),
            "appeals": rest[topics.APPEAL_DECIDED].get(scored.key, []),
        }
        for decisions in wanted.chosen.values()
        for scored in decisions
    ]


async def gathered_shocks(broker: Broker, prefix: str) -> Shocks:
    """All that was told of shocks: there are few, and decisions name them."""
    found: Shocks = {"declared": [], "ended": []}
    for name, topic in (("declared", topics.SHOCK_DECLARED), ("ended", topics.SHOCK_ENDED)):
        async for batch in told.whole(broker, prefix + topic.name):
            found[name] += map(_plain, batch)
    return found


def _decoded(batch: Iterable[ConsumerRecord]) -> Iterator[tuple[Received[EligibilityScored], Record]]:
    name = topics.ELIGIBILITY_SCORED.name
    for record in batch:
        try:
            yield decode(EligibilityScored, name, record.key, record.value, record.headers), _plain(record)
        except (WireError, UnicodeDecodeError):
            continue  # What is no event is parked by its consumers; `tonle check` counts it.


def _of(batch: Iterable[ConsumerRecord], wanted: Wanted) -> Iterator[Record]:
    """Those records of a batch that are about a wanted household."""
    for record in batch:
        if (record.key or b"").decode(errors="replace") in wanted.chosen:
            yield _plain(record)


def _plain(record: ConsumerRecord) -> Record:
    return {
        "key": record.key.decode(),
        "value": record.value.decode(),
        "headers": {name: value.decode() for name, value in record.headers if value is not None},
    }
