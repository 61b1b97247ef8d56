"""Rows that were not registered: how they are kept and given back."""

from services.registration.admission import New
from services.registration.cells import Flaw, SourceRow
from services.registration.columns import REPORT, check
from services.registration.quarantine import Judged, examined, export_columns, export_row, refused
from tests.unit.registration.samples import COLUMNS, GAZETTEER, RURAL, TODAY, row


def judged(**changes: str) -> Judged:
    cells = row(**changes)
    source = SourceRow(7, [cells.get(name, "") for name in (*COLUMNS, *REPORT)])
    return Judged(examined(source, (*COLUMNS, *REPORT), GAZETTEER, TODAY), None)


def test_a_refused_row_keeps_where_it_stood_what_it_said_and_why() -> None:
    found = refused(judged(level="poor", quarantine_id="3"), None)
    assert (found.row_number, found.outcome, found.commune) == (7, "quarantined", RURAL[:6])
    assert [flaw.field for flaw in found.flaws] == ["level"]
    assert found.original == row(level="poor")


def test_the_same_row_is_recognised_whatever_the_report_says() -> None:
    first, again = refused(judged(level="poor"), None), refused(judged(level="poor", row_number="7"), None)
    assert first.row_hash == again.row_hash
    assert first.row_hash != refused(judged(level="rich"), None).row_hash


def test_a_row_with_a_null_byte_can_be_stored() -> None:
    found = refused(judged(roof="a\0b"), None)
    assert found.original["roof"] == "a\\x00b"
    assert found.flaws[0].value == "a\\x00b"


def test_a_row_that_is_admitted_counts_as_registered() -> None:
    assert Judged(judged().examined, New("id-1")).outcome == "registered"


def test_an_export_has_columns_that_can_be_imported() -> None:
    columns = export_columns({*row(), *REPORT})
    assert check(columns)
    assert columns[0] == "reference"
    assert tuple(columns[-len(REPORT) :]) == REPORT


def test_an_exported_row_says_every_reason_and_each_remedy_once() -> None:
    flaws = [Flaw("level", "x", "is empty", "Fill it in."), Flaw("village", "", "is empty", "Fill it in.")]
    line = export_row({"reference": "R-1"}, 3, 7, flaws)
    assert line == {
        "reference": "R-1",
        "quarantine_id": "3",
        "row_number": "7",
        "field": "level; village",
        "reason": "level: is empty; village: is empty",
        "remedy": "Fill it in.",
    }


def test_an_exported_cell_is_never_run_as_a_formula() -> None:
    line = export_row({"roof": "=1+1", "phone": "+85512345678", "walls": "+cmd"}, 3, 7, [])
    assert (line["roof"], line["phone"], line["walls"]) == ("'=1+1", "+85512345678", "'+cmd")
