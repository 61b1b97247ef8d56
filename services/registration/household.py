"""A household whose every field was checked, as registration says it to others. Pure."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from pydantic_core import to_json

from contracts.household import Account, EquityCard, Member, Persons
from contracts.wire import uuid_of
from services.registration.places import Place

_compact = json.JSONEncoder(separators=(",", ":")).encode
_NO_ID = b'"person_id":""'
EQUITY_CARD, NATIONAL_ID, ACCOUNT = "c", "n", "a"
"""What only one household may hold is a claim: one of these letters, and what is written (`n012345678`)."""
HASH_BYTES = 16
_END = 3
"""Characters of a reference in which those of neighbours differ."""


class Schooling(NamedTuple):
    """A member's school level, and attendance of the last term in percent where known."""

    level: str
    attendance_percent: int | None


class Person(NamedTuple):
    """A member before an opaque person id is given to it. Words are the contract's, dates ISO 8601."""

    name_km: str
    name_latin: str
    sex: str
    birth_date: str
    relation: str
    conditions: tuple[str, ...]
    school: Schooling | None
    national_id: str | None
    work: str | None = None


class Card(NamedTuple):
    """An Equity Card: its number as printed, and the last day of its validity where known."""

    number: str
    expires_on: str | None


class PaymentAccount(NamedTuple):
    """Where money can be sent."""

    provider: str
    number: str


class Materials(NamedTuple):
    """Of what the dwelling is made, and what it has."""

    roof: str | None = None
    walls: str | None = None
    floor: str | None = None
    toilet: str | None = None
    water: str | None = None
    electricity: bool | None = None


class Content(NamedTuple):
    """What is sealed of a household, JSON of `Persons` and `Payee` in which no person has an id yet.

    `hash`: 16 bytes of SHA-256 over what is said, equal for equal content, however it was written.
    """

    hash: bytes
    persons: bytes
    payee: bytes

    def persons_of(self, person_ids: Sequence[str]) -> bytes:
        """The part sealed for purpose `person`; one id per member, in order."""
        return _identified(self.persons, person_ids)

    def payee_of(self, person_id: str) -> bytes:
        """The part sealed for purpose `payee`: who collects and is told; the collector's id."""
        return _identified(self.payee, (person_id,))


class Household(NamedTuple):
    """Member 1 is the head; `collector` is the number of the member who collects.

    `claims` is what the household holds alone. Everything is plain text, checked and in the words
    of the contract: contract models would cost more to build than all the rules to check.
    """

    reference: str
    place: Place
    level: str
    members: tuple[Person, ...]
    collector: int
    card: Card | None
    phone: str | None
    fallback_phone: str | None
    account: PaymentAccount | None
    contact: str
    language: str
    consents: tuple[str, ...]
    dwelling: Materials | None
    assets: tuple[str, ...]
    claims: tuple[str, ...]

    @property
    def commune(self) -> str:
        return self.place.commune

    @property
    def area_type(self) -> str:
        return self.place.area_type.value

    def content(self) -> Content:
        """What is said of the household, but for the ids of its persons."""
        persons, payee = self._persons(), self._payee()
        # The collector is named in `payee`, but two members may have one name.
        said = b"\n".join((self.level.encode(), b"%d" % self.collector, persons, payee))
        return Content(hashlib.sha256(said).digest()[:HASH_BYTES], persons, payee)

    def has_hash(self, known: bytes, content: Content) -> bool:
        """Whether a hash that was kept is this content's: households registered before have a longer one."""
        return known == (content.hash if len(known) == HASH_BYTES else self.longer_hash())

    def longer_hash(self) -> bytes:
        """The hash of the same content as it was kept before: SHA-256 of other JSON."""
        said = (
            self.place.village,
            self.level,
            # Work came later: left out where nothing is said, so that hashes in databases stay.
            [each if each.work else each[:-1] for each in self.members],
            self.collector,
            self.card,
            self.phone,
            self.account,
            self.contact,
            self.language,
            self.consents,
            self.dwelling,
            self.assets,
            # Came later, too.
            *([self.fallback_phone] if self.fallback_phone else []),
        )
        return hashlib.sha256(_compact(said).encode()).digest()

    def _persons(self) -> bytes:
        said: dict[str, object] = {
            "members": [_member(each) for each in self.members],
            "village": self.place.village,
        }
        if self.card is not None:
            said["equity_card"] = _known(self.card)
        if self.dwelling is not None:
            said["dwelling"] = _known(self.dwelling)
        if self.assets:
            said["assets"] = self.assets
        if self.consents:
            said["consents"] = self.consents
        return to_json(said)

    def _payee(self) -> bytes:
        collector = self.members[self.collector - 1]
        said: dict[str, object] = {
            "person_id": "",
            "name_km": collector.name_km,
            "name_latin": collector.name_latin,
        }
        if self.phone is not None:
            said["phone"] = self.phone
        if self.account is not None:
            said["account"] = _known(self.account)
        said |= {"language": self.language, "contact": self.contact}
        if self.fallback_phone is not None:
            said["fallback_phone"] = self.fallback_phone
        return to_json(said)


