"""A programme file is read strictly, its rates agree with their sources, and its examples come out."""

import csv
import hashlib
import re
from datetime import date
from itertools import product
from pathlib import Path

import pytest

from services.eligibility import packages, programmes
from services.eligibility.app import FOLDER, read_programmes
from services.eligibility.documents import AREAS
from services.eligibility.packages import Panel
from services.eligibility.reading import FileRefused
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
    "a component without a line": (
        (b"  member: {count", b"  everyone: {count"),
        None,
        "component member has no line; add it under lines",
    ),
    "a condition that does not compile": (
        (b"holds: members > 0", b"holds: members >"),
        "holds: members >",
        r"conditions\.1\.holds: Syntax error: .* \(at character 10\); correct it",
    ),
    "a condition on what is no fact": (
        (b"holds: members > 0", b"holds: cows > 0"),
        "holds: cows",
        "undeclared reference to 'cows' .*at character 1.*lists the facts",
    ),
    "a condition that compares what can't be": (
        (b"holds: members > 0", b"holds: members > level"),
        "holds: members > level",
        "no matching overload for '_>_' applied to '\\(int, string\\)'",
    ),
    "a condition that is a number": (
        (b"holds: members > 0", b"holds: members"),
        "holds: members",
        "gives INT, and must give yes or no",
    ),
    "a count that is no number": (
        (b"count: members,", b"count: has_card,"),
        "count: has_card",
        "gives BOOL, and must give a whole number",
    ),
    "a person's condition on what is no fact": (
        (b"[age <= 5,", b"[members <= 5,"),
        "[members <= 5,",
        r"persons\.vulnerable_member\.any_of\.0: undeclared reference to 'members'",
    ),
    "a group called like a fact": (
        (b"  vulnerable_member:\n", b"  members:\n"),
        "    any_of:",
        "members is a fact already",
    ),
    "a rate that was not found": (
        (b"riel: 52_000, evidence: sourced", b"riel: null, evidence: missing"),
        "riel: null",
        r"the rate of member \(phnom_penh, poor_1\) was not found; fill it in, with its source",
    ),
    "a rate without riel that is graded": (
        (b"riel: 52_000", b"riel: null"),
        "riel: null",
        "`missing` where there is no riel",
    ),
    "a first day that was not found": (
        (b"valid_from: 2020-06-25", b"valid_from: null"),
        "valid_from: null",
        "the first day was not found; fill it in",
    ),
    "an example with a fact there is not": (
        (b"{age: 28}", b"{age: 28, cows: 3}"),
        "cows: 3",
        "cows: .*; remove it",
    ),
    "an example that counts its members": (
        (b"household: {area: other_urban,", b"household: {members: 2, area: other_urban,"),
        "one elder alone",
        "members are counted from persons; leave them out",
    ),
    "a key that stands twice": (
        (b"currency: KHR", b"currency: KHR\ncurrency: KHR"),
        "currency: KHR",
        "currency stands twice",
    ),
    "dates of a monthly programme": (
        (b"frequency: monthly", b"frequency: monthly\ndates: [2023-06-01]"),
        None,
        "dates belong to the frequency on_dates",
    ),
    "stacking on what is no programme": (
        (b"currency: KHR", b"currency: KHR\nstacking: {needs: [no-such]}"),
        None,
        "stacking: no-such is no programme; correct its name",
    ),
    "stacking on itself": (
        (b"currency: KHR", b"currency: KHR\nstacking: {yields_to: [{programme: covid-19-cash-transfer}]}"),
        None,
        "stacking: covid-19-cash-transfer hangs on covid-19-cash-transfer in turn",
    ),
    "a part repeated by an alias": (
        (b"currency: KHR", b"currency: &same KHR\nother: *same"),
        None,
        "repeats a part by an alias",
    ),
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
    with pytest.raises(FileRefused) as refused:
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
    with pytest.raises(FileRefused, match=r"name the file covid-19-cash-transfer\.yaml"):
        programmes.catalogue({"other.yaml": CONTENT})


SHIPPED = read_programmes(FOLDER / "programmes")
# The rows of the shared table of rates each shipped file is typed from.
ROWS = {
    "flood-supplement-government": "flood_2022",
    "inflation-supplement": "inflation_2022",
    "pregnancy-and-children-under-2": "pregnancy_u2",
    "disability-cash-transfer": "disability_pilot",
    "emergency-lockdown-2021": "lockdown_2021",
    "family-package-hiv": "family_package",
    "family-package-students": "family_package",
}


