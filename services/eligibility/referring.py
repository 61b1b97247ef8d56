"""Referring a household: what ministries are told, once for what it rests on, and withdrawn with it. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import NamedTuple, TypeVar

from contracts.household import ContactPreference, Member, Payee, Persons, Purpose
from contracts.model import UNRECOGNISED, OpenEnum
from contracts.referral import Contact, Referral, ReferralState, ReferredPerson
from contracts.topics import REFERRAL_MADE
from contracts.wire import Cause, dump, event_id, load
from services.eligibility.facts import Facts, age_on
from services.eligibility.grounds import Known, Registration, facts_on
from services.eligibility.referral_files import Service
from services.eligibility.referrals import Services, concerned


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

    `service` is its id, or None where nobody may read it. `withdraws` is the number of the one withdrawn.
    """

    about: About
    number: int
    recipient: str
    service: str | None
    mark: bytes
    letter: bytes
    withdraws: int | None = None


class Case(NamedTuple):
    """A household decided about on a day, with the referrals that stand; `payee` as registered, unsealed."""

    about: About
    on: date
    registration: Registration
    known: Known
    payee: bytes
    standing: tuple[Referred, ...]


class Due(NamedTuple):
    """What a household is to be referred to, and which of its members (by position)."""

    mark: bytes
    service: Service
    members: tuple[int, ...]


def refer(referrer: Referrer, case: Case) -> tuple[Told, ...]:
    """What ministries are to be told: referrals withdrawn, then those made anew."""
    consents = Purpose.REFERRAL in case.known.people.consents
    due = list(_due(referrer, case)) if consents else []
    if not due and not case.standing:
        return ()
    stands, holds = {each.mark for each in case.standing}, {each.mark for each in due}
    # A ministry that can't be written to any more is told later, or never: its referral stands.
    reachable = referrer.services.recipients
    void = [each for each in case.standing if each.mark not in holds and each.recipient in reachable]
    told = list(withdraw(case.about, void))
    if made := [each for each in due if each.mark not in stands]:
        told += _made(case, made, case.about.numbered + len(told))
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


def _due(referrer: Referrer, case: Case) -> Iterator[Due]:
    services, registration = referrer.services, case.registration
    facts = facts_on(case.on, registration, case.known)
    for service in services.sent(facts, case.on, partial(_scored, services, case)):
        members = concerned(service, facts.persons)
        mark = referrer.mark(registration.persons.key_id, _basis(service, case, members))
        yield Due(mark, service, members)


def _scored(services: Services, case: Case, facts: Facts) -> Facts:
    assert services.poverty is not None
    return services.poverty.told(facts, case.known.persons, case.registration.commune, case.on)


def _basis(service: Service, case: Case, members: tuple[int, ...]) -> bytes:
    """What a referral rests on: the service, the place, the level where it is asked for, and the members.

    Ages, scores and the file's words drift without anybody being served otherwise: they are left out.
    """
    send = service.document.send
    assert send is not None
    level = case.registration.level if "level" in service.reads else ""
    born = [each.person_id for each in case.known.people.members if each.birth_date <= case.on]
    ids = sorted(born[at] for at in members)
    return "\n".join((service.id, send.to, case.registration.commune, level, *ids)).encode()


def _made(case: Case, due: Sequence[Due], numbered: int) -> Iterator[Told]:
    persons, payee = load(Persons, case.known.persons), load(Payee, case.payee)
    for number, each in enumerate(due, numbered + 1):
        letter = _letter(case, each, number, persons, payee)
        document = each.service.document
        shown = None if document.sensitive else document.id
        yield Told(case.about, number, letter.recipient, shown, each.mark, dump(letter))


def _letter(case: Case, due: Due, number: int, persons: Persons, payee: Payee) -> Referral:
    service, send = due.service, due.service.document.send
    assert send is not None
    born = [each for each in persons.members if each.birth_date <= case.on]
    card = persons.equity_card
    told: dict[str, object] = {
        "village": persons.village,
        "level": case.registration.level,
        "card_number": card.number if card else None,
        "members": len(born),
        "contact": Contact(
            name_km=payee.name_km,
            name_latin=payee.name_latin,
            phone=payee.phone,
            language=payee.language,
            contact=_known(payee.contact, ContactPreference.NEUTRAL),
        ),
    }
    return Referral(
        referral_id=referral_id(case.about.household_id, number),
        recipient=send.to,
        state=ReferralState.MADE,
        household_id=case.about.household_id,
        service=service.id,
        service_hash=service.hash,
        as_of=case.on,
        commune=case.registration.commune,
        persons=tuple(_person(born[at], case.on) for at in due.members),
    ).model_copy(update={name: told[name] for name in send.tells})


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
