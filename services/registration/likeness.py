"""How much two households look like one, from how their members compare; and why, in words. Pure.

Weights are bits: the base-2 logarithm of how much likelier an observation is among records of one person than
among strangers (Fellegi and Sunter, 1969). They add up.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pydantic import BaseModel


class Level(NamedTuple):
    """One way in which two records may compare; the first whose condition holds is taken.

    `condition` is an SQL expression over columns `_l` and `_r`; None: any other. `of_one`: how often it holds
    for two records of one person, our judgement. `of_strangers`: how often by chance, as seen among sample
    households; a register of some size is asked itself. `rare`: a column whose rare values then weigh more.
    """

    word: str
    condition: str | None
    of_one: float
    of_strangers: float
    rare: str | None = None


_ALIKE = (
    "jaro_winkler_similarity(khmer_l, khmer_r) >= {0} {1} jaro_winkler_similarity(latin_l, latin_r) >= {0}"
)
_SWAPPED = (
    "substr(birth_date_l, 6, 2) = substr(birth_date_r, 9, 2)"
    " and substr(birth_date_l, 9, 2) = substr(birth_date_r, 6, 2) and birth_year_l = birth_year_r"
)
_SLIP = f"damerau_levenshtein(birth_date_l, birth_date_r) <= 1 or ({_SWAPPED})"
_YEAR_ONLY = (
    "birth_year_l = birth_year_r and (substr(birth_date_l, 6) = '01-01' or substr(birth_date_r, 6) = '01-01')"
)

OF_PERSONS: Mapping[str, Sequence[Level]] = {
    "name": (
        Level("the same name", "khmer_l = khmer_r and latin_l = latin_r", 0.65, 0.0025, "khmer"),
        Level("the same name in one script", "khmer_l = khmer_r or latin_l = latin_r", 0.2, 0.0003, "khmer"),
        Level("names alike", _ALIKE.format(0.92, "or"), 0.07, 0.005),
        Level("names somewhat alike", f"sound_l = sound_r or ({_ALIKE.format(0.84, 'and')})", 0.05, 0.007),
        Level("other names", None, 0.03, 0.9852),
    ),
    "birth_date": (
        Level("born the same day", "birth_date_l = birth_date_r", 0.7, 0.00005, "birth_date"),
        Level("birth dates a slip apart", _SLIP, 0.1, 0.0013),
        Level("the same year, one without its day", _YEAR_ONLY, 0.1, 0.0002),
        Level("born within a year", "abs(birth_year_l - birth_year_r) <= 1", 0.07, 0.048),
        Level("other birth dates", None, 0.03, 0.95045),
    ),
    "sex": (Level("the same sex", "sex_l = sex_r", 0.98, 0.5), Level("another sex", None, 0.02, 0.5)),
}
OF_HOUSEHOLDS: Mapping[str, Sequence[Level]] = {
    "place": (
        Level("the same village", "village_l = village_r", 0.7, 0.0001),
        Level("the same commune", "commune_l = commune_r", 0.12, 0.0007),
        Level("the same province", "substr(commune_l, 1, 2) = substr(commune_r, 1, 2)", 0.1, 0.058),
        Level("another province", None, 0.08, 0.9412),
    ),
    "phone": (
        Level("the same phone", "phone_l = phone_r", 0.4, 0.000001),
        Level("another phone", None, 0.6, 0.999999),
    ),
    "card": (
        Level("card numbers a slip apart", "damerau_levenshtein(card_l, card_r) <= 1", 0.15, 0.000001),
        Level("another card", None, 0.85, 0.999999),
    ),
}
COMPARISONS = {**OF_PERSONS, **OF_HOUSEHOLDS}
RARE = ("khmer", "birth_date")
MAY_BE_UNKNOWN = ("phone", "card")
"""Not known, not weighed. Both agree too seldom among strangers to be learnt from a sample."""

PASSES: Mapping[str, Sequence[Sequence[str]]] = {
    "commune": (("village", "birth_year", "sex"), ("village", "sound"), ("commune", "birth_date")),
    "birth_date": (("birth_date", "sound"), ("birth_date", "khmer")),
    # A village chief's phone may stand for hundreds of households.
    "phone": (("phone", "birth_year", "sex"), ("phone", "sound")),
}
"""Who is compared at all: those who agree on the key, and on all columns of one of these."""

ALIKE_BITS = 5.0
"""What must speak for two members to be one person; below it relatives look alike who share a name."""

MISSING_BITS = -4.0
"""What a member of the smaller household weighs who is not found in the other."""


class Compared(NamedTuple):
    """Two members, one of each household, as they compare. Level 0 is the last; -1: not known on one side."""

    first_member: int
    later_member: int
    levels: Mapping[str, int]
    weights: Mapping[str, float]

    @property
    def bits(self) -> float:
        """What speaks for one person, without what the whole household shares."""
        return sum(self.weights[name] for name in OF_PERSONS)


class Alike(NamedTuple):
    """Two members who may be one person: their numbers in their households, and how they compare."""

    first_member: int
    later_member: int
    bits: float
    reasons: list[str]


class Likeness(NamedTuple):
    """How much two households look like one: `bits` in all, and what they come from."""

    bits: float
    shared: list[str]
    members: list[Alike]
    missing: int


class Pair(NamedTuple):
    """Two households that look like one."""

    first: str
    later: str
    likeness: Likeness

    def turned(self, order: Mapping[str, int]) -> "Pair":
        """The same pair with the household first that comes first in `order`."""
        if order[self.first] <= order[self.later]:
            return self
        members = [
            alike._replace(first_member=alike.later_member, later_member=alike.first_member)
            for alike in self.likeness.members
        ]
        return Pair(self.later, self.first, self.likeness._replace(members=members))


class Task(BaseModel):
    """What a process of `linkage.py` shall do with a Parquet file of `people.PEOPLE`. No model: learn one.

    `key` names a pass of `PASSES`, of which this is chunk number `chunk` of `chunks`.
    """

    people: str
    memory_mb: int
    threads: int
    model: str = ""
    key: str = ""
    chunk: int = 0
    chunks: int = 1
    least_bits: float = 0.0


class Answer(BaseModel):
    """What it answers: the model it learnt, the pairs it found, or the class of the error it met."""

    model: str = ""
    pairs: list[Pair] = []
    error: str = ""


def likeness(compared: Iterable[Compared], smaller: int) -> Likeness:
    """Pair off members, the likest first, and add up. `smaller`: members of the smaller household."""
    ranked = sorted(compared, key=lambda each: (-each.bits, each.first_member, each.later_member))
    paired: list[Compared] = []
    for each in ranked:
        taken = any(
            each.first_member == other.first_member or each.later_member == other.later_member
            for other in paired
        )
        if not taken and each.bits >= ALIKE_BITS:
            paired.append(each)
    missing = smaller - len(paired)
    whole = ranked[0]
    shared = sum(whole.weights[name] for name in OF_HOUSEHOLDS)
    return Likeness(
        round(shared + sum(each.bits for each in paired) + MISSING_BITS * missing, 1),
        _reasons(whole, OF_HOUSEHOLDS),
        [
            Alike(each.first_member, each.later_member, round(each.bits, 1), _reasons(each, OF_PERSONS))
            for each in paired
        ],
        missing,
    )


def _reasons(compared: Compared, of: Mapping[str, Sequence[Level]]) -> list[str]:
    """What was observed, but what is not known."""
    return [
        levels[len(levels) - 1 - compared.levels[name]].word
        for name, levels in of.items()
        if compared.levels[name] >= 0
    ]