def _identified(said: bytes, person_ids: Iterable[str]) -> bytes:
    """Each empty id replaced by the next of these: within a text, quotation marks are escaped."""
    first, *rest = said.split(_NO_ID)
    named = zip(person_ids, rest, strict=True)
    return first + b"".join([b'"person_id":"%b"%b' % (id_.encode(), after) for id_, after in named])


def _member(person: Person) -> dict[str, object]:
    said: dict[str, object] = {
        "person_id": "",
        "name_km": person.name_km,
        "name_latin": person.name_latin,
        "sex": person.sex,
        "birth_date": person.birth_date,
        "relation": person.relation,
    }
    if person.conditions:
        said["conditions"] = person.conditions
    if person.school is not None:
        said["school"] = _known(person.school)
    if person.national_id is not None:
        said["national_id"] = person.national_id
    if person.work is not None:
        said["work"] = person.work
    return said


def _known(said: Schooling | Card | PaymentAccount | Materials) -> dict[str, object]:
    return {name: value for name, value in zip(said._fields, said, strict=True) if value is not None}


def claims_of(
    members: Sequence[Person | Member],
    card: Card | EquityCard | None,
    account: PaymentAccount | Account | None,
) -> tuple[str, ...]:
    """What a household claims as its own: card, account, its members' national ids."""
    claims = [NATIONAL_ID + person.national_id for person in members if person.national_id]
    if card is not None:
        claims.append(EQUITY_CARD + card.number)
    if account is not None:
        claims.append(f"{ACCOUNT}{account.provider}/{account.number}")
    return tuple(claims)


def household_id_of(keyed_hash: Callable[[str], bytes], reference: str) -> str:
    """The id that a reference has for ever, which says nothing of it without the key.

    A UUIDv8 (RFC 9562, section 5.8) of keyed hashes, its first byte of all but the reference's end: what is
    registered one after another lies together in every index, and a few hundred villages share that byte.
    """
    digits = keyed_hash(f"household/{reference}").hex()
    return uuid_of(_first_byte(keyed_hash, reference[:-_END]) + digits[2:], 8)


@lru_cache(maxsize=1024)
def _first_byte(keyed_hash: Callable[[str], bytes], stem: str) -> str:
    return keyed_hash(f"references/{stem}")[:1].hex()


def carry_person_ids(before: Persons, members: Sequence[Person], fresh: Callable[[], str]) -> list[str]:
    """Each member's person id: the one it had by national id, or name and birth date; else a fresh one."""
    by_id = {member.national_id: member.person_id for member in before.members if member.national_id}
    by_name = {(member.name_km, member.birth_date.isoformat()): member.person_id for member in before.members}
    taken: set[str] = set()
    ids = []
    for person in members:
        known = by_id.get(person.national_id or "") or by_name.get((person.name_km, person.birth_date))
        person_id = known if known is not None and known not in taken else fresh()
        taken.add(person_id)
        ids.append(person_id)
    return ids
