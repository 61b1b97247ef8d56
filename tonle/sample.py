"""Sample households as rows of an import file: drawn from a seed, the same seed gives the same rows."""

from bisect import bisect
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from random import Random
from typing import Generic, TypeVar

from tonle import sample_facts as facts
from tonle.sample_slips import registered_again

T = TypeVar("T")

MEMBERS_MOST = max(facts.SIZES)
TODAY = date(2023, 6, 1).toordinal()
"""Ages are drawn as of this day, so that a file does not change with the calendar."""

HOUSEHOLD_COLUMNS = (
    *("reference", "village", "level", "card_number", "card_expires_on", "phone", "account_provider"),
    *("account_number", "contact", "language", "collector", "consents", "roof", "walls", "floor", "toilet"),
    *("water", "electricity", "assets"),
)
MEMBER_COLUMNS = (
    *("name_km", "name_latin", "sex", "birth_date", "relation", "conditions", "school"),
    *("attendance_percent", "national_id"),
)
COLUMNS = (
    *HOUSEHOLD_COLUMNS,
    *(f"member_{n}_{name}" for n in range(1, MEMBERS_MOST + 1) for name in MEMBER_COLUMNS),
)
_AT = {name: index for index, name in enumerate(COLUMNS)}
_NO_MEMBER = [""] * len(MEMBER_COLUMNS)
_REMEMBERED = 500


class Weights(Generic[T]):
    """A choice among values in given shares."""

    def __init__(self, shares: Mapping[T, int]) -> None:
        self._values = list(shares)
        self._sums = list(accumulate(shares.values()))

    def pick(self, chance: float) -> T:
        """The value at `chance` (0..1)."""
        return self._values[bisect(self._sums, chance * self._sums[-1])]


@dataclass(frozen=True)
class Shares:
    """How many rows are spoilt, claim another household's card, id or account, or are one again (0..1)."""

    bad: float = 0.005
    duplicate: float = 0.002
    hidden: float = 0.0


