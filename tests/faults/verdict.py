"""Counts what was lost or doubled, from databases, topics and the simulators' own records alone."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain, groupby
from typing import Any, NamedTuple

from postbox.packing import unpack
from tests.faults.disturbances import BUSINESS, Disturber
from tests.faults.load import Told
from tests.faults.order import heard, out_of_order
from tests.faults.world import World
from tonle import check
from tonle.checking.comparisons import Difference
from tonle.stack.topics import PARTNERS

NAMED_MOST = 12
_PARKED = "select topic, reason, count(*) as n from parked where handling = 'park' group by 1, 2"
_FREED = {"failed", "expired", "returned", "cancelled"}
_GATEWAY = "each SMS reached the gateway once"
_REPORTS = "each partner report was booked"


class Sms(NamedTuple):
    """What the gateway and notifications say of SMS: lost, doubled, unknown; and copies it recognised."""

    lost: int
    doubled: int
    unknown: int
    absorbed: int


@dataclass(frozen=True)
class Verdict:
    """The counts of one run; `broken` names what breaks which promise."""

    seed: int
    households: int
    lost: int
    doubled: int
    differing: int
    limbo: int
    unknown: int
    out_of_order: int
    parked: int
    absorbed: Mapping[str, int]
    counted: Mapping[str, int]
    broken: Sequence[str]
    without: Sequence[str] = ()
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Every promise was kept. What is unknown is counted, and breaks none."""
        return not self.broken

    def with_echoes(self, count: int, seconds: float) -> "Verdict":
        """The same, with how many records came again and how long it all took."""
        return replace(self, counted={**self.counted, "echoes": count}, seconds=seconds)

    def lines(self) -> list[str]:
        """For people."""
        return [
            *(f"broken: {each}" for each in self.broken),
            "all promises kept" if self.passed else "NOT kept",
        ]

    def as_json(self) -> dict[str, object]:
        """The last line of a run."""
        names = (
            "seed",
            "households",
            "lost",
            "doubled",
            "differing",
            "limbo",
            "unknown",
            "out_of_order",
            "parked",
        )
        return {
            **{name: getattr(self, name) for name in names},
            "duplicates_absorbed": dict(sorted(self.absorbed.items())),
            "without": list(self.without),
            **self.counted,
            "passed": self.passed,
            "seconds": round(self.seconds, 1),
        }


@dataclass
class _Counts:
    lost: int = 0
    doubled: int = 0
    differing: int = 0
    broken: list[str] = field(default_factory=list)

    def add(
        self, name: str, found: Sequence[str], *, lost: int = 0, doubled: int = 0, differing: int = 0
    ) -> None:
        self.lost += lost
        self.doubled += doubled
        self.differing += differing
        if found:
            more = f" and {len(found) - NAMED_MOST} more" if len(found) > NAMED_MOST else ""
            self.broken.append(f"{name}: {'; '.join(found[:NAMED_MOST])}{more}")


async def judge(world: World, told: Told, disturber: Disturber, left: Mapping[str, int]) -> Verdict:
    """Everything that must hold after a run, with services at rest; `left` never came to rest."""
    counts = _Counts()
    await _compare(world, counts)
    await _receipts(world, told, counts)
    _paid_twice(world, counts)
    await _within_envelope(world, counts)
    sms = await _sms(world, counts)
    disorder = await _disorder(world, disturber)
    counts.add("events of a household rise in sequence", disorder)
    counts.add("nothing is in limbo", [f"{name} {count}" for name, count in left.items()])
    parked = await _parked(world)
    counts.add("nothing of this load needs a person", [f"{why}: {n}" for why, n in parked.items()])
    return Verdict(
        seed=world.plan.seed,
        households=world.plan.households,
        lost=counts.lost,
        doubled=counts.doubled,
        differing=counts.differing,
        limbo=sum(left.values()),
        unknown=sms.unknown,
        out_of_order=len(disorder),
        parked=sum(parked.values()),
        absorbed=_absorbed(world, sms),
        counted={
            **await _sizes(world),
            "requests_repeated": told.repeated,
            "killed": disturber.killed,
            "caught_in_the_act": disturber.caught,
            "cut_records": sum(map(len, disturber.cuts)),
        },
        broken=counts.broken,
        without=sorted(world.plan.without),
    )


async def _compare(world: World, counts: _Counts) -> None:
    """`tonle check`, but for what is judged more closely here."""
    audit = await check.audit(world.state)
    reported = _reported(world)
    for finding in audit.findings:
        name = finding.comparison.name
        if name == _GATEWAY:
            continue
        left = finding.differences
        if name == _REPORTS:  # a report that was booked before the log lost it is in the partner's own book
            left = [each for each in left if each.kind != "doubled" or each.key not in reported]
        kinds = Counter(each.kind for each in left)
        counts.add(
            name,
            [_named(each) for each in left],
            lost=kinds["lost"],
            doubled=kinds["doubled"],
            differing=kinds["differs"],
        )
    for name, breaches in audit.broken.items():
        counts.add(name, breaches, differing=len(breaches))


def _named(one: Difference) -> str:
    return f"{one.kind} {one.key} ({one.left} | {one.right})"


