"""Sample households as rows of an import file: drawn from a seed, the same seed gives the same rows."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import TypeVar

from tonle import sample_facts as facts
from tonle import sample_people
from tonle.sample_people import Someone, Weights
from tonle.sample_slips import registered_again
from tonle.sample_survey import SIZE_MOST

MEMBERS_MOST = SIZE_MOST
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
_NOT_AT_RISK = {"level": "none", "card_number": "", "card_expires_on": ""}
_NO_MEMBER = [""] * len(MEMBER_COLUMNS)
_REMEMBERED = 500
_STRIDE = 7_368_787
_PHONES = sum(10**digits for _, digits in facts.MOBILE_PREFIXES)

T = TypeVar("T")


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
        self._place = Weights(_households())

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
        draw = self._random.random
        province, level = self._place.pick(draw())
        villages = self._villages[province]
        size = sample_people.size(draw())
        card = level != "none"
        banked = draw() < 0.55
        consented = draw() < 0.8
        row = [
            f"S{self._seed}-{index:07d}",
            _one_of(villages, draw()),
            level,
            _spread(index, self._seed, 9, 1_000_000) if card else "",
            ("2022-12-31" if draw() < 0.02 else "2025-12-31") if card else "",
            _phone(index, self._seed) if draw() < 0.9 else "",
            "wing" if banked else "",
            _spread(index, self._seed, 9, 1_000_000) if banked else "",
            "neutral" if (preference := draw()) < 0.4 else "full" if preference < 0.95 else "none",
            "km" if draw() < 0.95 else "en",
            "2" if size > 1 and draw() < 0.3 else "1",
            "delivery;health_data;referral" if consented else "delivery",
            _one_of(facts.ROOFS, draw()),
            _one_of(facts.WALLS, draw()),
            _one_of(facts.FLOORS, draw()),
            _one_of(facts.TOILETS, draw()),
            _one_of(facts.WATERS, draw()),
            "yes" if draw() < 0.7 else "no",
            f"{_one_of(facts.ASSETS, draw())};mobile phone" if draw() < 0.5 else "",
        ]
        surname = _one_of(facts.SURNAMES, draw())
        people: list[Someone] = []
        for number, someone in enumerate(sample_people.people(draw, size), index * MEMBERS_MOST):
            people.append(someone)
            row += self._member(surname, number, someone, consented=consented)
        row += _NO_MEMBER * (MEMBERS_MOST - size)
        if level == "at_risk" and not ("disability" in row or sample_people.at_risk(people)):
            for column, cell in _NOT_AT_RISK.items():
                row[_AT[column]] = cell
        return row

    def _member(
        self, surname: tuple[str, str], number: int, someone: Someone, *, consented: bool
    ) -> list[str]:
        draw = self._random.random
        relation, age, female = someone
        given = _one_of(facts.FEMALE_NAMES if female else facts.MALE_NAMES, draw())
        school = sample_people.school(draw(), age)
        return [
            f"{surname[0]} {given[0]}",
            f"{surname[1]} {given[1]}",
            "female" if female else "male",
            date.fromordinal(TODAY - age * 365 - age // 4 - int(364 * draw())).isoformat(),
            relation,
            sample_people.condition(draw(), age, female=female) if consented else "",
            school,
            str(60 + int(41 * draw())) if school else "",
            f"1{_spread(number, self._seed, 10, 10_000_000)}" if age >= 15 else "",
        ]

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


def _households() -> dict[tuple[str, str], int]:
    """How many households there are by province and level."""
    counts = facts.IDPOOR_HOUSEHOLDS
    poor = {
        (province, level): count
        for province, both in counts.items()
        for level, count in zip(facts.IDPOOR_LEVELS, both, strict=True)
    }
    everywhere = sum(poor.values())
    others = {
        (province, level): count * sum(both) // everywhere
        for level, count in facts.OTHER_HOUSEHOLDS.items()
        for province, both in counts.items()
    }
    return poor | others


def _one_of(values: Sequence[T], chance: float) -> T:
    return values[int(chance * len(values))]


def _phone(number: int, seed: int) -> str:
    """A telephone number that is possible; a file gives none twice."""
    left = ((seed * 1_000_000 + number) * _STRIDE) % _PHONES
    for prefix, digits in facts.MOBILE_PREFIXES:
        if left < 10**digits:
            return f"{prefix}{left:0{digits}d}"
        left -= 10**digits
    raise AssertionError(left)


def _spread(number: int, seed: int, digits: int, room: int) -> str:
    """A number of that many digits; a thousand seeds of `room` numbers each give no two the same."""
    return f"{((seed % 1000 * room + number) * _STRIDE + 1_234_567) % 10**digits:0{digits}d}"
