"""The gazetteer: which villages exist, and whether a commune is urban (policy, *People and words*)."""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.household import AreaType

# The 33 municipalities (krong); their communes are sangkats, those of the 163 districts (srok) are khums.
# The gazetteer's package does not carry the kind of a district.
MUNICIPALITIES = frozenset([
    "0106", "0110", "0203", "0305", "0403", "0502", "0509", "0603", "0708", "0709", "0811",
    "0812", "0813", "0904", "1002", "1105", "1308", "1410", "1505", "1602", "1710", "1715",
    "1801", "1805", "1806", "1904", "2006", "2008", "2108", "2204", "2302", "2401", "2506",
])  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A village with its English name; `commune` is its code's first six digits."""

    village: str
    name: str
    commune: str
    area_type: AreaType


Gazetteer = Mapping[str, Place]


def area_type_of(commune: str) -> AreaType:
    """Province 12 is Phnom Penh; a sangkat elsewhere is other urban; a khum is rural."""
    if commune.startswith("12"):
        return AreaType.PHNOM_PENH
    return AreaType.OTHER_URBAN if commune[:4] in MUNICIPALITIES else AreaType.RURAL
