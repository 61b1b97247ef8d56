"""What a household is offered besides money, in plain words, English and Khmer. Pure."""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from services.eligibility.documents import Words
from services.eligibility.facts import Facts
from services.eligibility.referral_files import Service
from services.eligibility.referrals import Services, answer


class Told(StrEnum):
    """Who knows of an offer."""

    MINISTRY = "ministry"
    NOT_YET = "not_yet"
    NO_CONSENT = "no_consent"
    NO_KEY = "no_key"
    NOBODY = "nobody"


_SAID: Mapping[Told, Words] = MappingProxyType(
    {
        Told.MINISTRY: Words(en="Its ministry was told on {}.", km="ក្រសួងពាក់ព័ន្ធត្រូវបានជូនដំណឹងនៅថ្ងៃ {}។"),
        Told.NOT_YET: Words(
            en="Its ministry is told with the next decision.", km="ក្រសួងនឹងត្រូវជូនដំណឹងជាមួយការសម្រេចលើកក្រោយ។"
        ),
        Told.NO_CONSENT: Words(
            en="No ministry is told: the household did not consent to referrals.",
            km="គ្មានក្រសួងណាត្រូវបានជូនដំណឹងទេ ព្រោះគ្រួសារមិនទាន់យល់ព្រមឱ្យបញ្ជូនព័ត៌មាន។",
        ),
        Told.NO_KEY: Words(
            en="Its ministry can't be written to yet.", km="ប្រព័ន្ធមិនទាន់អាចជូនដំណឹងទៅក្រសួងនេះបានទេ។"
        ),
        Told.NOBODY: Words(en="Nobody is told.", km="គ្មាននរណាត្រូវបានជូនដំណឹងទេ។"),
    }
)


class Offer(NamedTuple):
    """A service that a household is offered, who knows of it since when, and both as sentences."""

    service: str
    name: Words
    told: Told
    since: date | None
    en: str
    km: str


class Case(NamedTuple):
    """A household's facts on a day, its likelihood of being poor among them, and what it consents to.

    `since` says when a ministry was told of a service, by the service's id; `shows` whether sensitive
    services are shown.
    """

    facts: Facts
    on: date
    consents: bool
    since: Mapping[str, date]
    shows_sensitive: bool


def offers(services: Services, case: Case) -> list[Offer]:
    """The services that a household is offered on a day, in the order of their ids."""
    return [
        _offer(services, each, case, found == "sent")
        for each in services.in_force(case.on)
        if (case.shows_sensitive or not each.document.sensitive)
        and (found := answer(each, case.facts)) != "nothing"
    ]


def _offer(services: Services, service: Service, case: Case, sends: bool) -> Offer:
    document, since = service.document, case.since.get(service.id)
    told = Told.MINISTRY if since else _told(services, service, case, sends)
    said = _SAID[told]
    return Offer(
        service.id,
        document.name,
        told,
        since,
        f"{document.name.en}: {document.offer.en} {said.en.format(since)}",
        f"{document.name.km}៖ {document.offer.km} {said.km.format(since)}",
    )


def _told(services: Services, service: Service, case: Case, sends: bool) -> Told:
    if not sends or service.document.send is None:
        return Told.NOBODY
    if not case.consents:
        return Told.NO_CONSENT
    return Told.NOT_YET if service.document.send.to in services.recipients else Told.NO_KEY
