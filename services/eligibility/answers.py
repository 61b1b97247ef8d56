"""What is registered of a household, in the words that scorecards ask for. Pure."""

from collections.abc import Collection
from datetime import date
from typing import Annotated

from msgspec import Meta

from contracts.household import CommuneCode, Relation, Sex
from services.eligibility.facts import Member, People, age_on
from services.eligibility.scorecards import Known
from services.eligibility.structs import Struct

_WORKING_AGE = 5
"""PPI 2011 asks who worked of those aged 5 or over."""


class Occupant(Member, frozen=True, kw_only=True):
    """A member with who it is to the head of the household."""

    relation: Relation


class Dwelling(Struct, frozen=True):
    """What is read of a `Dwelling`."""

    walls: str | None = None
    roof: str | None = None
    floor: str | None = None


class Home(People, frozen=True):
    """What is read of `Persons` by programmes and by scorecards: names and numbers stay unread."""

    members: Annotated[tuple[Occupant, ...], Meta(min_length=1, max_length=40)]
    dwelling: Dwelling | None = None
    assets: tuple[str, ...] = ()


def known_of(home: Home, commune: CommuneCode, on: date) -> Known:
    """What a household's registration says on a day; who is born later is no member yet."""
    members = [each for each in home.members if each.birth_date <= on]
    lead = [each for each in members if each.relation in (Relation.HEAD, Relation.SPOUSE)]
    found: dict[str, int | Collection[str]] = {
        "members": len(members),
        "members_aged_5": sum(age_on(each.birth_date, on) >= _WORKING_AGE for each in members),
        "female_head_or_spouse": ["yes" if any(each.sex is Sex.FEMALE for each in lead) else "no"],
        "province": [commune[:2]],
        "assets": [asset.strip().casefold() for asset in home.assets],
    }
    for name in ("walls", "roof", "floor"):
        if word := getattr(home.dwelling, name, None):
            found[name] = [word.strip().casefold()]
    return found
