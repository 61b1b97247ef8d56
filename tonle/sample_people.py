"""The people of a sample household, drawn like those of `sample_survey`. Pure: chances (0..1) are given."""

from bisect import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Generic, NamedTuple, TypeVar

from tonle import sample_survey as survey

T = TypeVar("T")
Draw = Callable[[], float]

OLDEST_DISABLED = max(survey.DISABLED)
PREGNANT_MONTHS = 9
HIV_SHARE = 0.005
"""Ours: the survey does not ask, and nobody shall be recognised by it."""


class Weights(Generic[T]):
    """A choice among values in given shares."""

    def __init__(self, shares: Mapping[T, int]) -> None:
        self._values = list(shares)
        self._sums = list(accumulate(shares.values()))

    def pick(self, chance: float) -> T:
        """The value at `chance` (0..1)."""
        return self._values[bisect(self._sums, chance * self._sums[-1])]


class Bands:
    """Whole numbers in bands of `width` from `first`, in the shares that were counted; even within a band."""

    def __init__(self, counts: Sequence[int], first: int = 0, width: int = 5) -> None:
        self._width = width
        self._starts = [first + width * at for at, count in enumerate(counts) for _ in range(count)]

    def pick(self, chance: float) -> int:
        """The number at `chance` (0..1)."""
        place = chance * len(self._starts)
        at = int(place)
        return self._starts[at] + int(self._width * (place - at))


class Someone(NamedTuple):
    """A member: relation to the head, age in whole years, sex."""

    relation: str
    age: int
    female: bool


_SIZES = Weights(survey.SIZES)
_FEMALE_HEADS = {
    size: sum(survey.HEADS["female"][size]) / sum(sum(each[size]) for each in survey.HEADS.values())
    for size in range(1, survey.SIZE_GROUPED + 1)
}
_HEADS = {
    (sex == "female", size): Bands(counts, survey.HEADS_FROM)
    for sex, sizes in survey.HEADS.items()
    for size, counts in sizes.items()
}
_COUPLES = {
    (sex == "female", size): together / of
    for sex, sizes in survey.COUPLES.items()
    for size, (together, of) in sizes.items()
}
_SPOUSES = {
    sex == "female": Bands(counts, survey.SPOUSE_FROM, 2) for sex, counts in survey.SPOUSE_YEARS.items()
}
_CHILDREN = {band: Bands(counts) for band, (counts, _) in survey.CHILDREN.items()}
_CHILDREN_SHARE = {band: sum(counts) / (sum(counts) + no) for band, (counts, no) in survey.CHILDREN.items()}
_OTHERS = {band: Bands(counts) for band, counts in survey.OTHERS.items()}
_FEMALE_CHILDREN, _FEMALE_OTHERS = (part / of for part, of in (survey.FEMALE_CHILDREN, survey.FEMALE_OTHERS))
_DISABLED = {age: part / of for age, (part, of) in survey.DISABLED.items()}
_PREGNANT = survey.BIRTHS[0] / survey.BIRTHS[1] * PREGNANT_MONTHS / 12
_ATTENDING = {age: part / of for age, (part, of) in survey.ATTENDING.items()}
_OLDEST_BAND = max(survey.CHILDREN)
# No parent of the survey is younger than this at a child's birth.
_PARENT_FROM = 14


def size(chance: float) -> int:
    """How many persons there are."""
    return _SIZES.pick(chance)


def people(draw: Draw, persons: int) -> Iterator[Someone]:
    """The members, the head first."""
    grouped = min(persons, survey.SIZE_GROUPED)
    female = draw() < _FEMALE_HEADS[grouped]
    head = Someone("head", _HEADS[female, grouped].pick(draw()), female)
    yield head
    left = persons - 1
    if left and draw() < _COUPLES[female, grouped]:
        yield Someone("spouse", max(16, head.age + _SPOUSES[female].pick(draw())), not female)
        left -= 1
    band = min(head.age // 5 * 5, _OLDEST_BAND)
    for _ in range(left):
        if draw() < _CHILDREN_SHARE[band]:
            age = min(_CHILDREN[band].pick(draw()), head.age - _PARENT_FROM)
            yield Someone("child", age, draw() < _FEMALE_CHILDREN)
        else:
            age = _OTHERS[15 if head.age < 35 else 35 if head.age < 55 else 55].pick(draw())
            yield Someone(_kin(age - head.age), age, draw() < _FEMALE_OTHERS)


def _kin(older: int) -> str:
    """The survey only says that they are related; that much older than the head, they are likely this."""
    if older > 16:
        return "parent"
    return "grandchild" if older < -33 else "sibling" if abs(older) < 16 else "other"


def at_risk(members: Sequence[Someone]) -> bool:
    """Whether a household that is near-poor counts as at risk for who its members are; disability does, too.

    Decisions 67 SSR, 133/MEF and 134/MEF of 2022.
    """
    head = members[0]
    alone = head.female and all(each.relation != "spouse" for each in members)
    if alone or all(each.age < 18 for each in members):
        return True
    return any(each.age < 2 or each.age >= 60 for each in members)


def condition(chance: float, age: int, *, female: bool) -> str:
    """What a programme may ask of somebody's health, empty for most."""
    disabled = _DISABLED[min(age // 15 * 15, OLDEST_DISABLED)]
    if chance < disabled:
        return "disability"
    if female and 18 <= age <= 44 and chance < disabled + _PREGNANT:
        return "pregnancy"
    return "hiv" if chance > 1 - HIV_SHARE else ""


def school(chance: float, age: int) -> str:
    """The level of school that somebody goes to, empty for who goes to none."""
    if chance >= _ATTENDING.get(age, 0):
        return ""
    return "primary" if age < 12 else "lower_secondary" if age < 15 else "upper_secondary"
