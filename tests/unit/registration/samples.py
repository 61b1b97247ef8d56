"""Rows of an import file, as a registrar would write them."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from contracts import wire
from contracts.household import Payee, Persons
from services.registration.columns import HOUSEHOLD, MEMBER, member_column
from services.registration.household import Household
from services.registration.places import Place, area_type_of
from services.registration.rules import examine

TODAY = date(2023, 6, 1)

RURAL, URBAN, PHNOM_PENH = "01020101", "01060201", "12010101"
GAZETTEER = {
    code: Place(code, "Village", code[:6], area_type_of(code[:6])) for code in (RURAL, URBAN, PHNOM_PENH)
}
COLUMNS = (*HOUSEHOLD, *(member_column(n, name) for n in (1, 2, 3) for name in MEMBER))


def row(number: int = 1, /, **changes: str) -> dict[str, str]:
    """A good row of a household of two; `changes` replace cells, an empty text takes one out."""
    cells = {
        "reference": f"R-{number}",
        "village": RURAL,
        "level": "poor_1",
        "card_number": f"CARD-{number:06d}",
        "card_expires_on": "2025-12-31",
        "phone": "012 345 678",
        "account_provider": "wing",
        "account_number": f"{number:08d}",
        "contact": "full",
        "language": "km",
        "consents": "delivery;health_data",
        "roof": "tin",
        "electricity": "yes",
        "assets": "bicycle;radio",
        "member_1_name_km": "សុខ ដារា",
        "member_1_name_latin": "Sok Dara",
        "member_1_sex": "female",
        "member_1_birth_date": "1985-04-15",
        "member_1_relation": "head",
        "member_1_national_id": f"{number:09d}",
        "member_2_name_km": "សុខ បូផា",
        "member_2_name_latin": "Sok Bopha",
        "member_2_sex": "female",
        "member_2_birth_date": "2021-01-02",
        "member_2_relation": "child",
    } | changes
    return {name: text for name, text in cells.items() if text}


def household(number: int = 1, /, **changes: str) -> Household:
    """The household of a good row."""
    found = examine(row(number, **changes), GAZETTEER, TODAY)
    assert isinstance(found, Household), found
    return found


def told(found: Household, ids: Sequence[str]) -> tuple[Persons, Payee]:
    """What is sealed of a household, as its readers decode it."""
    content, collector = found.content(), ids[found.collector - 1]
    return wire.load(Persons, content.persons_of(ids)), wire.load(Payee, content.payee_of(collector))


def csv_bytes(rows: Iterable[Mapping[str, str]], columns: Iterable[str] = COLUMNS) -> bytes:
    """Rows as a CSV file."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(columns), restval="", extrasaction="raise")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()
