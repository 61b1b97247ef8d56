"""A programme file is read strictly, its rates agree with their sources, and its examples come out."""

import csv
import hashlib
import re
from datetime import date
from itertools import product
from pathlib import Path

import pytest

from services.eligibility import programmes, scoring
from services.eligibility.app import FOLDER, read_programmes
from services.eligibility.programmes import AREAS, ProgrammeRefused
from tests.unit.eligibility.samples import FILE, PROGRAMME

CONTENT = FILE.read_bytes()
FIRST_VERSION = b"  - valid_from: 2020-06-25"

# What is broken, the line it is found on (or None where it is about the whole), and what must be said.
BROKEN = {
    "a field it does not know": ((b"purpose:", b"purpos:"), "purpos:", r"purpos: .*; remove it, or correct"),
    "a field left out": ((b"frequency: monthly\n", b""), None, r"frequency: .*; add it"),
    "a rate that is no multiple of 100": ((b"riel: 52_000", b"riel: 52_050"), "52_050", "multiples of 100"),
    "a negative rate": ((b"riel: 52_000", b"riel: -100"), "riel: -100", "positive amount"),
    "a rate in quotes": ((b"riel: 52_000", b'riel: "52000"'), '"52000"', "without quotes"),
    "an area that is none": ((b"area: rural, level: poor_2,", b"area: rual, level: poor_2,"), "rual", "area"),
    "evidence that is no grade": ((b"evidence: memory", b"evidence: hearsay"), "hearsay", "sourced"),
    "a source that is not listed": (
        (b"[xinhua, dara]", b"[xinhua, dora]"),
        None,
        "source dora is not listed",
    ),
    "versions that overlap": (
        (b"valid_from: 2024-01-01", b"valid_from: 2023-12-01"),
        None,
        "versions overlap: .* end the earlier one on 2023-11-30",
    ),
    "a version that ends before it begins": (
        (b"valid_to: 2024-03-31", b"valid_to: 2023-03-31"),
        "valid_from: 2024-01-01",
        "ends before it begins",
    ),
    "a cell without a rate": (
        (
            b"components: [household, vulnerable_member]",
            b"components: [household, member, vulnerable_member]",
        ),
        None,
        "no rate for other_urban/poor_1/member; add the rate",
    ),
    "a cell with two rates": (
        (b"poor_2, component: member", b"poor_1, component: member"),
        None,
        "keep one|no rate",
    ),
    "a rate that is not covered": ((b"levels: [poor_1, poor_2]", b"levels: [poor_1]"), None, "not covered"),
    "a key that stands twice": (
        (b"currency: KHR", b"currency: KHR\ncurrency: KHR"),
        "currency: KHR",
        "currency stands twice",
    ),
    "a sensitive programme": ((b"sensitive: false", b"sensitive: true"), "sensitive: true", "False"),
    "what is no YAML": ((b"currency: KHR", b"currency: ["), None, "is no YAML"),
    "a file that is not UTF-8": ((b"currency: KHR", b"currency: \xff"), None, "save it as UTF-8"),
    "an example that comes out otherwise": (
        (b"amount: 316_000", b"amount: 316_100"),
        None,
        "'a couple with a small child in Phnom Penh' comes out as 316000 riel; correct it",
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_programme_is_refused_with_file_line_and_remedy(broken: str, tmp_path: Path) -> None:
    (before, after), marker, said = BROKEN[broken]
    assert before in CONTENT
    content = CONTENT.replace(before, after)
    (tmp_path / FILE.name).write_bytes(content)
    with pytest.raises(ProgrammeRefused) as refused:
        read_programmes(tmp_path)
    text = str(refused.value)
    assert re.search(said, text)
    assert text.startswith(FILE.name)
    if marker is not None:
        lines = [n for n, line in enumerate(content.decode().splitlines(), 1) if marker in line]
        assert any(f"{FILE.name}:{line}:" in text for line in lines), text


def test_a_programme_is_named_by_the_hash_of_its_bytes() -> None:
    assert hashlib.sha256(CONTENT).hexdigest() == PROGRAMME.hash
    assert programmes.parse(FILE.name, CONTENT + b"\n").hash != PROGRAMME.hash


def test_a_file_is_named_as_its_programme() -> None:
    with pytest.raises(ProgrammeRefused, match=r"name the file covid-19-cash-transfer\.yaml"):
        programmes.catalogue({"other.yaml": CONTENT})


def test_the_programmes_shipped_are_loaded_and_their_worked_examples_come_out() -> None:
    found = read_programmes(FOLDER / "programmes")
    assert set(found) == {"covid-19-cash-transfer"}
    for programme in found.values():
        scoring.check_examples(programme)


def test_a_worked_example_is_the_case_from_the_press() -> None:
    (press,) = [each for each in PROGRAMME.document.examples if "press" in each.name]
    assert (press.area, press.level, press.members, press.vulnerable_members, press.amount) == (
        "rural",
        "poor_2",
        5,
        1,
        176_000,
    )


def test_both_date_ranges_are_whole() -> None:
    assert PROGRAMME.rates(date(2020, 6, 24)) is None
    assert PROGRAMME.rates(date(2024, 4, 1)) is None
    for first, last, components in (
        (date(2020, 6, 25), date(2023, 12, 31), ["household", "member", "vulnerable_member"]),
        (date(2024, 1, 1), date(2024, 3, 31), ["household", "vulnerable_member"]),
    ):
        rates = PROGRAMME.rates(first)
        assert rates is not None
        assert rates is PROGRAMME.rates(last)
        assert set(rates) == set(product(AREAS, ("poor_1", "poor_2")))
        assert all(list(each) == components for each in rates.values())


def test_every_rate_agrees_with_its_source_in_amount_evidence_and_address(shared_data: Path) -> None:
    with (shared_data / "policy_rates" / "benefit_rates.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["programme"].startswith("covid_ctp")]
    typed = {}
    for row in rows:
        areas = ("phnom_penh", "other_urban") if row["area"] == "urban_any" else (row["area"],)
        for area in areas:
            cell = (row["valid_from"][:7], area, f"poor_{row['idpoor_level']}", row["component"])
            evidence = row["evidence"].split()[0].rstrip(";")
            # Two rates stand in their source as the least of a range.
            grade = "sourced" if evidence == "minimum" else evidence
            typed[cell] = (int(row["amount_khr"]), grade, tuple(row["source"].split(" ; ")))
    ours = {
        (version.valid_from.isoformat()[:7], *rate.cell): (
            rate.riel,
            rate.evidence,
            tuple(PROGRAMME.document.sources[name] for name in rate.source),
        )
        for version in PROGRAMME.document.versions
        for rate in version.rates
    }
    assert ours == typed
