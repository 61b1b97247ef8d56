"""Shocks as eligibility knows them: where and when each holds, by what was declared and ended. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from contracts.shock import ShockDeclared, ShockEnded, ShockKind
from contracts.topics import SHOCK_DECLARED, SHOCK_ENDED
from contracts.wire import Cause, Received, Record, emit, event_id


@dataclass(frozen=True, slots=True)
class Shock:
    """A shock of some communes from `first_day` to `last_day`, both included, but not from `ended_on` on.

    `version` is the last `ce_sequence` told of it: 1 as declared, one more for each end.
    """

    name: str
    kind: ShockKind
    communes: frozenset[str]
    first_day: date
    last_day: date | None
    version: int = 1
    ended_on: date | None = None

    @property
    def named(self) -> str:
        """As decisions name it."""
        return f"{self.name}@{self.version}"

    @property
    def event_id(self) -> str:
        """The id of the last event that tells of it."""
        return event_id(SHOCK_DECLARED if self.version == 1 else SHOCK_ENDED, self.name, self.version)

    def holds(self, on: date) -> bool:
        """Whether it holds on a day, in its communes."""
        return (
            self.first_day <= on
            and (self.last_day is None or on <= self.last_day)
            and (self.ended_on is None or on < self.ended_on)
        )

    def says_as(self, other: "Shock") -> bool:
        """Whether both were declared alike, however they were ended."""
        return (self.kind, self.communes, self.first_day, self.last_day) == (
            other.kind,
            other.communes,
            other.first_day,
            other.last_day,
        )

    def end(self, on: date) -> "Shock | None":
        """Ended from a day on; None where that would make it hold longer than it does now."""
        if self.ended_on is not None and on > self.ended_on:
            return None
        if self.last_day is not None and on > self.last_day:
            return None
        return replace(self, ended_on=on, version=self.version + 1)


def held(shocks: Iterable[Shock], days: Iterable[date]) -> tuple[Shock, ...]:
    """Those that hold on one of these days, by name."""
    days = tuple(days)
    return tuple(sorted((s for s in shocks if any(map(s.holds, days))), key=lambda shock: shock.name))


def as_declared(said: ShockDeclared) -> Shock:
    """A shock as its declaration says it."""
    return Shock(said.shock, said.kind, frozenset(said.communes), said.first_day, said.last_day)


def told(shock: Shock, by: str, at: datetime, traceparent: str) -> Record:
    """A shock just declared or ended as an event; `by` is known by its token."""
    said = (
        ShockDeclared(
            shock=shock.name,
            kind=shock.kind,
            communes=tuple(sorted(shock.communes)),
            first_day=shock.first_day,
            last_day=shock.last_day,
            declared_by=by,
        )
        if shock.ended_on is None
        else ShockEnded(shock=shock.name, on=shock.ended_on, ended_by=by)
    )
    return emit(
        SHOCK_DECLARED if shock.ended_on is None else SHOCK_ENDED,
        said,
        id=shock.event_id,
        key=shock.name,
        sequence=shock.version,
        time=at,
        cause=Cause(shock.name, shock.name, traceparent),
    )


def as_told(
    declared: Iterable[Received[ShockDeclared]], ended: Sequence[Received[ShockEnded]], named: str
) -> Shock | None:
    """A shock as a decision names it (`name@sequence`), from the log; None where an event is missing."""
    name, _, version = named.partition("@")
    found = next((each.data for each in declared if each.data.shock == name), None)
    ends = {each.sequence: each.data for each in ended if each.data.shock == name}
    last = int(version) if version.isdecimal() else 0
    if (
        found is None
        or found.kind is ShockKind.UNRECOGNISED
        or last < 1
        or not ends.keys() >= set(range(2, last + 1))
    ):
        return None
    shock = as_declared(found)
    return shock if last == 1 else replace(shock, version=last, ended_on=ends[last].on)
