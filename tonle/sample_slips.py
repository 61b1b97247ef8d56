"""Sample households registered a second time, as it happens by mistake: nothing is quite as it was. Pure."""

from collections.abc import Callable, Sequence
from datetime import date
from random import Random

Cells = dict[str, str]

# How Latin spellings of one Khmer name differ, as seen in the names of `sample_facts` and their relatives.
_LATIN = (
    *(("ph", "p"), ("th", "t"), ("kh", "k"), ("ok", "okh"), ("ea", "ear"), ("ey", "ei"), ("ei", "ey")),
    *(
        ("y", "i"),
        ("ou", "u"),
        ("u", "ou"),
        ("an", "ann"),
        ("v", "w"),
        ("eu", "oeu"),
        ("a", "ar"),
        ("o", "or"),
    ),
)
# A shifter or a silent mark left out, coeng da for coeng ta, a zero-width space put in.
_KHMER = (("៉", ""), ("៊", ""), ("់", ""), ("្ត", "្ដ"), ("ា", "ារ"), (" ", " \u200b"), ("ោ", "ុ"))


def registered_again(
    row: Cells, fresh: Cells, random: Random, neighbours: Sequence[str], members: Sequence[int]
) -> Cells:
    """`row`, written down again by somebody else; `fresh` gives its reference, phone, card and account.

    `neighbours` are the villages of the commune; a household that moved keeps the village of `fresh`.
    `members` are the numbers of its members.
    """
    draw = random.random
    moved = draw() < 0.15
    again = fresh | {name: cell for name, cell in row.items() if name.startswith("member_")}
    again["level"] = row["level"]
    if not moved:
        again["village"] = random.choice(neighbours) if draw() < 0.15 else row["village"]
    if draw() < 0.4:
        again["phone"] = row["phone"]
    if row["card_number"] and fresh["card_number"] and draw() < 0.2:
        again["card_number"] = _digit_slipped(row["card_number"], random)
    if len(members) > 2 and draw() < 0.15:
        _leave_out(again, members[-1])
    if again["member_2_relation"] == "spouse" and draw() < 0.2:
        _change_places(again)
    for number in members:
        if again[f"member_{number}_name_km"]:
            _slip(again, f"member_{number}_", random)
    again["collector"] = "1"
    return again


def _slip(row: Cells, member: str, random: Random) -> None:
    draw = random.random
    row[f"{member}national_id"] = ""
    # What only a clinic or a school told is seldom told the same twice.
    row[f"{member}conditions"] = ""
    if draw() < 0.25:
        row[f"{member}name_latin"] = _varied(row[f"{member}name_latin"], _LATIN, random)
    if draw() < 0.05:
        row[f"{member}name_latin"] = " ".join(reversed(row[f"{member}name_latin"].split()))
    if draw() < 0.15:
        row[f"{member}name_km"] = _varied(row[f"{member}name_km"], _KHMER, random)
    if draw() < 0.25:
        row[f"{member}birth_date"] = _misremembered(date.fromisoformat(row[f"{member}birth_date"]), random)


def _varied(name: str, ways: Sequence[tuple[str, str]], random: Random) -> str:
    """The name with one way of writing exchanged for another, where one occurs after its first letter."""
    possible = [way for way in ways if way[0] in name[1:]]
    return name[0] + name[1:].replace(*random.choice(possible), 1) if possible else name


def _misremembered(born: date, random: Random) -> str:
    ways: list[Callable[[], date]] = [
        lambda: born.replace(month=1, day=1),
        lambda: born.replace(month=1, day=1),
        lambda: born.replace(month=born.day, day=born.month) if born.day <= 12 else born.replace(day=1),
        lambda: born.replace(year=born.year - 1, day=min(born.day, 28)),
        lambda: born.replace(day=born.day % 28 + 1),
    ]
    return random.choice(ways)().isoformat()


def _digit_slipped(number: str, random: Random) -> str:
    at = random.randrange(len(number))
    return f"{number[:at]}{(int(number[at]) + 1 + random.randrange(9)) % 10}{number[at + 1 :]}"


def _leave_out(row: Cells, number: int) -> None:
    for name in row:
        if name.startswith(f"member_{number}_"):
            row[name] = ""


def _change_places(row: Cells) -> None:
    """Head and spouse, each called what the other was."""
    for name in [name.removeprefix("member_1_") for name in row if name.startswith("member_1_")]:
        if name != "relation":
            one, two = f"member_1_{name}", f"member_2_{name}"
            row[one], row[two] = row[two], row[one]
