"""Everybody of a register as a table of persons: what a search for duplicates compares. Pure."""

from collections.abc import Iterable, Iterator

import pyarrow

from contracts import wire
from contracts.household import Payee, Persons
from services.registration import names
from services.registration.store_duplicates import Enrolled

_TEXT, _NUMBER = pyarrow.string(), pyarrow.int32()
_COLUMNS: list[tuple[str, pyarrow.DataType]] = [
    ("unique_id", _TEXT),
    ("household_id", _TEXT),
    ("member", _NUMBER),
    ("commune", _TEXT),
    ("village", _TEXT),
    ("phone", _TEXT),
    ("card", _TEXT),
    ("sex", _TEXT),
    ("birth_date", _TEXT),
    ("birth_year", _NUMBER),
    ("khmer", _TEXT),
    ("latin", _TEXT),
    ("sound", _TEXT),
]
PEOPLE = pyarrow.schema(_COLUMNS)
"""One row a person: member `member` of a household, names as `names.py` brings them into comparable form."""


def batch(households: Iterable[Enrolled]) -> pyarrow.RecordBatch:
    """The members of households."""
    rows = [row for household in households for row in _members(household)]
    return pyarrow.RecordBatch.from_pylist(rows, schema=PEOPLE)


def _members(household: Enrolled) -> Iterator[dict[str, object]]:
    persons = wire.load(Persons, household.persons.encode())
    payee = wire.load(Payee, household.payee.encode())
    for number, member in enumerate(persons.members, 1):
        yield {
            "unique_id": f"{household.household_id} {number}",
            "household_id": household.household_id,
            "member": number,
            "commune": household.commune,
            "village": persons.village,
            "phone": payee.phone,
            "card": persons.equity_card.number if persons.equity_card else None,
            "sex": member.sex.value,
            "birth_date": member.birth_date.isoformat(),
            "birth_year": member.birth_date.year,
            "khmer": names.khmer(member.name_km),
            "latin": names.latin(member.name_latin),
            "sound": names.sound(member.name_latin),
        }
