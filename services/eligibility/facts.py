"""What a programme asks of a household, counted from its members on one day. Pure."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated

from pydantic import Field

from contracts.household import Condition, Purpose
from contracts.model import Contract
from services.eligibility.programmes import Parameters


class Person(Contract):
    """What is read of a `Member`."""

    birth_date: date
    conditions: tuple[Condition, ...] = ()


class Card(Contract):
    """What is read of an `EquityCard`."""

    expires_on: date | None = None


class People(Contract):
    """What is read of `Persons`: names, numbers and dwelling stay unread."""

    members: Annotated[tuple[Person, ...], Field(min_length=1, max_length=40)]
    equity_card: Card | None = None
    consents: tuple[Purpose, ...] = ()


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


def facts_of(people: People, on: date, parameters: Parameters) -> Facts:
    """Count members and circumstances on a day.

    Who is born later is no member yet. HIV counts only where the household consented to health data.
    """
    may_use_health = Purpose.HEALTH_DATA in people.consents
    once = parameters.vulnerable_counts == "each_person_once"
    members = children = elders = with_disability = with_hiv = vulnerable = 0
    for person in people.members:
        if person.birth_date > on:
            continue
        age = age_on(person.birth_date, on)
        child, elder = age <= parameters.child_age_most, age >= parameters.elder_age_least
        disability = Condition.DISABILITY in person.conditions
        hiv = may_use_health and Condition.HIV in person.conditions
        members += 1
        children += child
        elders += elder
        with_disability += disability
        with_hiv += hiv
        vulnerable += (child or elder or disability or hiv) if once else (child + elder + disability + hiv)
    card = people.equity_card
    return Facts(
        members=members,
        children=children,
        elders=elders,
        with_disability=with_disability,
        with_hiv=with_hiv,
        vulnerable_members=vulnerable,
        has_card=card is not None,
        card_expires_on=card.expires_on if card else None,
    )


def age_on(birth_date: date, on: date) -> int:
    """Age in whole years; who is born on 29 February has a birthday on 1 March in other years."""
    return on.year - birth_date.year - ((on.month, on.day) < (birth_date.month, birth_date.day))
