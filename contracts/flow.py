"""The flow as a Mermaid chart, made from `topics.py`: `python -m contracts.flow --write README.md`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from contracts.topics import TOPICS, partner_instruction, partner_report

BEGIN, END = "<!-- flow:begin -->", "<!-- flow:end -->"
ANY = "*"


class MarkersMissing(ValueError):
    """The page has no place for the flow: it needs the lines flow:begin and flow:end, as comments."""


def chart() -> str:
    """One arrow from who says to who listens, with the topics it carries."""
    told: dict[tuple[str, str], list[str]] = {}
    for topic in (*TOPICS, partner_instruction(ANY), partner_report(ANY)):
        for consumer in topic.consumers:
            told.setdefault((topic.producer, consumer), []).append(topic.name)
    arrows = [
        f'    {_box(producer)} -- "{"<br/>".join(names)}" --> {_box(consumer)}'
        for (producer, consumer), names in told.items()
    ]
    return "\n".join(["```mermaid", "flowchart LR", *arrows, "```"])


def _box(name: str) -> str:
    return "partner" if name == ANY else name


def put_into(page: str) -> str:
    """The page with the flow between its markers. Raises `MarkersMissing`."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise MarkersMissing(MarkersMissing.__doc__)
    return f"{before}{BEGIN}\n{chart()}\n{END}{after}"


def main(arguments: Sequence[str]) -> int:
    """Print the chart, or `--write PAGE`; 2 for another argument."""
    match arguments:
        case []:
            sys.stdout.write(chart() + "\n")
        case ["--write", page]:
            path = Path(page)
            path.write_text(put_into(path.read_text(encoding="utf-8")), encoding="utf-8")
        case _:
            sys.stderr.write("usage: python -m contracts.flow [--write PAGE]\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
