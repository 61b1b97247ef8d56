"""A household whose every field was checked, as registration says it to others. Pure."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple
from uuid import uuid5

from contracts import wire
from contracts.household import (
    Account,
    AreaType,
    Condition,
    ContactPreference,
    Dwelling,
    EquityCard,
    Language,
    Level,
    Member,
    Payee,
    Persons,
    Purpose,
    Relation,
    School,
    Sex,
)
from contracts.model import Contract
from services.registration.places import Place


class Identity(NamedTuple):
    """What only one household may hold: an Equity Card, a national id, a payment account."""

    kind: str
    value: str


class Person(NamedTuple):
    """A member before an opaque person id is given to it."""

    name_km: str
    name_latin: str
    sex: Sex
    birth_date: date
    relation: Relation
    conditions: tuple[Condition, ...]
    school: School | None
    national_id: str | None

    def member(self, person_id: str) -> Member:
        return Member(person_id=person_id, **self._asdict())


@dataclass(frozen=True, slots=True)
class Household:
    """Member 1 is the head; `collector` is the number of the member who collects.

    `identities` is what the household claims as its own.
    """

    reference: str
    household_id: str
    place: Place
    level: Level
    members: tuple[Person, ...]
    collector: int
    card: EquityCard | None
    phone: str | None
    account: Account | None
    contact: ContactPreference
    language: Language
    consents: tuple[Purpose, ...]
    dwelling: Dwelling | None
    assets: tuple[str, ...]
    identities: tuple[Identity, ...]

    @property
    def commune(self) -> str:
        return self.place.commune

    @property
    def area_type(self) -> AreaType:
        return self.place.area_type

    def content_hash(self) -> bytes:
        """SHA-256 of what is said, without ids or keys: equal for equal content, however it was written."""
        said = (
            self.place.village,
            self.level,
            self.members,
            self.collector,
            self.card,
            self.phone,
            self.account,
            self.contact,
            self.language,
            self.consents,
            self.dwelling,
            self.assets,
        )
        return hashlib.sha256(json.dumps(said, default=_plain, separators=(",", ":")).encode()).digest()

    def persons(self, person_ids: Sequence[str]) -> Persons:
        """The part sealed for purpose `person`; one id per member, in order."""
        return Persons(
            members=tuple(map(Person.member, self.members, person_ids)),
            village=self.place.village,
            equity_card=self.card,
            dwelling=self.dwelling,
            assets=self.assets,
            consents=self.consents,
        )

    def payee(self, person_ids: Sequence[str]) -> Payee:
        """The part sealed for purpose `payee`: who collects and is told."""
        collector = self.members[self.collector - 1]
        return Payee(
            person_id=person_ids[self.collector - 1],
            name_km=collector.name_km,
            name_latin=collector.name_latin,
            phone=self.phone,
            account=self.account,
            language=self.language,
            contact=self.contact,
        )


def identities(
    members: Sequence[Person], card: EquityCard | None, account: Account | None
) -> tuple[Identity, ...]:
    """What a household claims as its own: card, account, its members' national ids."""
    claims = [Identity("national_id", person.national_id) for person in members if person.national_id]
    if card is not None:
        claims.append(Identity("equity_card", card.number))
    if account is not None:
        claims.append(Identity("account", f"{account.provider}/{account.number}"))
    return tuple(claims)


def household_id(reference: str) -> str:
    """The id that a reference has for ever."""
    return str(uuid5(wire.NAMESPACE, f"household/{reference}"))


def carry_person_ids(before: Persons, members: Sequence[Person], fresh: Callable[[], str]) -> list[str]:
    """Each member's person id: the one it had by national id, or name and birth date; else a fresh one."""
    by_id = {member.national_id: member.person_id for member in before.members if member.national_id}
    by_name = {(member.name_km, member.birth_date): member.person_id for member in before.members}
    taken: set[str] = set()
    ids = []
    for person in members:
        known = by_id.get(person.national_id or "") or by_name.get((person.name_km, person.birth_date))
        person_id = known if known is not None and known not in taken else fresh()
        taken.add(person_id)
        ids.append(person_id)
    return ids


def _plain(value: object) -> object:
    if isinstance(value, Contract):
        return list(value.__dict__.values())
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(type(value).__name__)
