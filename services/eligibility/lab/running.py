"""One run of the lab: facts are taken from the archive, asked day by day, and gone when it ends."""

import resource
import time
from collections.abc import Callable, Sequence
from datetime import date

from services.eligibility.lab import extraction, store, telling
from services.eligibility.lab.extraction import Source
from services.eligibility.lab.proposals import Proposal
from services.eligibility.lab.shapes import Day
from services.eligibility.lab.store import DIMENSIONS, Lab
from services.eligibility.lab.telling import Judged

Told = Callable[[str, int, int], None]
"""Called with what is done, how far it is, and of how much."""


class NothingRegistered(Exception):
    """The archive holds no registration."""


def simulate(proposal: Proposal, source: Source, days: Sequence[date], told: Told) -> dict[str, object]:
    """The report of a proposal on every day of `days`. Raises `NothingRegistered`."""
    began = time.monotonic()
    registrations = extraction.count(extraction.registrations(source.archive))
    if not registrations:
        raise NothingRegistered
    events = registrations + extraction.count(extraction.reports(source.archive))
    read = extraction.extract(source, lambda done: told("Opening", done, events))
    extracted = time.monotonic()
    lab = Lab(source.facts, source.processes)
    report = judge(lab, proposal, days, told)
    ended = time.monotonic()
    return report | {
        "read": {
            "registrations": read.registrations,
            "reports": {str(why): reports for why, reports in read.reports.items()},
            "not_events": read.not_events,
        },
        "seconds": {"facts": round(extracted - began, 2), "judging": round(ended - extracted, 2)},
        "memory_mb_max": _memory_mb(),
    }


def judge(lab: Lab, proposal: Proposal, days: Sequence[date], told: Told) -> dict[str, object]:
    """The report of facts that are there already; groups are those of the last day."""
    judged: list[Judged] = []
    paid_before = frozenset[tuple[str, str]]()
    for number, on in enumerate(days, 1):
        day = Day(proposal, on, paid_before)
        decide(lab, day)
        paid_before = day.paid_once
        counted = lab.counted()
        unread = {why: households for why, households in counted.items() if why != "read"}
        (everyone, *_) = lab.sums("everyone") or [{}]
        judged.append(Judged(on, everyone, unread))
        told("Judging", number, len(days))
    last = judged[-1].everyone
    return {
        "days": [telling.day(each) for each in judged],
        "programmes": telling.programmes(proposal, lab.programmes()),
        "tables": telling.tables(proposal, {each: lab.sums(each) for each in DIMENSIONS}),
        "targeting": telling.targeting(last),
        "notes": list(proposal.notes),
        "sensitive": proposal.names_a_sensitive_programme,
        **telling.about(),
    }


def decide(lab: Lab, day: Day) -> None:
    """Decide each shape of household once, and give every household what is due to its shape."""
    kinds = lab.kinds(day.on, day.days_late_most)
    shapes = lab.shapes(kinds, day.classes(kinds), day.asked)
    lab.settle(list(day.due(shapes)), day.asked)


def plan(proposal: Proposal, days: Sequence[date]) -> list[str]:
    """The statements that another engine runs over the same facts, for the last day."""
    day = Day(proposal, days[-1])
    return store.plan(day.on, day.days_late_most, day.asked)


def _memory_mb() -> int:
    """The most that this process and the largest of those that opened seals held, in MB."""
    most = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(most) // 1024
