"""Who is reached, as rows of a file and as a page in English and Khmer that anyone may print. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Words:
    """The same in English and in Khmer."""

    en: str
    km: str


@dataclass(frozen=True)
class Measure:
    """What is counted: people registered, reached by any programme, or by one; `id` names it in files."""

    id: str
    words: Words


@dataclass(frozen=True)
class Cell:
    """A group of people, and how many of them by measure: None is too few to show, absent is not told."""

    id: str
    words: Words
    people: Mapping[str, int | None]


@dataclass(frozen=True)
class Table:
    """Everyone, split by one dimension."""

    dimension: str
    words: Words
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Coverage:
    """A day's count; counts below `threshold` are not shown, others are rounded to `rounded_to`."""

    as_of: str
    threshold: int
    rounded_to: int
    measures: Sequence[Measure]
    tables: Sequence[Table]


TITLE = Words("Who is reached", "តើនរណាខ្លះទទួលបានការឧបត្ថម្ភ")
REGISTERED = Words("Registered people", "អ្នកបានចុះឈ្មោះ")
FLOOR = Words("Any programme (the floor)", "កម្មវិធីណាមួយ (កម្រិតមូលដ្ឋាន)")
DIMENSIONS = {
    "everyone": Words("Everyone", "ទាំងអស់គ្នា"),
    "province": Words("By province", "តាមរាជធានី ខេត្ត"),
    "sex": Words("By sex", "តាមភេទ"),
    "age": Words("By age", "តាមអាយុ"),
    "disability": Words("By disability", "តាមពិការភាព"),
    "work": Words("By work", "តាមការងារ"),
}
GROUPS: Mapping[str, Mapping[str, Words]] = {
    "everyone": {"everyone": DIMENSIONS["everyone"]},
    "sex": {"female": Words("Female", "ស្រី"), "male": Words("Male", "ប្រុស")},
    "age": {
        "0-5": Words("0 to 5 years", "០-៥ ឆ្នាំ"),
        "6-17": Words("6 to 17 years", "៦-១៧ ឆ្នាំ"),
        "18-59": Words("18 to 59 years", "១៨-៥៩ ឆ្នាំ"),
        "60+": Words("60 years and older", "៦០ ឆ្នាំឡើងទៅ"),
    },
    "disability": {
        "yes": Words("Registered with a disability", "បានចុះឈ្មោះថាមានពិការភាព"),
        "no": Words("Not registered with one", "មិនបានចុះឈ្មោះថាមានពិការភាព"),
    },
    "work": {
        "formal": Words("Formal work", "ការងារក្នុងប្រព័ន្ធ"),
        "informal": Words("Informal work", "ការងារក្រៅប្រព័ន្ធ"),
        "none": Words("No paid work", "គ្មានការងារមានប្រាក់កម្រៃ"),
        "unknown": Words("Not known", "មិនដឹង"),
    },
}
_REACHED = Words(
    "A programme reaches a person when its latest decision entitles the person's household.",
    "កម្មវិធីមួយទៅដល់មនុស្សម្នាក់ នៅពេលសេចក្តីសម្រេចចុងក្រោយផ្តល់សិទ្ធិដល់គ្រួសាររបស់គាត់។",
)
STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, "Noto Sans Khmer", "Khmer OS", sans-serif; color: #1a1a1a; background: #fff;
    max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.3; } [lang=km] { display: block; font-weight: normal; }
.wide { overflow-x: auto; } table { border-collapse: collapse; margin: .5rem 0 2rem; }
th, td { padding: .35rem .75rem; border-bottom: 1px solid #bbb; text-align: right; vertical-align: bottom; }
th:first-child { text-align: left; } thead th { border-bottom: 2px solid #1a1a1a; }
tbody th { font-weight: normal; } td small { display: block; color: #444; }
.bar { display: block; height: .3rem; background: #1f5f8b; margin-left: auto; print-color-adjust: exact; }
@media print { body { font-size: 10pt; margin: 0; max-width: none; } .wide { overflow: visible; }
    tr, h2 { break-inside: avoid; break-after: auto; } h2 { break-after: avoid; } }
"""


def rows(told: Coverage) -> Iterator[tuple[object, ...]]:
    """One row a figure, under a header; too few people to show leave the cell empty and `suppressed` yes."""
    yield ("as_of", "dimension", "group", "group_en", "group_km", "measure", "people", "suppressed")
    for table in told.tables:
        for cell in table.cells:
            for measure, people in cell.people.items():
                told_as = ("", "yes") if people is None else (people, "no")
                yield (told.as_of, table.dimension, cell.id, cell.words.en, cell.words.km, measure, *told_as)


def page(told: Coverage) -> str:
    """One HTML file that needs no other."""
    rounded = Words(
        f"Fewer than {told.threshold} people are not shown, and other figures are rounded to the nearest "
        f"{told.rounded_to}, so that nobody can be recognised; parts may not add up to the whole.",
        f"តួលេខតិចជាង {told.threshold} នាក់មិនត្រូវបានបង្ហាញទេ ហើយតួលេខផ្សេងទៀតត្រូវបានបង្គត់ទៅជិតបំផុតនៃ "
        f"{told.rounded_to} ដើម្បីកុំឱ្យគេស្គាល់នរណាម្នាក់។",
    )
    counted = Words(f"Counted on {told.as_of}.", f"រាប់នៅថ្ងៃទី {told.as_of}។")
    notes = "".join(f"<p>{both(each)}</p>\n" for each in (counted, _REACHED, rounded))
    tables = "".join(_table(each, told) for each in told.tables)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{TITLE.en} · {told.as_of}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{both(TITLE)}</h1>\n{notes}{tables}</main>\n</body>\n</html>\n"
    )


def _table(table: Table, told: Coverage) -> str:
    measures = [each for each in told.measures if any(each.id in cell.people for cell in table.cells)]
    head = "".join(f'<th scope="col">{both(each.words)}</th>' for each in measures)
    body = "".join(
        f'<tr><th scope="row">{both(cell.words)}</th>'
        + "".join(_figure(cell, measure.id, told.threshold) for measure in measures)
        + "</tr>\n"
        for cell in table.cells
    )
    # Told here, not by a caption: a table that scrolls sideways would take its name along.
    name = f"table-{table.dimension}"
    return (
        f'<h2 id="{name}">{both(table.words)}</h2>\n'
        f'<div class="wide" role="region" tabindex="0" aria-labelledby="{name}">\n'
        f'<table aria-labelledby="{name}">\n<thead><tr><td></td>{head}</tr></thead>\n'
        f"<tbody>\n{body}</tbody>\n</table>\n</div>\n"
    )


def _figure(cell: Cell, measure: str, threshold: int) -> str:
    people, registered = cell.people.get(measure), cell.people.get("registered")
    if people is None:
        return f"<td>&lt; {threshold}</td>"
    if measure == "registered" or not registered:
        return f"<td>{people:,}</td>"
    percent = round(100 * people / registered)
    return (
        f"<td>{people:,} <small>{percent}%</small>"
        f'<span class="bar" style="width: {percent}%" aria-hidden="true"></span></td>'
    )


def both(words: Words) -> str:
    """Text in English, and below it in Khmer, as HTML."""
    if words.en == words.km:
        return escape(words.en)
    return f'{escape(words.en)} <span lang="km">{escape(words.km)}</span>'
