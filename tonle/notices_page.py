"""A commune's notices as rows of a file and as a page to print, in Khmer and English. Pure."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple


class Words(NamedTuple):
    """The same in English and in Khmer."""

    en: str
    km: str


class Notice(NamedTuple):
    """What one household is told: `collect` money at a place until a day (ISO), or `ask` at the office."""

    reference: str
    what: str
    until: str
    where_said: Words
    until_said: Words


class Notices(NamedTuple):
    """The list of one commune as of a day, by reference."""

    as_of: str
    commune: Words
    notices: Sequence[Notice]


# To be read by a native reader.
TITLE = Words("Notice of social assistance", "សេចក្តីជូនដំណឹងអំពីជំនួយសង្គម")
INTRODUCTION = Words(
    "For households without a telephone. Look for your reference number. There is no fee.",
    "សម្រាប់គ្រួសារដែលគ្មានទូរសព្ទ។ សូមរកមើលលេខយោងរបស់លោកអ្នក។ មិនគិតថ្លៃសេវាទេ។",
)
REFERENCE = Words("Reference", "លេខយោង")
WHERE = Words("Where", "ទីកន្លែង")
UNTIL = Words("Until", "យ៉ាងយូរត្រឹម")
ASK = Words("Please ask at the commune office", "សូមសួរនៅសាលាឃុំ/សង្កាត់")
NOBODY = Words("There is nothing to tell today.", "ថ្ងៃនេះគ្មានដំណឹងទេ។")
_STYLE = """
@page { size: A4; margin: 18mm; }
body { font: 12pt/1.6 "Noto Sans Khmer", "Khmer OS", system-ui, sans-serif; color: #000;
    background: #fff; max-width: 50rem; margin: 1rem auto; padding: 0 1rem; }
h1 { font-size: 18pt; line-height: 1.4; margin: 0; }
[lang=en] { display: block; font-size: 9pt; color: #333; }
table { border-collapse: collapse; width: 100%; margin-top: 1rem; }
th, td { border: 1px solid #000; padding: .3rem .6rem; text-align: left; vertical-align: top; }
thead { display: table-header-group; } tr { break-inside: avoid; }
td:first-child { font-variant-numeric: tabular-nums; font-weight: bold; overflow-wrap: anywhere; }
@media print { body { margin: 0; padding: 0; max-width: none; } }
"""


def rows(told: Notices) -> Iterator[tuple[str, ...]]:
    """One row a household, under a header."""
    yield ("reference", "what", "where", "where_km", "until", "until_km")
    for each in told.notices:
        if each.what == "collect":
            yield (each.reference, each.what, *each.where_said, each.until, each.until_said.km)
        else:
            yield (each.reference, each.what, *ASK, "", "")


def page(told: Notices) -> str:
    """One HTML file that needs no other."""
    head = "".join(f'<th scope="col">{_both(each)}</th>' for each in (REFERENCE, WHERE, UNTIL))
    body = "".join(map(_row, told.notices))
    table = f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n"
    return (
        '<!doctype html>\n<html lang="km">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(TITLE.km)} · {escape(told.commune.km)} · {told.as_of}</title>\n"
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{_both(TITLE)}</h1>\n"
        f"<p>{_both(told.commune)} {told.as_of}</p>\n<p>{_both(INTRODUCTION)}</p>\n"
        f"{table if told.notices else f'<p>{_both(NOBODY)}</p>'}</main>\n</body>\n</html>\n"
    )


def _row(notice: Notice) -> str:
    reference = f"<td>{escape(notice.reference)}</td>"
    if notice.what == "collect":
        return f"<tr>{reference}<td>{_both(notice.where_said)}</td><td>{_both(notice.until_said)}</td></tr>\n"
    return f'<tr>{reference}<td colspan="2">{_both(ASK)}</td></tr>\n'


def _both(words: Words) -> str:
    return f'{escape(words.km)} <span lang="en">{escape(words.en)}</span>'
