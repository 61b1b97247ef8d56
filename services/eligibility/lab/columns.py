"""What the lab keeps of a household while it runs, in columns: no names, no numbers. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from enum import StrEnum
from hashlib import blake2b
from operator import itemgetter
from types import MappingProxyType
from typing import NamedTuple, get_type_hints

import pyarrow

from contracts.condition import ConditionKind, ConditionReport
from contracts.household import AreaType, CommuneCode, HouseholdId, Level, Revision
from contracts.model import Contract
from contracts.sealed import Sealed
from contracts.shock import ShockKind
from services.eligibility.answers import Home
from services.eligibility.conditions import Visits
from services.eligibility.facts import Circumstances, Member, Person, facts_of
from services.eligibility.poverty import FACTS, Poverty, percent
from services.eligibility.scorecards import Scorecard
from services.eligibility.shocks import Shock

VISIT_FACTS: Mapping[ConditionKind, str] = MappingProxyType(
    {
        ConditionKind.ANTENATAL_VISIT: "antenatal_visits",
        ConditionKind.DELIVERY: "deliveries",
        ConditionKind.POSTNATAL_VISIT: "postnatal_visits",
        ConditionKind.VACCINATION: "vaccination_visits",
    }
)
"""The fact of a household that counts its visits of a kind."""
VISITS = tuple(VISIT_FACTS.values())
SHAKEN = tuple(each.value for each in ShockKind if each is not ShockKind.UNRECOGNISED)
_NOT_KEPT = ("members", "card_expired", *SHAKEN, *VISITS, *FACTS)  # they hang on the day, or are estimated
_TYPES: Mapping[type, pyarrow.DataType] = MappingProxyType(
    {bool: pyarrow.bool_(), int: pyarrow.int32(), str: pyarrow.string()}
)
KEPT_CIRCUMSTANCES = tuple(name for name in Circumstances._fields if name not in _NOT_KEPT)
_kept = itemgetter(*map(Circumstances._fields.index, KEPT_CIRCUMSTANCES))
KEPT_OF_PERSON = tuple(
    name for name in Person._fields if name not in ("age", "attendance_percent", *Visits._fields)
)
_kept_of_person = itemgetter(*map(Person._fields.index, KEPT_OF_PERSON))
_MARK_BYTES = 16


class Readable(StrEnum):
    """Whether a revision could be read, and if not, why. A missing key counts as forgotten, and is told."""

    READ = "read"
    FORGOTTEN = "forgotten"
    KEY_MISSING = "key_missing"
    BROKEN = "broken"


class Registered(Contract):
    """What is read of `HouseholdRegistered`: the payee stays unread."""

    household_id: HouseholdId
    revision: Revision
    commune: CommuneCode
    area_type: AreaType
    level: Level
    persons: Sealed


def _columns(kind: type, names: tuple[str, ...]) -> dict[str, pyarrow.DataType]:
    hints = get_type_hints(kind)
    return {name: _TYPES[hints[name]] for name in names}


_HOUSEHOLD: dict[str, pyarrow.DataType] = {
    "revision_id": pyarrow.int64(),
    "household_id": pyarrow.string(),
    "revision": pyarrow.int32(),
    "registered_on": pyarrow.date32(),
    "readable": pyarrow.string(),
    "expires_on": pyarrow.date32(),
    "commune": pyarrow.string(),
    "poor_lowest": pyarrow.float64(),
    "poor_highest": pyarrow.float64(),
    **_columns(Circumstances, FACTS),
    **_columns(Circumstances, KEPT_CIRCUMSTANCES),
}
_PERSON: dict[str, pyarrow.DataType] = {
    "revision_id": pyarrow.int64(),
    "person_id": pyarrow.string(),
    "birth_date": pyarrow.date32(),
    "attendance_registered": pyarrow.int32(),
    **_columns(Person, KEPT_OF_PERSON),
}
_EXIT: dict[str, pyarrow.DataType] = {
    "household_id": pyarrow.string(),
    "revision": pyarrow.int32(),
    "exited_on": pyarrow.date32(),
}
_SHOCK: dict[str, pyarrow.DataType] = {
    "commune": pyarrow.string(),
    "kind": pyarrow.string(),
    "first_day": pyarrow.date32(),
    "last_day": pyarrow.date32(),
}
_REPORT: dict[str, pyarrow.DataType] = {
    "household_id": pyarrow.string(),
    "number": pyarrow.int64(),
    "reference": pyarrow.string(),
    "person_id": pyarrow.string(),
    "kind": pyarrow.string(),
    "seen_on": pyarrow.date32(),
    "reported_on": pyarrow.date32(),
    "attendance_percent": pyarrow.int32(),
    "babies": pyarrow.int32(),
    "withdrawn": pyarrow.bool_(),
}
REVISIONS, PERSONS, EXITS = pyarrow.schema(_HOUSEHOLD), pyarrow.schema(_PERSON), pyarrow.schema(_EXIT)
"""Of a revision of a household, of a member of one, and of an exit."""
SHOCKS, REPORTS = pyarrow.schema(_SHOCK), pyarrow.schema(_REPORT)
"""Of a shock to a commune, and of a report: `seen_on` is its `on`, `reference` a mark of its own."""
_SEEN_HOUSEHOLD: dict[str, pyarrow.DataType] = {
    "household_id": pyarrow.string(),
    **_columns(Circumstances, VISITS),
}
_SEEN_PERSON: dict[str, pyarrow.DataType] = {
    "household_id": pyarrow.string(),
    "person_id": pyarrow.string(),
    "attendance_percent": pyarrow.int32(),
    **_columns(Visits, Visits._fields),
}
OBSERVED_HOUSEHOLDS, OBSERVED_PERSONS = pyarrow.schema(_SEEN_HOUSEHOLD), pyarrow.schema(_SEEN_PERSON)
"""Of what reports say, on the day that is judged, of a household and of one of its persons."""
_KIND = {**_columns(Person, Person._fields), "class": pyarrow.int32()}
_DUE: dict[str, pyarrow.DataType] = {
    "shape": pyarrow.int64(),
    "side": pyarrow.string(),
    "programme": pyarrow.string(),
    "riel": pyarrow.int64(),
}
KINDS, DUE = pyarrow.schema(_KIND), pyarrow.schema(_DUE)
"""Of a kind of person with its class, and of what a programme pays to a shape."""


class Rows(NamedTuple):
    """One revision's row, and a row for each of its members."""

    revision: tuple[object, ...]
    persons: list[tuple[object, ...]]


