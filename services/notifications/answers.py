"""Answers to SMS that came in, and what is told of complaints: worded at once, encrypted until they are sent.

They belong to no household and all have one template's name, so that nobody sees who asked what.
"""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from contracts import topics, wire
from contracts.household import ContactPreference
from contracts.model import Contract
from services.notifications import sms, steps
from services.notifications.heard import Recipient
from services.notifications.operators import operator_of
from services.notifications.segments import measure
from services.notifications.sms import Claimed, NewSms, Ready, Result
from services.notifications.store_messages import Sender
from services.notifications.template_files import TemplateRefused
from services.notifications.wording import Facts, Wording
from vault.master import MasterKey
from vault.sealing import Keys

STOPPED: Final = "answer-stopped"
STARTED: Final = "answer-started"
HELP: Final = "answer-help"
PROTECTION: Final = "answer-protection"
GRIEVANCE_OPENED: Final = "grievance-opened"
GRIEVANCE_UPDATED: Final = "grievance-updated"
TRUE_FOR: Final = timedelta(days=1)


class Answer(NamedTuple):
    """What is answered to which number (E.164), and in which language."""

    phone: str
    template: str
    language: str
    facts: Facts
    not_before: datetime | None = None


class Worded(Contract):
    """What `sms.answer` encrypts."""

    phone: str
    text: str
    language: str


def check_alike(wording: Wording, lines: Facts) -> None:
    """Raises `TemplateRefused` where who asked for protection could be told by an answer unlike that to HELP.

    Language, encoding and segments of an answer are seen by many, and for ever.
    """
    for language in wording.names:
        shown = [
            (said, measure(wording.render(template, said, full=False, facts=lines).text)._replace(units=0))
            for template in (HELP, PROTECTION)
            for said in (wording.language(template, language),)
        ]
        if shown[0] != shown[1]:
            raise TemplateRefused(
                f"{PROTECTION}.{language}.yaml: in another language, encoding or number of segments than "
                f"{HELP}.{language}.yaml; word both so that nobody can tell them apart"
            )


def make(master: MasterKey, wording: Wording, answer: Answer, id: str, at: datetime) -> NewSms:
    """The SMS of an answer, under an id that says nothing."""
    language = wording.language(answer.template, answer.language)
    text, _ = wording.render(answer.template, language, full=False, facts=answer.facts)
    worded = Worded(phone=answer.phone, text=text, language=language)
    return NewSms(
        sms_id=id,
        household_id=id,
        payment_id=None,
        template=steps.ANSWER,
        event_id=id,
        correlation_id=id,
        traceparent="",
        told_at=at,
        priority=steps.ANSWER_PRIORITY,
        not_before=answer.not_before,
        answer=master.wrap(wire.dump(worded), bound_to=f"answer/{id}"),
    )


def ready(master: MasterKey, claimed: Claimed, answer: bytes, now: datetime) -> Ready | Result:
    """An answer, decrypted to be sent; one that waited for a day answers nobody any more.

    Raises `SealBroken`.
    """
    if claimed.told_at + TRUE_FOR < now:
        return Result(claimed.sms_id, "none", sms.TOO_LATE)
    worded = wire.load(Worded, master.unwrap(answer, bound_to=f"answer/{claimed.sms_id}"))
    return Ready(
        claimed.sms_id,
        worded.phone,
        worded.text,
        worded.language,
        measure(worded.text),
        claimed.traceparent,
        operator_of(worded.phone),
    )


def seal(master: MasterKey, message_id: str, plain: str) -> bytes:
    """A message's number or text, encrypted to be kept here."""
    return master.wrap(plain.encode(), bound_to=f"message/{message_id}")


def unseal(master: MasterKey, message_id: str, kept: bytes) -> str:
    """What `seal` encrypted. Raises `SealBroken`."""
    return master.unwrap(kept, bound_to=f"message/{message_id}").decode()


def recipient(keys: Keys, whose: Sender) -> Recipient | str:
    """Who collects for a household, as last registered; or why nobody is written to.

    Raises `KeyMissing` or `SealBroken`.
    """
    if whose.payee is None or keys.state(whose.key_id) == "destroyed":
        return sms.FORGOTTEN
    sealed_for = topics.HOUSEHOLD_REGISTERED.name
    plain = keys.open(whose.key_id, whose.payee, event_id=whose.event_id, event_type=sealed_for)
    who = wire.load(Recipient, plain)
    if who.contact not in (ContactPreference.FULL, ContactPreference.NEUTRAL):
        return sms.NO_WISH
    return who
