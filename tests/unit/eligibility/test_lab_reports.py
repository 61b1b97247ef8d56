"""What condition reports say is in the lab what it is in the stream."""

from collections.abc import Mapping
from datetime import date
from operator import itemgetter

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.condition import ConditionKind, ConditionReport
from contracts.household import Condition, School, SchoolLevel
from services.eligibility.lab.columns import VISITS, reported
from tests.unit.eligibility.laboratory import (
    DAYS,
    Household,
    facts_by_stream,
    households,
    judged,
    laboratory,
    rural,
)


@settings(max_examples=25)
@given(st.lists(households, min_size=1, max_size=6), st.sampled_from(DAYS))
def test_columns_hold_of_reports_what_the_stream_makes_of_them(everybody: list[Household], on: date) -> None:
    expected = [facts_by_stream(each, on) for each in everybody]
    with laboratory(everybody) as lab:
        kinds = lab.kinds(on, 0)
        assert set(kinds) == {person for each in expected for person in each.persons}
        shapes = [shape for _, shape in lab.shapes(kinds, range(len(kinds)), VISITS)]
        visits = {tuple(shape.circumstances.values()) for shape in shapes}
        assert visits == {itemgetter(*VISITS)(each.circumstances._asdict()) for each in expected}


SEEN_LATE = ConditionReport(
    reference="1",
    person_id="p",
    kind=ConditionKind.ANTENATAL_VISIT,
    on=date(2025, 1, 20),
    reported_on=date(2025, 2, 20),
)


def paid_by_reports(of: Household, programme: str, *, member: Mapping[str, object]) -> list[object]:
    """Riel on the last day of January, the first of February and the first of March 2025."""
    (woman,) = of.persons.members
    everyone = of.persons.model_copy(update={"members": (woman.model_copy(update=member),)})
    found = []
    with laboratory([of._replace(persons=everyone)]) as lab:
        for on in (date(2025, 1, 31), date(2025, 2, 1), date(2025, 3, 1)):
            judged(lab, on)
            rows = [each for each in lab.programmes() if each["programme"] == programme]
            found.append(next((each["riel"] for each in rows if each["side"] == "current"), 0))
    return found


def test_a_visit_reported_late_is_paid_in_the_month_of_its_report() -> None:
    pregnant = {"conditions": (Condition.PREGNANCY,)}
    of = rural()._replace(reports=(SEEN_LATE,))
    assert paid_by_reports(of, "pregnancy-and-children-under-2", member=pregnant) == [0, 80_000, 0]


def test_attendance_reported_of_the_last_term_stands_before_the_registered() -> None:
    attended = {"kind": ConditionKind.ATTENDANCE, "on": date(2025, 2, 1), "attendance_percent": 90}
    pupil = {
        "birth_date": date(2015, 1, 1),
        "school": School(level=SchoolLevel.PRIMARY, attendance_percent=10),
    }
    of = rural()._replace(reports=(SEEN_LATE.model_copy(update=attended),))
    assert paid_by_reports(of, "family-package-students", member=pupil) == [0, 20_000, 20_000]


def test_no_reference_of_a_report_is_kept() -> None:
    papers = [
        SEEN_LATE.model_copy(update={"reference": each}) for each in ("CERTIFICATE-12", "CERTIFICATE-13")
    ]
    rows = [reported(household, 1, paper) for household in ("h", "i") for paper in papers]
    assert "CERTIFICATE" not in str(rows)
    assert len({reference for _, _, reference, *_ in rows}) == 4