class Sampler:
    """Draws households one after another; `villages` are the codes of each province."""

    def __init__(self, seed: int, villages: Mapping[str, Sequence[str]], shares: Shares) -> None:
        self._seed = seed
        self._random = Random(seed)  # noqa: S311 - samples, no secrets
        # Slips are drawn apart, so that a file without them stays as it was.
        self._slips = Random(f"{seed} slips")  # noqa: S311
        self.registered_again: list[tuple[str, str]] = []
        """What the rows so far hold twice without showing it: a reference, and the one before it."""
        self._villages = villages
        self._shares = shares
        self._earlier: deque[list[str]] = deque(maxlen=_REMEMBERED)
        self._level = Weights(facts.LEVELS)
        self._size = Weights(facts.SIZES)
        self._province = Weights(facts.IDPOOR_HOUSEHOLDS)

    def rows(self, households: int) -> Iterator[list[str]]:
        """That many rows of `COLUMNS`; an empty cell is absent."""
        for index in range(households):
            row = self._household(index)
            chance = self._random.random()
            if chance < self._shares.bad:
                self._spoil(row)
            elif chance < self._shares.bad + self._shares.duplicate and self._earlier:
                self._claim_anothers(row)
            elif self._slips.random() < self._shares.hidden and self._earlier:
                row = self._register_again(row)
            else:
                self._earlier.append(row)
            yield row

    def _household(self, index: int) -> list[str]:
        draw, choice = self._random.random, self._random.choice
        level = self._level.pick(draw())
        size = self._size.pick(draw())
        card = level != "none"
        banked = draw() < 0.55
        consented = draw() < 0.8
        row = [
            f"S{self._seed}-{index:07d}",
            choice(self._villages[self._province.pick(draw())]),
            level,
            _spread(index, self._seed, 9, 1_000_000) if card else "",
            ("2022-12-31" if draw() < 0.02 else "2025-12-31") if card else "",
            self._phone() if draw() < 0.9 else "",
            "wing" if banked else "",
            _spread(index, self._seed, 9, 1_000_000) if banked else "",
            "neutral" if (preference := draw()) < 0.4 else "full" if preference < 0.95 else "none",
            "km" if draw() < 0.95 else "en",
            "2" if size > 1 and draw() < 0.3 else "1",
            "delivery;health_data;referral" if consented else "delivery",
            choice(facts.ROOFS),
            choice(facts.WALLS),
            choice(facts.FLOORS),
            choice(facts.TOILETS),
            choice(facts.WATERS),
            "yes" if draw() < 0.7 else "no",
            f"{choice(facts.ASSETS)};mobile phone" if draw() < 0.5 else "",
        ]
        self._members(row, index, size, consented=consented)
        return row

    def _members(self, row: list[str], index: int, size: int, *, consented: bool) -> None:
        draw = self._random.random
        surname = self._random.choice(facts.SURNAMES)
        head_age = 20 + int(55 * draw())
        head_female = draw() < 0.4
        couple = size > 1 and draw() < 0.75
        for number in range(size):
            if number == 0:
                relation, age, female = "head", head_age, head_female
            elif number == 1 and couple:
                relation, age, female = "spouse", max(18, head_age - 8 + int(12 * draw())), not head_female
            elif draw() < 0.1:
                relation, age, female = "parent", min(95, head_age + 18 + int(12 * draw())), draw() < 0.6
            else:
                oldest = max(1, min(30, head_age - 18))
                relation, age, female = "child", int(oldest * draw() ** 1.3), draw() < 0.5
            condition = _condition(draw(), age, female=female) if consented else ""
            row += self._member(
                surname, index * MEMBERS_MOST + number, relation, age, condition, female=female
            )
        for _ in range(MEMBERS_MOST - size):
            row += _NO_MEMBER

    def _member(
        self, surname: tuple[str, str], number: int, relation: str, age: int, condition: str, *, female: bool
    ) -> list[str]:
        draw = self._random.random
        given = self._random.choice(facts.FEMALE_NAMES if female else facts.MALE_NAMES)
        in_school = 6 <= age <= 17 and draw() < 0.85
        level = "primary" if age < 12 else "lower_secondary" if age < 15 else "upper_secondary"
        return [
            f"{surname[0]} {given[0]}",
            f"{surname[1]} {given[1]}",
            "female" if female else "male",
            date.fromordinal(TODAY - age * 365 - age // 4 - int(364 * draw())).isoformat(),
            relation,
            condition,
            level if in_school else "",
            str(60 + int(41 * draw())) if in_school else "",
            f"1{_spread(number, self._seed, 10, 10_000_000)}" if age >= 15 else "",
        ]

    def _phone(self) -> str:
        prefix, digits = self._random.choice(facts.MOBILE_PREFIXES)
        return f"{prefix}{int(10**digits * self._random.random()):0{digits}d}"

    def _spoil(self, row: list[str]) -> None:
        column, value = self._random.choice(_SPOILT)
        row[_AT[column]] = value

    def _claim_anothers(self, row: list[str]) -> None:
        other = self._random.choice(self._earlier)
        for columns in self._random.sample(_CLAIMS, len(_CLAIMS)):
            if other[_AT[columns[0]]]:
                for column in columns:
                    row[_AT[column]] = other[_AT[column]]
                return

    def _register_again(self, fresh: list[str]) -> list[str]:
        first = dict(zip(COLUMNS, self._slips.choice(self._earlier), strict=True))
        village = first["village"]
        self.registered_again.append((fresh[_AT["reference"]], first["reference"]))
        again = registered_again(
            first,
            dict(zip(COLUMNS, fresh, strict=True)),
            self._slips,
            [each for each in self._villages[village[:2]] if each.startswith(village[:6])],
            [n for n in range(1, MEMBERS_MOST + 1) if first[f"member_{n}_name_km"]],
        )
        return list(again.values())


_SPOILT = (
    ("village", "99999999"),
    ("member_1_birth_date", "31/02/1980"),
    ("member_1_birth_date", "2191-01-01"),
    ("member_1_sex", "unknown"),
    ("phone", "12345"),
    ("member_1_name_km", ""),
    ("level", "poor"),
    ("member_1_relation", "self"),
    ("collector", "9"),
)
_CLAIMS = (
    ("card_number",),
    ("member_1_national_id",),
    ("account_number", "account_provider"),
)


def _condition(chance: float, age: int, *, female: bool) -> str:
    if chance < 0.04:
        return "disability"
    if chance < 0.08 and female and 18 <= age <= 44:
        return "pregnancy"
    return "hiv" if chance > 0.995 else ""


def _spread(number: int, seed: int, digits: int, room: int) -> str:
    """A number of that many digits; a thousand seeds of `room` numbers each give no two the same."""
    return f"{((seed % 1000 * room + number) * 7_368_787 + 1_234_567) % 10**digits:0{digits}d}"
