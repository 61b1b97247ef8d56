"""What is due of a household by a day: its milestones, each reached once. Pure."""

from datetime import date, timedelta
from typing import NamedTuple

from services.eligibility import milestones
from services.eligibility.grounds import Registration
from services.eligibility.households import Desk, Household
from services.eligibility.milestones import Milestone


class Due(NamedTuple):
    """A household's milestones due by a day, in order, and the day of the next one after it."""

    milestones: tuple[Milestone, ...]
    next_on: date | None


def due(desk: Desk, household: Household, kept: Registration, day: date) -> Due:
    """What is due of a household by a day and was not reached before; nothing for one that left or is
    forgotten."""
    known = None if household.has_left else desk.opened(household, kept)
    if known is None or kept.due_on is None:
        return Due((), None)
    before = max(kept.due_on - timedelta(days=1), household.registered_on)
    ahead = milestones.ahead(known.people, household.registered_on, before, desk.birthdays, desk.notice)
    later = (each.day for each in ahead if each.day > day)
    return Due(tuple(dict.fromkeys(each for each in ahead if each.day <= day)), next(later, None))
