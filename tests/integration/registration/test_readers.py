"""Import files as they come: encodings, formulas, broken files, resuming in the middle."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.registration.cells import SourceRow
from services.registration.columns import FileRefused
from services.registration.readers import format_of, open_table
from tests.unit.registration.samples import COLUMNS, csv_bytes, row

ROWS = [row(n) for n in range(1, 6)]


def cells(*rows: dict[str, str]) -> list[list[str]]:
    return [[each.get(name, "") for name in COLUMNS] for each in rows]


def csv_file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def xlsx_file(path: Path, rows: Sequence[Sequence[object]], header: Sequence[str] = COLUMNS) -> Path:
    workbook = openpyxl.Workbook()
    assert workbook.active is not None
    for line in (header, *rows):
        workbook.active.append(list(line))
    workbook.save(path)
    return path


def parquet_file(path: Path, columns: Mapping[str, object], **options: int) -> Path:
    pq.write_table(pa.table(columns), path, **options)  # type: ignore[arg-type]
    return path


def read(path: Path, after: int = 0) -> list[SourceRow]:
    return list(open_table(path, path.suffix[1:]).rows_after(after))


@pytest.fixture(params=["csv", "xlsx", "parquet"])
def good_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"households.{request.param}"
    if request.param == "csv":
        return csv_file(path, csv_bytes(ROWS))
    if request.param == "xlsx":
        return xlsx_file(path, cells(*ROWS))
    columns = {name: [each.get(name) for each in ROWS] for name in COLUMNS}
    return parquet_file(
        path, {name: pa.array(v, pa.string()) for name, v in columns.items()}, row_group_size=2
    )


def test_the_three_formats_read_alike(good_file: Path) -> None:
    found = read(good_file)
    assert [list(each.cells) for each in found] == cells(*ROWS)
    assert [each.number for each in found] == [2, 3, 4, 5, 6]
    assert not any(each.flaw for each in found)


@pytest.mark.parametrize("after", [1, 2, 3, 4, 5, 6])
def test_reading_goes_on_after_any_row(good_file: Path, after: int) -> None:
    assert [each.number for each in read(good_file, after)] == list(range(after + 1, 7))


def test_a_csv_with_a_byte_order_mark_and_windows_line_ends_is_read(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + csv_bytes(ROWS[:1]).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert list(read(csv_file(tmp_path / "a.csv", content))[0].cells) == cells(ROWS[0])[0]


def test_a_row_in_another_encoding_is_flawed_and_its_neighbours_are_read(tmp_path: Path) -> None:
    lines = csv_bytes(ROWS[:3]).splitlines(keepends=True)
    lines[2] = lines[2].replace(b"tin", "tôle".encode("latin-1"))
    first, bad, last = read(csv_file(tmp_path / "a.csv", b"".join(lines)))
    assert bad.flaw is not None
    assert (bad.flaw.field, bad.flaw.value, bad.flaw.reason) == ("roof", r"t\xf4le", "is not UTF-8")
    assert first.flaw is last.flaw is None


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda line: b'"' + line, "a quotation mark is not closed"),
        (lambda line: line.strip() + b",,\r\n", "the row has"),
        (lambda line: line.split(b",", 1)[1], "the row has"),
        (lambda line: b"x" * 1_000_001 + line, "the line is too long"),
    ],
)
def test_a_broken_line_spoils_no_other(tmp_path: Path, spoil: object, reason: str) -> None:
    lines = csv_bytes(ROWS[:3]).splitlines(keepends=True)
    lines[2] = spoil(lines[2])  # type: ignore[operator]
    found = read(csv_file(tmp_path / "a.csv", b"".join(lines)))
    assert [each.number for each in found] == [2, 3, 4]
    assert found[1].flaw is not None
    assert reason in found[1].flaw.reason
    assert found[0].flaw is found[2].flaw is None


def test_empty_lines_are_no_rows(tmp_path: Path) -> None:
    content = csv_bytes(ROWS[:2]) + b"\r\n" + b"," * (len(COLUMNS) - 1) + b"\r\n"
    assert [each.number for each in read(csv_file(tmp_path / "a.csv", content))] == [2, 3]


def test_a_formula_flaws_its_row_and_says_what_to_do(tmp_path: Path) -> None:
    lines = cells(*ROWS[:3])
    lines[1][COLUMNS.index("level")] = "=CONCATENATE(A1,B1)"
    first, bad, last = read(xlsx_file(tmp_path / "a.xlsx", lines))
    assert bad.flaw is not None
    assert (bad.flaw.field, bad.flaw.reason) == ("level", "is a formula")
    assert "paste it as values" in bad.flaw.remedy
    assert first.flaw is last.flaw is None


def test_numbers_and_dates_of_a_spreadsheet_read_as_they_are_typed(tmp_path: Path) -> None:
    lines: list[list[object]] = [list(line) for line in cells(ROWS[0])]
    lines[0][COLUMNS.index("village")] = 1020101
    lines[0][COLUMNS.index("collector")] = 1.0
    lines[0][COLUMNS.index("card_expires_on")] = date(2025, 12, 31)
    lines[0][COLUMNS.index("electricity")] = True
    found = dict(zip(COLUMNS, read(xlsx_file(tmp_path / "a.xlsx", lines))[0].cells, strict=True))
    assert (found["village"], found["collector"]) == ("1020101", "1")
    assert (found["card_expires_on"], found["electricity"]) == ("2025-12-31", "yes")


def test_a_parquet_cell_that_is_not_utf_8_flaws_its_row_alone(tmp_path: Path) -> None:
    columns: dict[str, object] = {name: [each.get(name) for each in ROWS[:2]] for name in COLUMNS}
    columns["roof"] = pa.array([b"tin", b"t\xf4le"]).view(pa.string())
    first, bad = read(parquet_file(tmp_path / "a.parquet", columns))
    assert first.flaw is None
    assert bad.flaw is not None
    assert (bad.flaw.field, bad.flaw.reason) == ("roof", "is not UTF-8")


@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
def test_a_file_with_a_header_alone_has_no_rows(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        parquet_file(path, {name: pa.array([], pa.string()) for name in COLUMNS})
    else:
        csv_file(path, csv_bytes([])) if kind == "csv" else xlsx_file(path, [])
    assert read(path) == []


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", b"", "missing columns"),
        ("a.csv", "\ufeffreference,village".encode("utf-16"), "UTF-16"),
        ("a.csv", b"reference;village;level", "not separated by commas"),
        ("a.csv", b"r\xe9f\xe9rence,village", "UTF-8"),
        ("a.xlsx", b"PK\x03\x04 not a workbook", "can't be read"),
        ("a.parquet", b"PAR1 cut short", "can't be read"),
    ],
)
def test_a_file_that_is_none_is_refused_with_what_to_do(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    with pytest.raises(FileRefused) as refused:
        read(csv_file(tmp_path / name, content))
    assert reason in refused.value.reason
    assert refused.value.remedy


@pytest.mark.parametrize("cut", [0.5, 0.9])
def test_a_parquet_cut_short_is_refused(tmp_path: Path, cut: float) -> None:
    path = parquet_file(tmp_path / "a.parquet", {name: ["x"] * 100 for name in COLUMNS})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * cut)])
    with pytest.raises(FileRefused):
        read(path)


@pytest.mark.parametrize(
    ("name", "start"), [("a.txt", b""), ("a", b""), ("a.xlsx", b"PAR1"), ("a.parquet", b"PK\x03\x04")]
)
def test_a_name_and_content_that_do_not_fit_are_refused(name: str, start: bytes) -> None:
    with pytest.raises(FileRefused):
        format_of(name, start)
