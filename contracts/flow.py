"""The flow, made from `topics.py`, into a page: `python -m contracts.flow --write README.md`.

A page says what it wants by the comments it holds: `flow:begin` and `flow:end` around a Mermaid chart,
`topics:begin` and `topics:end` around a table.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from contracts.topics import TOPICS, Topic, partner_instruction, partner_report

ANY = "*"
NOBODY = "log[(event log)]"


class MarkersMissing(ValueError):
    """The page has no place for the flow: it needs the comments flow:begin and flow:end (or topics:…)."""


def topics() -> Iterator[Topic]:
    """Every topic of the flow; `*` stands for any payment partner."""
    yield from TOPICS
    yield partner_instruction(ANY)
    yield partner_report(ANY)


def chart() -> str:
    """A Mermaid chart: one arrow from who says to who listens, with the topics it carries."""
    told: dict[tuple[str, str], list[str]] = {}
    for topic in topics():
        if topic.replaced:
            continue
        for consumer in topic.consumers or (NOBODY,):
            told.setdefault((topic.producer, consumer), []).append(topic.name)
    arrows = [
        f'    {_box(producer)} -- "{"<br/>".join(names)}" --> {_box(consumer)}'
        for (producer, consumer), names in told.items()
    ]
    return "\n".join(["```mermaid", "flowchart LR", *arrows, "```"])


def table() -> str:
    """A Markdown table: topic, contract, key, who says it, who listens."""
    lines = ["| topic | contract | key | said by | heard by |", "|---|---|---|---|---|"]
    for topic in topics():
        heard = ", ".join(map(_box, topic.consumers)) or "kept for audit"
        said = _box(topic.producer) + (", no more" if topic.replaced else "")
        cells = (f"`{topic.name}`", f"`{topic.contract.__name__}`", topic.key, said, heard)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def put_into(page: str) -> str:
    """The page with the flow between its markers. Raises `MarkersMissing`."""
    found = False
    for name, made in (("flow", chart()), ("topics", table())):
        before, begin, rest = page.partition(f"<!-- {name}:begin -->\n")
        _, end, after = rest.partition(f"<!-- {name}:end -->")
        if begin and end:
            page, found = f"{before}{begin}{made}\n{end}{after}", True
    if not found:
        raise MarkersMissing(MarkersMissing.__doc__)
    return page


def _box(name: str) -> str:
    return "partner" if name == ANY else name


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
