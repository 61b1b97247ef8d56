"""What a programme asks of a household, counted from its members on one day. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from contracts.household import Condition, Member, Persons, Purpose
from services.eligibility.programmes import Parameters


@dataclass(frozen=True, slots=True)
class Facts:
    """A household in numbers on the reference date. Never leaves the service: it hints at conditions.

    `vulnerable_members` is what a programme pays extra for; the four counts before it may overlap.
    """

    members: int
    children: int = 0
    elders: int = 0
    with_disability: int = 0
    with_hiv: int = 0
    vulnerable_members: int = 0
    has_card: bool = False
    card_expires_on: date | None = None


def facts_of(persons: Persons, on: date, parameters: Parameters) -> Facts:
    """Count members and circumstances on a day.

    Who is born later is no member yet. HIV counts only where the household consented to health data.
    """
    may_use_health = Purpose.HEALTH_DATA in persons.consents
    born = [member for member in persons.members if member.birth_date <= on]
    circumstances = [_circumstances(member, on, parameters, may_use_health) for member in born]
    once = parameters.vulnerable_counts == "each_person_once"
    card = persons.equity_card
    children, elders, with_disability, with_hiv = (
        sum(each[n] for each in circumstances) for n in range(_KINDS)
    )
    return Facts(
        members=len(born),
        children=children,
        elders=elders,
        with_disability=with_disability,
        with_hiv=with_hiv,
        vulnerable_members=sum(any(each) if once else sum(each) for each in circumstances),
        has_card=card is not None,
        card_expires_on=card.expires_on if card else None,
    )


_KINDS = 4


def _circumstances(member: Member, on: date, parameters: Parameters, may_use_health: bool) -> Sequence[bool]:
    age = age_on(member.birth_date, on)
    return (
        age <= parameters.child_age_most,
        age >= parameters.elder_age_least,
        Condition.DISABILITY in member.conditions,
        may_use_health and Condition.HIV in member.conditions,
    )


def age_on(birth_date: date, on: date) -> int:
    """Age in whole years; who is born on 29 February has a birthday on 1 March in other years."""
    return on.year - birth_date.year - ((on.month, on.day) < (birth_date.month, birth_date.day))
