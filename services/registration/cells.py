"""Reading typed values out of one row of text, and saying what is wrong with each cell. Pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple, TypeVar

Row = Mapping[str, str]
"""One household in words: column -> text, trimmed, empty cells left out."""

CELL_CHARACTERS_MOST = 200
_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffd\ud800-\udfff]")

T = TypeVar("T")


class Flaw(NamedTuple):
    """What is wrong with one field, and what to do. `value` goes to the registrar, never to a log."""

    field: str
    value: str
    reason: str
    remedy: str


class SourceRow(NamedTuple):
    """One row as it stands in the file. `number` counts as a spreadsheet does (the header is row 1);
    `flaw` is set where the row itself can't be read."""

    number: int
    cells: Sequence[str]
    flaw: Flaw | None = None


class Cells:
    """Reads typed values out of a row and collects what is wrong with it."""

    __slots__ = ("flaws", "row")

    def __init__(self, row: Row) -> None:
        self.row = row
        self.flaws: list[Flaw] = []

    def flaw(self, field: str, reason: str, remedy: str) -> None:
        self.flaws.append(Flaw(field, self.row.get(field, ""), reason, remedy))

    def refuse_unreadable(self) -> None:
        """Control characters, replacement characters and cells too long, before anything else is read."""
        whole = "".join(self.row.values())
        # What is printable is no control character and no surrogate, and known sooner.
        is_text = "\ufffd" not in whole and (whole.isprintable() or not _NOT_TEXT.search(whole))
        if is_text and max(map(len, self.row.values()), default=0) <= CELL_CHARACTERS_MOST:
            return
        for field, value in self.row.items():
            if _NOT_TEXT.search(value):
                self.flaw(
                    field, "holds characters that are not text", "Type it again; save the file as UTF-8."
                )
            elif len(value) > CELL_CHARACTERS_MOST:
                self.flaw(field, "is too long", f"Shorten it to {CELL_CHARACTERS_MOST} characters.")

    def required(self, field: str) -> str | None:
        value = self.row.get(field)
        if value is None:
            self.flaw(field, "is empty", "Fill it in.")
        return value

    def word(self, field: str, words: Mapping[str, T], *, required: bool = False) -> T | None:
        """One of a closed set of words."""
        found = words.get(self.row.get(field, ""))
        if found is None:
            if field in self.row:
                self.flaw(field, "is not a word known here", f"Write one of: {', '.join(words)}.")
            elif required:
                self.required(field)
        return found

    def words(self, field: str, words: Mapping[str, T]) -> tuple[T, ...]:
        """Several of a closed set of words, separated by semicolons; without repetition, in one order."""
        value = self.row.get(field)
        if value is None:
            return ()
        parts = split(value)
        if not all(part in words for part in parts):
            self.flaw(field, "holds a word not known here", f"Write some of: {';'.join(words)}.")
            return ()
        return tuple(words[part] for part in words if part in parts)

    def matching(
        self, field: str, pattern: re.Pattern[str], shape: str, *, required: bool = False
    ) -> str | None:
        """A text of a given shape, matched as a whole."""
        value = self.required(field) if required else self.row.get(field)
        if value is None:
            return None
        if pattern.fullmatch(value) is None:
            self.flaw(field, "has another shape than expected", f"Write {shape}.")
            return None
        return value

    def number(self, field: str, least: int, most: int) -> int | None:
        value = self.row.get(field)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit() and len(value) <= 4 and least <= int(value) <= most):
            self.flaw(
                field, "is not a whole number in range", f"Write a whole number from {least} to {most}."
            )
            return None
        return int(value)

    def day(self, field: str, *, required: bool = False) -> str | None:
        """A date as year-month-day, as it stands: such texts compare as their dates do."""
        value = self.required(field) if required else self.row.get(field)
        if value is None:
            return None
        try:
            if date.fromisoformat(value).isoformat() == value:
                return value
        except ValueError:
            pass
        self.flaw(field, "is no date", "Write year-month-day, for instance 1987-04-15.")
        return None


def split(value: str | None) -> list[str]:
    """The parts of a cell that holds several words, separated by semicolons."""
    return [part for text in value.split(";") if (part := text.strip())] if value else []
