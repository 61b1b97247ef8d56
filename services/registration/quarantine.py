"""Rows that were not registered: why, what to do, and how they are given back to be corrected. Pure."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import compress
from typing import NamedTuple

from services.registration import duplicates
from services.registration.admission import Answer, Candidate, Conflict, New, Outside, Repeated, Unchanged
from services.registration.cells import Flaw, Row, SourceRow
from services.registration.columns import HOUSEHOLD, MEMBER, MEMBERS_MOST, REPORT, member_column
from services.registration.duplicates import Case, Duplicate
from services.registration.places import Gazetteer
from services.registration.rules import REFERENCE_MOST, examine

_ORDER = {
    name: at
    for at, name in enumerate(
        [*HOUSEHOLD, *(member_column(n, name) for n in range(1, MEMBERS_MOST + 1) for name in MEMBER)]
    )
}


_OUTCOMES: dict[type, str] = {
    New: "registered",
    Unchanged: "unchanged",
    Duplicate: "duplicate",
    Repeated: "duplicate",
}


class Examined(NamedTuple):
    """A row of a file by itself: a candidate for registration, or its flaws."""

    number: int
    row: Row
    candidate: Candidate | None
    flaws: Sequence[Flaw]


class Judged(NamedTuple):
    """A row and what became of it; `answer` where it was a candidate."""

    examined: Examined
    answer: Answer | None

    @property
    def outcome(self) -> str:
        """`registered`, `unchanged`, `duplicate` or `quarantined`."""
        return _OUTCOMES.get(type(self.answer), "quarantined")

    def case(self, area: str) -> Case | None:
        """The case to open where the row's household doubles one outside this area."""
        if isinstance(self.answer, Duplicate) and self.examined.candidate is not None:
            return duplicates.case(self.examined.candidate.household.reference, self.answer, area)
        return None


class Refused(NamedTuple):
    """One row that was not registered, as it stood in the file."""

    row_hash: bytes
    outcome: str
    row_number: int
    reference: str | None
    commune: str | None
    flaws: Sequence[Flaw]
    original: dict[str, str]


def examined(source: SourceRow, columns: Sequence[str], gazetteer: Gazetteer, today: date) -> Examined:
    """Check one row of a file by itself."""
    filled = zip(compress(columns, source.cells), filter(None, source.cells), strict=False)
    row = {column: cell for column, text in filled if (cell := text.strip())}
    if source.flaw is not None:
        return Examined(source.number, row, None, (source.flaw,))
    found = examine(row, gazetteer, today)
    if isinstance(found, list):
        return Examined(source.number, row, None, found)
    return Examined(source.number, row, Candidate(found, found.content()), ())


def refused(judged: Judged, case_number: int | None) -> Refused:
    """A row that was not registered; the case number stands for a first household outside the area."""
    # PostgreSQL's text can't hold U+0000, which a broken file may.
    flaws = [flaw._replace(value=_storable(flaw.value)) for flaw in _flaws(judged, case_number)]
    original = {name: _storable(text) for name, text in judged.examined.row.items() if name not in REPORT}
    reference, village = original.get("reference", ""), original.get("village", "")
    return Refused(
        row_hash=hashlib.sha256(json.dumps(original, sort_keys=True).encode()).digest(),
        outcome=judged.outcome,
        row_number=judged.examined.number,
        reference=reference if 0 < len(reference) <= REFERENCE_MOST else None,
        commune=village[:6] if village.isdecimal() and len(village) == 8 else None,
        flaws=flaws,
        original=original,
    )


def export_columns(used: Iterable[str]) -> list[str]:
    """The columns of an export: those of the files, in their usual order, then the report's."""
    return [*sorted(set(used) - set(REPORT), key=lambda name: _ORDER.get(name, len(_ORDER))), *REPORT]


def export_row(
    original: Mapping[str, str], quarantine_id: int, row_number: int, flaws: Sequence[Flaw]
) -> dict[str, str]:
    """One line of an export: the row as it stood in the file, and what is wrong with it."""
    report = {
        "quarantine_id": str(quarantine_id),
        "row_number": str(row_number),
        "field": "; ".join(flaw.field for flaw in flaws),
        "reason": "; ".join(f"{flaw.field}: {flaw.reason}".removeprefix(": ") for flaw in flaws),
        "remedy": " ".join(dict.fromkeys(flaw.remedy for flaw in flaws)),
    }
    return {name: _no_formula(text) for name, text in original.items()} | report


def _flaws(judged: Judged, case_number: int | None) -> Sequence[Flaw]:
    answer = judged.answer
    if isinstance(answer, Duplicate):
        return [duplicates.flaw(answer, case_number)]
    return [answer.flaw] if isinstance(answer, Conflict | Outside | Repeated) else judged.examined.flaws


def _storable(text: str) -> str:
    return text.replace("\0", "\\x00")


def _no_formula(text: str) -> str:
    # A spreadsheet would run a cell that begins like this; a telephone number may begin with +.
    return f"'{text}" if text[:1] in "=@-" or (text[:1] == "+" and not text[1:2].isdigit()) else text
