"""A complaint goes its way step by step, within working days, and up a level when it is late."""

from datetime import UTC, date, datetime

import pytest

from contracts.grievance import GrievanceState as State
from services.registration import grievances
from services.registration.app import rulebook
from services.registration.grievances import Calendar, Grievance, Refused, Verb

BOOK = rulebook()
DUE = date(2026, 3, 20)
TABLE = {
    Verb.ACKNOWLEDGE: {State.OPENED: State.ACKNOWLEDGED, State.REOPENED: State.ACKNOWLEDGED},
    Verb.TAKE: dict.fromkeys(
        (State.OPENED, State.ACKNOWLEDGED, State.IN_WORK, State.REOPENED), State.IN_WORK
    ),
    Verb.RESOLVE: {State.IN_WORK: State.RESOLVED},
    Verb.REJECT: {State.IN_WORK: State.REJECTED},
    Verb.REOPEN: {State.RESOLVED: State.REOPENED, State.REJECTED: State.REOPENED},
    Verb.CLOSE: {State.RESOLVED: State.CLOSED, State.REJECTED: State.CLOSED},
}
ENDS = {
    Verb.ACKNOWLEDGE: State.ACKNOWLEDGED,
    Verb.RESOLVE: State.RESOLVED,
    Verb.REJECT: State.REJECTED,
    Verb.REOPEN: State.REOPENED,
    Verb.CLOSE: State.CLOSED,
}
STATES = [state for state in State if state is not State.UNRECOGNISED]


def grievance(state: State = State.OPENED, level: int = 1, commune: str = "010203") -> Grievance:
    return Grievance(
        grievance_id="g-1",
        number="G-000001",
        household_id="h-1",
        message_id=None,
        commune=commune,
        channel="window",
        category="payment",
        text="the money did not come",
        decision_id=None,
        state=state,
        level=level,
        due_on=DUE,
        assigned_to="somebody",
        opened_at=datetime(2026, 3, 2, tzinfo=UTC),
        sequence=3,
    )


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("state", STATES)
def test_a_step_is_taken_from_the_states_it_knows_and_refused_from_others(verb: Verb, state: State) -> None:
    before = grievance(state)
    if state in TABLE[verb]:
        after = grievances.act(before, verb, "office", DUE)
        assert (after.state, after.sequence) == (TABLE[verb][state], 4)
    elif state is ENDS.get(verb):
        assert grievances.act(before, verb, "office", DUE) is before
    else:
        with pytest.raises(Refused, match=f"is {state.value}"):
            grievances.act(before, verb, "office", DUE)


def test_who_takes_a_grievance_works_on_it_and_a_reopened_one_is_nobodys_with_a_new_last_day() -> None:
    taken = grievances.act(grievance(), Verb.TAKE, "office", DUE)
    assert taken.assigned_to == "office"
    assert grievances.act(taken, Verb.TAKE, "office", DUE) is taken
    later = date(2026, 5, 1)
    reopened = grievances.act(grievance(State.RESOLVED), Verb.REOPEN, "office", later)
    assert (reopened.assigned_to, reopened.due_on) == (None, later)


@pytest.mark.parametrize(
    ("opened", "last"),
    [
        (date(2026, 3, 2), date(2026, 3, 16)),  # ten days without weekends
        (date(2026, 4, 10), date(2026, 4, 29)),  # and without Khmer New Year, 14 to 16 April
        (date(2026, 3, 7), date(2026, 3, 20)),  # from a Saturday
    ],
)
def test_deadlines_count_days_on_which_offices_work(opened: date, last: date) -> None:
    assert BOOK.due("payment", opened) == last


def test_a_calendar_without_holidays_counts_every_day() -> None:
    assert Calendar(lambda _: True).after(date(2026, 4, 13), 3) == date(2026, 4, 16)


def test_what_is_late_goes_one_level_up_and_offices_of_small_areas_work_on_it_no_more() -> None:
    up = grievances.escalate(grievance(), DUE)
    assert (up.level, up.assigned_to) == (2, None)
    assert [grievances.may_work(area, grievance()) for area in ("010203", "0102", "", "0103")] == [
        *(True, True, True),
        False,
    ]
    assert [grievances.may_work(area, up) for area in ("010203", "0102", "01", "")] == [
        False,
        True,
        True,
        True,
    ]


def test_a_complaint_of_nobodys_household_begins_at_the_national_office() -> None:
    assert [grievances.first_level(commune) for commune in ("010203", "")] == [1, grievances.NATION]