def test_every_programme_of_the_policy_is_shipped_and_its_worked_examples_come_out() -> None:
    assert set(SHIPPED) == {
        *ROWS,
        PROGRAMME.id,
        "flood-supplement-wfp",
        "family-package",
        "reintegration-grant",
    }
    packages.check_examples(Panel(SHIPPED))


def test_drafts_are_those_that_lack_a_rate_or_a_day_and_name_the_line() -> None:
    missing = {name: each.missing for name, each in SHIPPED.items() if each.document.draft}
    assert set(missing) == {
        *("family-package", "disability-cash-transfer", "emergency-lockdown-2021", "reintegration-grant")
    }
    for name, lines in missing.items():
        content = (FOLDER / "programmes" / f"{name}.yaml").read_text().splitlines()
        assert lines
        assert all(": null" in content[int(line.split(":")[1]) - 1] for line in lines)


def test_what_tells_of_hiv_disability_or_pregnancy_is_sensitive() -> None:
    assert {name for name, each in SHIPPED.items() if each.document.sensitive} == {
        *("pregnancy-and-children-under-2", "family-package-hiv", "family-package"),
        "disability-cash-transfer",
    }


@pytest.mark.parametrize("name", ROWS)
def test_every_sourced_rate_stands_in_the_table_of_rates(name: str, shared_data: Path) -> None:
    with (shared_data / "policy_rates" / "benefit_rates.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["programme"].startswith(ROWS[name])]
    known = {(int(row["amount_khr"]), row["source"]) for row in rows}
    document = SHIPPED[name].document
    typed = {
        (rate.riel, document.sources[source])
        for version in document.versions
        for rate in version.rates
        for source in rate.source
        if rate.evidence != "missing"
    }
    assert typed <= known
    if ROWS[name] != "family_package":
        assert typed == known


def test_no_programme_hangs_on_a_sensitive_one_unless_it_is_sensitive_itself() -> None:
    open_one, secret = SHIPPED["inflation-supplement"], SHIPPED["family-package-hiv"]
    content = (FOLDER / "programmes" / f"{open_one.id}.yaml").read_bytes()
    content = content.replace(b"flood-supplement-government", secret.id.encode())
    telling = programmes.parse(f"{open_one.id}.yaml", content)
    with pytest.raises(FileRefused, match="family-package-hiv is sensitive; a refusal would tell of it"):
        programmes.check_stacking({**SHIPPED, telling.id: telling})


def test_a_worked_example_is_the_case_from_the_press() -> None:
    (press,) = [each for each in PROGRAMME.document.examples if "press" in each.name]
    assert (press.household.area, press.household.level, press.amount) == ("rural", "poor_2", 176_000)
    assert [each.age <= 5 for each in press.persons] == [False, False, False, False, True]


def test_a_draft_tells_what_is_missing_and_pays_nothing() -> None:
    content = CONTENT.replace(b"riel: 52_000, evidence: sourced", b"riel: null, evidence: missing")
    content = content.replace(b"currency: KHR", b"currency: KHR\ndraft: true")
    line = next(n for n, text in enumerate(content.decode().splitlines(), 1) if "riel: null" in text)
    draft = programmes.parse(FILE.name, content)
    what = "the rate of member (phnom_penh, poor_1) was not found; fill it in, with its source"
    assert draft.missing == (f"{FILE.name}:{line}: {what}",)
    assert draft.rates(date(2023, 6, 1)) is None


def test_a_rate_for_any_area_and_level_fills_every_cell() -> None:
    content = CONTENT[: CONTENT.index(b"  - valid_from: 2024")].decode()
    first = content.index("      - {area: phnom_penh")
    rows = "".join(
        f"      - {{component: {each}, riel: 100, evidence: sourced, source: [dara]}}\n"
        for each in ("household", "member", "vulnerable_member")
    )
    examples = CONTENT[CONTENT.index(b"examples:") :].decode()
    programme = programmes.parse(FILE.name, (content[:first] + rows + examples).encode())
    rates = programme.rates(date(2023, 6, 1))
    assert rates is not None
    assert set(rates) == set(product(AREAS, ("poor_1", "poor_2")))
    assert all(set(each.values()) == {100} for each in rates.values())


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
        (version.first.isoformat()[:7], *cell): (
            rate.riel,
            rate.evidence,
            tuple(PROGRAMME.document.sources[name] for name in rate.source),
        )
        for version in PROGRAMME.document.versions
        for rate in version.rates
        for cell in rate.cells(PROGRAMME.document.levels)
    }
    assert ours == typed