class Columns:
    """Turns revisions into rows; `on` is the day that poverty is estimated for, whichever day is judged."""

    def __init__(self, scorecard: Scorecard, on: date) -> None:
        self._on = on
        self._poverty = Poverty(scorecard)

    def read(self, revision_id: int, said: Registered, registered_on: date, everyone: Home) -> Rows:
        """The rows of a revision that could be read.

        Facts are counted on the last day there is, when all are born; ages and cards are the query's.
        """
        facts = facts_of(everyone, said.level, said.area_type, said.commune, date.max)
        poor = self._poverty.likelihood(everyone, said.commune, self._on)
        card = everyone.equity_card
        row = (
            *_named(revision_id, said, registered_on, Readable.READ),
            card.expires_on if card else None,
            said.commune,
            poor.likelihood_lowest,
            poor.likelihood_highest,
            *percent(poor),
            *_kept(facts.circumstances),
        )
        members = zip(everyone.members, facts.persons, strict=True)
        return Rows(row, [_member(revision_id, each, person) for each, person in members])

    @staticmethod
    def unread(revision_id: int, said: Registered, registered_on: date, why: Readable) -> Rows:
        """The row of a revision that could not be read."""
        empty = (None,) * (len(REVISIONS) - 5)
        return Rows((*_named(revision_id, said, registered_on, why), *empty), [])


def _named(revision_id: int, said: Registered, registered_on: date, why: Readable) -> tuple[object, ...]:
    return revision_id, said.household_id, said.revision, registered_on, str(why)


def shock_rows(shocks: Iterable[Shock]) -> list[tuple[object, ...]]:
    """A row for each commune of each shock; one that was ended holds to the day before."""
    return [
        (commune, shock.kind.value, shock.first_day, _last_day(shock))
        for shock in shocks
        for commune in sorted(shock.communes)
    ]


def _last_day(shock: Shock) -> date:
    if shock.ended_on is not None:
        return shock.ended_on - timedelta(days=1)
    return shock.last_day or date.max


def _member(revision_id: int, said: Member, person: Person) -> tuple[object, ...]:
    """A member's row; who goes to no school has no attendance, whatever is reported."""
    registered = None if said.school is None else person.attendance_percent
    return revision_id, said.person_id, said.birth_date, registered, *_kept_of_person(person)


def reported(household_id: HouseholdId, number: int, said: ConditionReport) -> tuple[object, ...]:
    """The row of a report. Its reference may be a number on paper, so it is marked instead of kept."""
    mark = blake2b(f"{household_id}\n{said.reference}".encode(), digest_size=_MARK_BYTES)
    return (
        household_id,
        number,
        mark.hexdigest(),
        said.person_id,
        said.kind.value,
        said.on,
        said.reported_on,
        said.attendance_percent,
        said.babies,
        said.withdrawn,
    )


def batch(schema: pyarrow.Schema, rows: Sequence[tuple[object, ...]]) -> pyarrow.RecordBatch:
    """Rows as columns."""
    columns: Iterable[list[object]] = map(list, zip(*rows, strict=True)) if rows else ([] for _ in schema)
    arrays = [pyarrow.array(values, kind.type) for values, kind in zip(columns, schema, strict=True)]
    return pyarrow.record_batch(arrays, schema=schema)
