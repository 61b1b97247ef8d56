"""The facts a programme may ask for, as a page: `python -m services.eligibility.vocabulary --write PAGE`."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_type_hints

from services.eligibility.facts import Circumstances, Fact, Person

_WORDS = {bool: "yes or no", int: "number", str: "text"}
_PAGE = """# Facts a programme may ask for

Conditions and counts of a programme file are written in [CEL](https://cel.dev), for instance
`members > 2 && !card_expired`. They may name these facts and no other: a file that names another is
refused with its line. All are counted on the reference date, from the household as it was registered;
who is born later is no member yet. This page is made from `services/eligibility/facts.py`.

## Of one person
For `any_of` under `persons`: which members a programme counts. Each group of members defined there is a
fact of the household, under its own name: the number of members it counts.

{persons}

## Of the household
For `holds` under `conditions` and `count` under `lines`, besides the groups that the file defines.

{households}
"""


def rows() -> Iterator[dict[str, str]]:
    """Every fact: what it is about, its name, type, unit, and the registered field it comes from."""
    for about, facts in (("person", Person), ("household", Circumstances)):
        for name, hint in get_type_hints(facts, include_extras=True).items():
            (fact,) = (each for each in hint.__metadata__ if isinstance(each, Fact))
            kind = _WORDS[hint.__origin__]
            yield {"about": about, "fact": name, "type": kind, "unit": fact.unit, "from": fact.source}


def page() -> str:
    """The page, in Markdown."""
    return _PAGE.format(persons=_table("person"), households=_table("household"))


def _table(about: str) -> str:
    lines = ["| fact | type | unit or words | from |", "|---|---|---|---|"]
    lines += [
        f"| `{each['fact']}` | {each['type']} | {each['unit']} | {each['from']} |"
        for each in rows()
        if each["about"] == about
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Print the page, or `--write PAGE`; 2 for another argument."""
    match arguments:
        case []:
            sys.stdout.write(page())
        case ["--write", path]:
            Path(path).write_text(page(), encoding="utf-8")
        case _:
            sys.stderr.write("usage: python -m services.eligibility.vocabulary [--write PAGE]\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
