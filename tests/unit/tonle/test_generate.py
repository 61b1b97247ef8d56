"""Sample files: the same seed gives the same bytes, in plausible shares, with some rows spoilt on purpose."""

import csv
import os
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path

import openpyxl
import pyarrow.parquet
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from services.registration.columns import check
from services.registration.gazetteer import load_gazetteer
from services.registration.household import Household
from services.registration.rules import examine
from tonle import generate
from tonle.sample import COLUMNS, TODAY, Shares

NONE_BAD = Shares(bad=0, duplicate=0)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("suffix", generate.FORMATS)
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path, suffix: str) -> None:
    made = []
    for number, seed in enumerate((7, 7, 8)):
        path = tmp_path / f"{number}{suffix}"
        generate.write(path, households=50, seed=seed)
        made.append(path.read_bytes())
    assert made[0] == made[1] != made[2]


def test_another_process_with_another_order_of_sets_gives_the_same_bytes(tmp_path: Path) -> None:
    made = []
    for hash_seed in ("1", "2"):
        path = tmp_path / f"{hash_seed}.csv"
        write = f"from pathlib import Path; from tonle import generate; generate.write(Path({str(path)!r}), "
        command = (sys.executable, "-c", f"{write}households=300, seed=7)")
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": hash_seed})
        made.append(path.read_bytes())
    assert made[0] == made[1] != b""


def test_all_three_formats_hold_the_same_households(tmp_path: Path) -> None:
    for suffix in generate.FORMATS:
        generate.write(tmp_path / f"file{suffix}", households=40, seed=3)
    from_csv = [list(row.values()) for row in rows(tmp_path / "file.csv")]
    table = pyarrow.parquet.read_table(tmp_path / "file.parquet")
    assert [[cell or "" for cell in row.values()] for row in table.to_pylist()] == from_csv
    sheet = openpyxl.load_workbook(tmp_path / "file.xlsx").active
    assert isinstance(sheet, Worksheet)
    assert [[cell or "" for cell in row] for row in sheet.iter_rows(min_row=2, values_only=True)] == from_csv


def test_registration_takes_every_sample_household_that_is_not_spoilt(tmp_path: Path) -> None:
    generate.write(tmp_path / "file.csv", households=500, seed=1, shares=NONE_BAD)
    assert check(COLUMNS)
    for row in rows(tmp_path / "file.csv"):
        full = {name: cell for name, cell in row.items() if cell}
        assert isinstance(examine(full, load_gazetteer(), date.fromordinal(TODAY)), Household), full


def test_about_one_row_in_two_hundred_is_refused(tmp_path: Path) -> None:
    generate.write(tmp_path / "file.csv", households=4000, seed=1)
    bad = [
        row
        for row in rows(tmp_path / "file.csv")
        if isinstance(
            examine({k: v for k, v in row.items() if v}, load_gazetteer(), date.fromordinal(TODAY)), list
        )
    ]
    assert 10 <= len(bad) <= 32


def test_no_card_id_or_account_is_given_twice_unless_asked_for(tmp_path: Path) -> None:
    for seed in (1, 2):
        generate.write(tmp_path / f"{seed}.csv", households=2000, seed=seed, shares=NONE_BAD)
    both = rows(tmp_path / "1.csv") + rows(tmp_path / "2.csv")
    ids = [name for name in COLUMNS if name.endswith("_national_id")]
    for columns in (("card_number",), ("account_number",), ids):
        counts = Counter(row[name] for row in both for name in columns if row[name])
        assert counts.most_common(1)[0][1] == 1


def test_some_rows_claim_what_another_household_holds(tmp_path: Path) -> None:
    generate.write(tmp_path / "file.csv", households=2000, seed=5, shares=Shares(bad=0, duplicate=0.01))
    found = rows(tmp_path / "file.csv")
    twice = sum(
        count - 1
        for column in ("card_number", "member_1_national_id", "account_number")
        for value, count in Counter(row[column] for row in found).items()
        if value
    )
    assert 8 <= twice <= 40


def test_a_household_registered_again_is_named_in_the_truth_and_gives_no_number_away(tmp_path: Path) -> None:
    shares = Shares(bad=0, duplicate=0, hidden=0.1)
    generate.write(tmp_path / "file.csv", households=500, seed=1, shares=shares)
    households = {row["reference"]: row for row in rows(tmp_path / "file.csv")}
    truth = rows(tmp_path / "file.truth.csv")
    assert 30 <= len(truth) <= 70
    for pair in truth:
        again, first = households[pair["reference"]], households[pair["first_reference"]]
        assert again["member_1_national_id"] == ""
        for number in ("card_number", "account_number"):
            assert again[number] != first[number] or not first[number]
        full = {name: cell for name, cell in again.items() if cell}
        assert isinstance(examine(full, load_gazetteer(), date.fromordinal(TODAY)), Household), full


def test_all_other_households_are_the_same_with_hidden_duplicates_and_without(tmp_path: Path) -> None:
    generate.write(tmp_path / "without.csv", households=200, seed=7, shares=NONE_BAD)
    generate.write(tmp_path / "with.csv", households=200, seed=7, shares=Shares(0, 0, hidden=0.1))
    planted = {pair["reference"] for pair in rows(tmp_path / "with.truth.csv")}
    assert not (tmp_path / "without.truth.csv").exists()
    for before, after in zip(rows(tmp_path / "without.csv"), rows(tmp_path / "with.csv"), strict=True):
        assert (before == after) == (before["reference"] not in planted)
