"""Import files as streams of rows: CSV, XLSX, Parquet, in bounded memory. A bad row never stops the next."""

import csv
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path
from typing import Any, Protocol
from xml.etree import ElementTree

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
from openpyxl.utils.exceptions import InvalidFileException

from services.registration.cells import Flaw, SourceRow
from services.registration.columns import FileRefused, check

LINE_BYTES_MOST = 1_000_000
SHARED_STRINGS_BYTES_MOST = 100_000_000
"""openpyxl holds a workbook's shared strings in memory; larger workbooks are refused."""
BATCH_ROWS = 500
DAMAGED = (
    zipfile.BadZipFile, zlib.error, ElementTree.ParseError, InvalidFileException, EOFError, LookupError,
    OSError, TypeError, ValueError,
)  # fmt: skip
"""What openpyxl raises for workbooks that are cut short, changed or none."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_NOT_UTF_8 = "Save the file as CSV UTF-8; part of it was written in another encoding."


class SheetCell(Protocol):
    """A cell of a worksheet; `data_type` is `f` for a formula, `e` for an error."""

    @property
    def value(self) -> object: ...
    @property
    def data_type(self) -> str | None: ...


@dataclass(frozen=True)
class Table:
    """An open file: checked columns, number of rows where known, and its rows after a row number."""

    columns: tuple[str, ...]
    rows_total: int | None
    rows_after: Callable[[int], Iterator[SourceRow]]


def open_table(path: Path, format: str) -> Table:
    """Open `csv`, `xlsx` or `parquet`. Raises `FileRefused` for what is none, or has wrong columns."""
    return {"csv": _open_csv, "xlsx": _open_xlsx, "parquet": _open_parquet}[format](path)


def format_of(name: str, start: bytes) -> str:
    """The format by the file's name and first bytes. Raises `FileRefused` when they do not fit."""
    suffix = Path(name).suffix.lower().removeprefix(".")
    magic = {"parquet": b"PAR1", "xlsx": b"PK"}
    if suffix not in ("csv", *magic):
        raise FileRefused(
            "the file's name ends in none of .csv, .xlsx, .parquet", "Save it in one of these formats."
        )
    if not start.startswith(magic.get(suffix, b"")):
        raise FileRefused(f"the file is no {suffix.upper()} file", "Save it again in the format of its name.")
    return suffix


