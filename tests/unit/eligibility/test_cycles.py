"""Which cycle a household is decided for, and who is scored again when a cycle changes."""

from datetime import date, timedelta

import pytest

from contracts.cycle import CycleState
from services.eligibility import cycles
from services.eligibility.cycles import Cycle, Misplaced, UnknownState
from tests.unit.eligibility.samples import CYCLE, PROGRAMME, START, cycle_changed

JULY = f"{PROGRAMME.id}-2023-07"


def after(*states: CycleState, cycle_id: str = CYCLE) -> Cycle:
    """A cycle that went through these states, a minute each."""
    cycle: Cycle | None = None
    for number, state in enumerate(states, 1):
        cycle = cycles.take(cycle, cycle_changed(state, number, minute=number, cycle_id=cycle_id)) or cycle
    assert cycle is not None
    return cycle


OPENED, SUBMITTED, APPROVED = CycleState.OPENED, CycleState.SUBMITTED, CycleState.APPROVED
REFUSED, CLOSED = CycleState.REFUSED, CycleState.CLOSED


@pytest.mark.parametrize(
    ("states", "opened", "ended"),
    [
        ((OPENED,), 1, None),
        ((OPENED, SUBMITTED, APPROVED), 1, None),
        ((OPENED, SUBMITTED, APPROVED, CLOSED), 1, 4),
        ((OPENED, SUBMITTED, REFUSED), 1, 3),
        ((OPENED, SUBMITTED, REFUSED, CLOSED), 1, 3),
        ((OPENED, SUBMITTED, REFUSED, OPENED), 4, None),
    ],
)
def test_a_cycle_is_open_from_opened_until_closed_or_refused(
    states: tuple[CycleState, ...], opened: int, ended: int | None
) -> None:
    cycle = after(*states)
    assert cycle.opened_at == START + timedelta(minutes=opened)
    assert cycle.ended_at == (START + timedelta(minutes=ended) if ended else None)
    assert cycle.version == len(states)


def test_a_stale_or_repeated_change_is_ignored() -> None:
    cycle = after(OPENED, SUBMITTED, APPROVED, CLOSED)
    for version in (1, 3, 4):
        assert cycles.take(cycle, cycle_changed(OPENED, version, minute=9)) is None


def test_a_change_under_another_key_or_of_an_unknown_state_parks() -> None:
    misplaced = cycle_changed()
    misplaced.key = "other"
    with pytest.raises(Misplaced, match="the event's key is not its aggregate"):
        cycles.take(None, misplaced)
    with pytest.raises(UnknownState):
        cycles.take(None, cycle_changed(CycleState.UNRECOGNISED))


@pytest.mark.parametrize(
    ("before", "then", "who"),
    [
        ((), OPENED, "all"),
        ((OPENED,), SUBMITTED, "nobody"),
        ((OPENED, SUBMITTED), APPROVED, "nobody"),
        ((OPENED, SUBMITTED, APPROVED), CLOSED, "later"),
        ((OPENED, SUBMITTED), REFUSED, "later"),
        ((OPENED, REFUSED), CLOSED, "nobody"),
        ((OPENED, REFUSED), OPENED, "all"),
    ],
)
def test_opening_concerns_all_and_ending_those_registered_later(
    before: tuple[CycleState, ...], then: CycleState, who: str
) -> None:
    known = after(*before) if before else None
    changed = cycles.take(known, cycle_changed(then, len(before) + 1, minute=10))
    assert changed is not None
    caseload = cycles.caseload(known, changed)
    if who == "nobody":
        assert caseload is None
    else:
        assert caseload is not None
        assert caseload.since == (START + timedelta(minutes=10) if who == "later" else None)


def test_an_opening_with_another_reference_date_concerns_all_again() -> None:
    known = after(OPENED)
    changed = cycles.take(known, cycle_changed(OPENED, 2, minute=2, reference_date=date(2023, 6, 15)))
    assert changed is not None
    found = cycles.caseload(known, changed)
    assert found is not None
    assert found.since is None


@pytest.mark.parametrize(
    ("known", "minute", "governing"),
    [
        ([], 0, None),
        ([after(OPENED)], 0, CYCLE),  # registered before it opened: the caseload
        ([after(OPENED)], 9, CYCLE),
        ([after(OPENED, CLOSED)], 2, CYCLE),
        ([after(OPENED, CLOSED)], 3, None),  # registered after it closed
        ([after(OPENED, CLOSED), after(SUBMITTED, OPENED, APPROVED, cycle_id=JULY)], 1, JULY),
        ([after(OPENED, CLOSED, cycle_id=JULY), after(OPENED)], 3, CYCLE),
        ([after(OPENED), after(OPENED, cycle_id=JULY)], 3, JULY),  # opened at once: by id
    ],
)
def test_a_household_is_decided_for_the_last_opened_cycle_it_is_in_time_for(
    known: list[Cycle], minute: int, governing: str | None
) -> None:
    for order in (known, known[::-1]):
        found = cycles.governing(order, START + timedelta(minutes=minute))
        assert (found.cycle_id if found else None) == governing
