"""Cycles as eligibility knows them: which one a household's decision is for. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime

from contracts.cycle import CycleChanged, CycleState
from contracts.wire import Received
from postbox.errors import Park

_ENDED = frozenset({CycleState.CLOSED, CycleState.REFUSED})


class Misplaced(Park):
    """the event's key is not its aggregate"""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class UnknownState(Park):
    """cycle: a state this version does not know"""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@dataclass(frozen=True, slots=True)
class Cycle:
    """One programme and period; open from `opened_at` until `ended_at` (closed or refused).

    `version` is the last sequence seen, `cause_id` the event that opened or ended it.
    """

    cycle_id: str
    programme: str
    period: str
    reference_date: date
    version: int
    opened_at: datetime
    ended_at: datetime | None = None
    cause_id: str = ""


@dataclass(frozen=True, slots=True)
class Caseload:
    """Households to score again because a cycle changed; `since`: only those registered after it."""

    cycle_id: str
    version: int
    cause_id: str
    since: datetime | None


def take(known: Cycle | None, changed: Received[CycleChanged]) -> Cycle | None:
    """Take in what payments says of a cycle. None for what is stale.

    A cycle that was refused may be opened again, and one that was only opened may get other terms: that is
    a new opening. Raises `Misplaced`, `UnknownState`.
    """
    said = changed.data
    if changed.key != said.cycle_id:
        raise Misplaced
    if said.state is CycleState.UNRECOGNISED:
        raise UnknownState
    if known is not None and changed.sequence <= known.version:
        return None
    ends = said.state in _ENDED
    now = Cycle(
        said.cycle_id,
        said.programme,
        said.period,
        said.reference_date,
        version=changed.sequence,
        opened_at=changed.time,
        ended_at=changed.time if ends else None,
        cause_id=changed.id,
    )
    if known is None or _terms(known) != _terms(now) or (known.ended_at is not None and not ends):
        return now
    if known.ended_at is None and ends:
        return replace(now, opened_at=known.opened_at)
    return replace(known, version=changed.sequence)


def caseload(before: Cycle | None, after: Cycle) -> Caseload | None:
    """Who must be scored again: all where a cycle opened; where it ended, who was registered later.

    An end does not take back decisions made while the cycle was open.
    """
    reopened = before is not None and before.ended_at is not None and after.ended_at is None
    if before is None or reopened or before.opened_at != after.opened_at or _terms(before) != _terms(after):
        return Caseload(after.cycle_id, after.version, after.cause_id, None)
    if before.ended_at is None and after.ended_at is not None:
        return Caseload(after.cycle_id, after.version, after.cause_id, after.ended_at)
    return None


def governing(cycles: Iterable[Cycle], registered_at: datetime) -> Cycle | None:
    """The one of a programme's cycles that a household registered at that time is decided for: the last
    opened that it is in time for. None where there is none.

    It hangs on events' times alone, never on which event arrived first.
    """
    in_time = [cycle for cycle in cycles if cycle.ended_at is None or registered_at <= cycle.ended_at]
    return max(in_time, key=lambda cycle: (cycle.opened_at, cycle.cycle_id), default=None)


def _terms(cycle: Cycle) -> tuple[str, str, date]:
    return cycle.programme, cycle.period, cycle.reference_date