def _open_csv(path: Path) -> Table:
    with path.open("rb") as file:
        first = file.readline(LINE_BYTES_MOST)
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FileRefused("the file is UTF-16", "Save it as CSV UTF-8.")
    try:
        header = next(csv.reader([first.decode("utf-8-sig").rstrip("\r\n")], strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        raise FileRefused("the header can't be read as UTF-8 CSV", _NOT_UTF_8) from None
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise FileRefused("the columns are not separated by commas", "Save it as CSV with commas.")
    columns = check(header)
    return Table(columns, None, lambda after: _csv_rows(path, columns, after))


def _csv_rows(path: Path, columns: Sequence[str], after: int) -> Iterator[SourceRow]:
    # One line is one row, so that an unclosed quote spoils its own row and not the rest of the file.
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LINE_BYTES_MOST):
            number += 1
            if len(line) == LINE_BYTES_MOST and not line.endswith(b"\n"):
                _skip_line(file.readline)
                yield SourceRow(number, (), Flaw("", "", "the line is too long", "Shorten it."))
            elif number > max(after, 1) and line.strip(b"\r\n ,"):
                yield _csv_row(number, line.rstrip(b"\r\n"), columns)


def _skip_line(readline: Callable[[int], bytes]) -> None:
    while (part := readline(LINE_BYTES_MOST)) and not part.endswith(b"\n"):
        pass


def _csv_row(number: int, line: bytes, columns: Sequence[str]) -> SourceRow:
    text = line.decode("utf-8", "surrogateescape")
    if '"' not in text and "\r" not in text:  # the same cells in half the time
        return _decoded(number, text.split(","), columns)
    try:
        cells: Sequence[str] = next(csv.reader([text], strict=True))
    except csv.Error:
        flaw = Flaw("", "", "a quotation mark is not closed", "Close it; a cell holds no line break.")
        return SourceRow(number, (_shown(text),), flaw)
    return _decoded(number, cells, columns)


def _decoded(number: int, cells: Sequence[str], columns: Sequence[str]) -> SourceRow:
    """A row whose bytes that are no UTF-8 were kept as surrogates."""
    if _is_text("".join(cells)):
        return _sized(number, cells, columns)
    shown = [_shown(cell) for cell in cells]
    at = next(i for i, (cell, printed) in enumerate(zip(cells, shown, strict=True)) if cell != printed)
    field = columns[at] if at < len(columns) else ""
    return SourceRow(number, shown, Flaw(field, shown[at], "is not UTF-8", _NOT_UTF_8))


def _is_text(text: str) -> bool:
    # Whether all is printable is known sooner than whether something is no surrogate.
    return text.isprintable() or _SURROGATE.search(text) is None


def _shown(cell: str) -> str:
    return cell.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _sized(number: int, cells: Sequence[str], columns: Sequence[str]) -> SourceRow:
    if len(cells) == len(columns):
        return SourceRow(number, cells)
    reason = f"the row has {len(cells)} cells, the header has {len(columns)}"
    return SourceRow(
        number, cells, Flaw("", "", reason, "Put quotation marks around cells that hold commas.")
    )


def _open_xlsx(path: Path) -> Table:
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
        if sizes.get("xl/sharedStrings.xml", 0) > SHARED_STRINGS_BYTES_MOST:
            raise FileRefused("the workbook is too large", "Save it as CSV UTF-8 or Parquet.")
        header = next(_sheet_rows(path, 1), ())
    except DAMAGED:
        raise FileRefused("the workbook can't be read", "Open it and save it again as .xlsx.") from None
    columns = check([_text(cell.value) for cell in header])
    return Table(columns, None, lambda after: _xlsx_rows(path, columns, after))


def _xlsx_rows(path: Path, columns: Sequence[str], after: int) -> Iterator[SourceRow]:
    try:
        for number, row in enumerate(_sheet_rows(path, max(after, 1) + 1), max(after, 1) + 1):
            if any(cell.value is not None for cell in row):
                yield _xlsx_row(number, row, columns)
    except DAMAGED:
        raise FileRefused(
            "the workbook is damaged", "Open it, save it again as .xlsx, and import that."
        ) from None


def _sheet_rows(path: Path, first: int) -> Iterator[Sequence[SheetCell]]:
    # Given an open file, openpyxl does not judge it by its name.
    with path.open("rb") as file:
        sheet = openpyxl.load_workbook(file, read_only=True, data_only=False).worksheets[0]
        sheet.reset_dimensions()
        yield from sheet.iter_rows(min_row=first)


def _xlsx_row(number: int, row: Sequence[SheetCell], columns: Sequence[str]) -> SourceRow:
    cells = [_text(cell.value) for cell in row]
    while len(cells) > len(columns) and not cells[-1]:
        cells.pop()
    cells += [""] * (len(columns) - len(cells))
    for at, cell in enumerate(row[: len(columns)]):
        if cell.data_type == "f":
            flaw = Flaw(
                columns[at], cells[at], "is a formula", "Copy the column and paste it as values, then save."
            )
            return SourceRow(number, cells, flaw)
        if cell.data_type == "e":
            return SourceRow(
                number, cells, Flaw(columns[at], cells[at], "is an error value", "Type the value.")
            )
    return _sized(number, cells, columns)


def _open_parquet(path: Path) -> Table:
    try:
        with pq.ParquetFile(path) as file:
            header, rows_total = file.schema_arrow.names, file.metadata.num_rows
    except (pa.ArrowException, OSError):
        raise FileRefused("the Parquet file can't be read", "Write it again; it may be cut short.") from None
    columns = check(header)
    return Table(columns, rows_total, lambda after: _parquet_rows(path, columns, after))


def _parquet_rows(path: Path, columns: Sequence[str], after: int) -> Iterator[SourceRow]:
    try:
        with pq.ParquetFile(path) as file:
            groups, number = _groups_after(file.metadata, max(after, 1))
            for batch in file.iter_batches(BATCH_ROWS, row_groups=groups, use_threads=False):
                for cells in zip(*map(_column, batch.columns), strict=True):
                    number += 1
                    if number > after:
                        yield _decoded(number, cells, columns)
    except (pa.ArrowException, OSError):
        raise FileRefused("the Parquet file is damaged", "Write it again and import that.") from None


def _groups_after(metadata: pq.FileMetaData, after: int) -> tuple[list[int], int]:
    """The row groups that hold rows after a row number, and the number of the row before them."""
    number = 1
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        if number + rows > after:
            return list(range(group, metadata.num_row_groups)), number
        number += rows
    return [], number


def _column(column: "pa.Array[Any]") -> list[str]:
    """A column's cells as text; what is not UTF-8 is kept as surrogates, and refused row by row."""
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return [(value or b"").decode("utf-8", "surrogateescape") for value in column.to_pylist()]
    try:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            return [value or "" for value in column.to_pylist()]
        return list(map(_text, column.to_pylist()))
    except UnicodeDecodeError:
        return _column(column.cast(pa.large_binary()))


def _text(value: object) -> str:
    """A cell as it would be typed: whole numbers without a point, dates as ISO 8601, yes and no."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime) and value.time() == time.min:
        return value.date().isoformat()
    return str(getattr(value, "text", value))