async def _receipts(world: World, told: Told, counts: _Counts) -> None:
    """What a registrar was told is registered, is."""
    db = await world.connect("registration")
    rows = await db.fetch("select household_id, max(revision) as revision from every_change group by 1")
    await db.close()
    kept = {row["household_id"]: row["revision"] for row in rows}
    lost = [f"{each} {revision}" for each, revision in told.revisions.items() if kept.get(each, 0) < revision]
    counts.add("what a registrar holds a receipt for is registered", lost, lost=len(lost))


def _paid_twice(world: World, counts: _Counts) -> None:
    """By the partners' own ledgers: one payment at most for a household in this one cycle."""
    households: Counter[str] = Counter()
    for partner in PARTNERS:
        query = "select household_id from payment where state in ('accepted', 'settled')"
        households.update(row[0] for row in _ledger(world, f"partner-{partner}.sqlite", query))
    twice = {each: count for each, count in households.items() if count > 1}
    counts.add(
        "no household is paid twice",
        [f"{each} {count} times" for each, count in twice.items()],
        doubled=sum(twice.values()) - len(twice),
    )


async def _within_envelope(world: World, counts: _Counts) -> None:
    """The outbox has what each transaction committed and freed, after what it found committed and freed."""
    db = await world.connect("payments")
    rows = await db.fetch("select created_at, outbox_messages(id) as packed from outbox order by id")
    await db.close()
    funded = committed = 0
    over = []
    for _, together in groupby(rows, lambda row: row["created_at"]):
        for row in together:
            for record in chain.from_iterable(parcel.opened() for parcel in unpack(row["packed"])):
                topic = record.topic
                said = {} if topic.startswith("partner.") else json.loads(record.value)
                if topic == "envelope.changed.v1":
                    funded = said["funded"]
                elif topic == "payment.issued.v1":
                    committed += said["amount"]
                elif topic == "payment.updated.v1" and said["state"] in _FREED:
                    committed -= said["amount"]
        if committed > funded:
            over.append(f"{committed} of {funded} riel")
    counts.add("committed minus released never exceeded the envelope", over, differing=len(over))


async def _sms(world: World, counts: _Counts) -> Sms:
    """One SMS a payment and template at most, none missing that was sent."""
    db = await world.connect("notifications")
    rows = await db.fetch("select sms_id, payment_id, template, state from sms")
    await db.close()
    inbox = list(_ledger(world, "gateway.sqlite", "select sms_id, recipient, text, copies from sms"))
    known = {row["sms_id"]: (row["payment_id"] or row["sms_id"], row["template"]) for row in rows}
    arrived = {row[0] for row in inbox}
    told = Counter(known[row[0]] for row in inbox if row[0] in known)
    strays = Counter((row[1], row[2]) for row in inbox if row[0] not in known)
    lost = (
        [] if strays else [r["sms_id"] for r in rows if r["state"] == "sent" and r["sms_id"] not in arrived]
    )
    twice = sum(count - 1 for count in (*told.values(), *strays.values()))
    counts.add("each SMS sent arrived", lost, lost=len(lost))
    counts.add("no telephone is told twice", [f"{twice} SMS too many"] * (twice > 0), doubled=twice)
    unknown = sum(row["state"] == "unknown" for row in rows)
    return Sms(len(lost), twice, unknown, sum(row[3] - 1 for row in inbox))


async def _disorder(world: World, disturber: Disturber) -> list[str]:
    wrong = []
    for topic in BUSINESS:
        if topic.producer == "notifications":
            continue  # an SMS's versions are its own, and `tonle check` looks at them
        name = world.state.topic_prefix + topic.name
        records = await heard(world.broker, name, disturber.cuts)
        wrong += out_of_order(name, records)
    return wrong


async def _parked(world: World) -> dict[str, int]:
    found: Counter[str] = Counter()
    for service in world.state.services:
        db = await world.connect(service)
        for row in await db.fetch(_PARKED):
            found[f"{service} {row['topic']} {row['reason']}"] += row["n"]
        await db.close()
    return dict(found)


async def _sizes(world: World) -> dict[str, int]:
    sizes = {}
    for name, service, query in (
        ("registered", "registration", "select count(*) from household"),
        ("revisions", "registration", "select count(*) from every_change where kind <> 'registered'"),
        ("payments", "payments", "select count(*) from payment"),
        ("waiting", "payments", "select count(*) from decision where waiting is not null"),
        ("corrections", "payments", "select count(*) from correction"),
        ("inquiries", "payments", "select coalesce(sum(inquiries), 0) from payment"),
        ("sms", "notifications", "select count(*) from sms where state = 'sent'"),
    ):
        db = await world.connect(service)
        sizes[name] = int(await db.fetchval(query))
        await db.close()
    return sizes


def _absorbed(world: World, sms: Sms) -> dict[str, int]:
    told_again = "select coalesce(sum(told - 1), 0) from payment"
    partner = sum(next(_ledger(world, f"partner-{partner}.sqlite", told_again))[0] for partner in PARTNERS)
    return {
        **dict.fromkeys(("position", "sequence", "unique key"), 0),
        **world.tally.absorbed(),
        "gateway key": sms.absorbed,
        "partner key": partner,
    }


def _reported(world: World) -> set[str]:
    query = "select household_id || '/' || report_id from report"
    return {row[0] for partner in PARTNERS for row in _ledger(world, f"partner-{partner}.sqlite", query)}


def _ledger(world: World, file: str, query: str) -> Iterator[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{world.plan.home / file}?mode=ro", uri=True)) as db:
        yield from db.execute(query).fetchall()
