"""Referring a household: what ministries are told, once for what it rests on, and withdrawn with it. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple, TypeVar

from contracts.household import ContactPreference, Member, Payee, Persons, Purpose
from contracts.model import UNRECOGNISED, OpenEnum
from contracts.referral import Contact, Referral, ReferralState, ReferredPerson
from contracts.topics import REFERRAL_MADE
from contracts.wire import Cause, dump, event_id, load
from services.eligibility.facts import Facts, age_on
from services.eligibility.grounds import Days, Known, Placed
from services.eligibility.referral_files import Send, Service, Tellable
from services.eligibility.referrals import Sending, Services, concerned


class Referred(NamedTuple):
    """A referral that was made and not withdrawn; `mark` names what it rests on, and tells it to nobody."""

    number: int
    recipient: str
    mark: bytes


@dataclass(frozen=True)
class Referrer:
    """What referring needs; `mark` gives a keyed digest by a household's key id."""

    services: Services
    mark: Callable[[str, bytes], bytes]


class About(NamedTuple):
    """Whom ministries are told of, and why now; `numbered` is the last number of what they were told."""

    household_id: str
    revision: int
    numbered: int
    decision_id: str | None
    cause: Cause


NOBODY = Referrer(Services(), lambda _key_id, _plain: b"")
"""Refers to nobody."""


class Told(NamedTuple):
    """A referral made or withdrawn as its household's number `number`; `letter` in the clear, to be sealed.

    `service` is its id, or None where nobody else may read it. `withdraws` is the number of one withdrawn.
    """

    about: About
    number: int
    recipient: str
    service: str | None
    mark: bytes
    letter: bytes
    withdraws: int | None = None


class Seen(NamedTuple):
    """A household as it is on a day; its facts are counted where they are asked for."""

    days: Days
    on: date

    @property
    def registration(self) -> Placed:
        return self.days.registration

    @property
    def known(self) -> Known:
        return self.days.known

    @property
    def facts(self) -> Facts:
        return self.days[self.on]


class Of(NamedTuple):
    """What letters are written of; `payee` as registered, unsealed."""

    seen: Seen
    payee: bytes


class Due(NamedTuple):
    """What a household is to be referred to, and which of its members (by position)."""

    mark: bytes
    service: Service
    members: tuple[int, ...]


def due(referrer: Referrer, key_id: str, seen: Seen, sending: Sending | None = None) -> list[Due]:
    """What a household is to be referred to, marked by `key_id`; nothing where it does not consent.

    `sending` is what its services answered, where that is known.
    """
    known, on = seen.known, seen.on
    if Purpose.REFERRAL not in known.people.consents:
        return []

    def scored() -> Facts:
        assert referrer.services.poverty is not None
        return referrer.services.poverty.told(seen.facts, known.persons, seen.registration.commune, on)

    found = []
    for service in (sending or referrer.services.sending(on).asked(seen.facts)).sent(scored):
        members = concerned(service, seen.facts.persons)
        born = [each.person_id for each in known.people.members if each.birth_date <= on] if members else []
        basis = _basis(service, seen.registration, [born[at] for at in members])
        found.append(Due(referrer.mark(key_id, basis), service, members))
    return found


def refer(
    referrer: Referrer, about: About, wanted: Sequence[Due], standing: Sequence[Referred], of: Of
) -> tuple[Told, ...]:
    """What ministries are to be told: what stands and is not wanted is withdrawn, the rest made once."""
    stands, holds = {each.mark for each in standing}, {each.mark for each in wanted}
    # A ministry that can't be written to any more is told later, or never: its referral stands.
    reachable = referrer.services.recipients
    void = [each for each in standing if each.mark not in holds and each.recipient in reachable]
    told = list(withdraw(about, void))
    if made := [each for each in wanted if each.mark not in stands]:
        first = about.numbered + len(told) + 1
        told += _made(referrer.services, about, made, of, first)
    return tuple(told)


def withdraw(about: About, void: Sequence[Referred]) -> Iterator[Told]:
    """Withdraw referrals: their ministries are told which, and nothing more."""
    for number, each in enumerate(void, about.numbered + 1):
        letter = Referral(
            referral_id=referral_id(about.household_id, each.number),
            recipient=each.recipient,
            state=ReferralState.WITHDRAWN,
            household_id=about.household_id,
        )
        yield Told(about, number, each.recipient, None, each.mark, dump(letter), withdraws=each.number)


def standing_after(before: tuple[Referred, ...], told: Sequence[Told]) -> tuple[Referred, ...]:
    """The referrals that stand once ministries are told."""
    gone = {each.withdraws for each in told}
    made = (Referred(each.number, each.recipient, each.mark) for each in told if each.withdraws is None)
    return (*(each for each in before if each.number not in gone), *made)


def referral_id(household_id: str, number: int) -> str:
    """The id of a household's referral, and of the event that tells it."""
    return event_id(REFERRAL_MADE, household_id, number)


def _basis(service: Service, registration: Placed, person_ids: Sequence[str]) -> bytes:
    """What a referral rests on: the service, the place, the level where it is asked for, and the members.

    Ages, scores and the file's words drift without anybody being served otherwise: they are left out.
    """
    level = registration.level if "level" in service.reads else ""
    return "\n".join(
        (service.id, _send(service).to, registration.commune, level, *sorted(person_ids))
    ).encode()


def _made(services: Services, about: About, due: Sequence[Due], of: Of, first: int) -> Iterator[Told]:
    persons, payee = load(Persons, of.seen.known.persons), load(Payee, of.payee)
    for number, each in enumerate(due, first):
        told = _of_household(of.seen, persons, payee)
        letter = _letter(about, each, number, persons, of.seen).model_copy(
            update={name: told[name] for name in _send(each.service).tells}
        )
        shown = None if letter.recipient in services.discreet else each.service.id
        yield Told(about, number, letter.recipient, shown, each.mark, dump(letter))


def _letter(about: About, due: Due, number: int, persons: Persons, seen: Seen) -> Referral:
    born = [each for each in persons.members if each.birth_date <= seen.on]
    return Referral(
        referral_id=referral_id(about.household_id, number),
        recipient=_send(due.service).to,
        state=ReferralState.MADE,
        household_id=about.household_id,
        service=due.service.id,
        service_hash=due.service.hash,
        as_of=seen.on,
        commune=seen.registration.commune,
        persons=tuple(_person(born[at], seen.on) for at in due.members),
    )


def _of_household(seen: Seen, persons: Persons, payee: Payee) -> dict[Tellable, object]:
    """All that a service's file may have told of a household."""
    card = persons.equity_card
    return {
        "village": persons.village,
        "level": seen.registration.level,
        "card_number": card.number if card else None,
        "members": len(seen.facts.persons),
        "contact": Contact(
            name_km=payee.name_km,
            name_latin=payee.name_latin,
            phone=payee.phone,
            language=payee.language,
            contact=_known(payee.contact, ContactPreference.NEUTRAL),
        ),
    }


def _send(service: Service) -> Send:
    assert service.document.send is not None
    return service.document.send


Word = TypeVar("Word", bound=OpenEnum)
Else = TypeVar("Else", bound=OpenEnum | None)


def _known(word: Word, instead: Else) -> Word | Else:
    """A later version's word is not passed on: a referral it stands in could not be written."""
    return instead if word == UNRECOGNISED else word


def _person(member: Member, on: date) -> ReferredPerson:
    return ReferredPerson(
        person_id=member.person_id,
        name_km=member.name_km,
        name_latin=member.name_latin,
        sex=_known(member.sex, None),
        age=age_on(member.birth_date, on),
    )
