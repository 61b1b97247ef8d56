"""SMS that come in: understood, kept, told to the others, and answered, each in one transaction.

An answer is tied to no household and looks like every other. Who asks for help against violence leaves the
same row, event and answer as who asks for the hotline; the request is sealed to the protection role's key.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from uuid import uuid4

from nacl.public import PublicKey, SealedBox
from phonenumbers import NumberParseException, PhoneNumberFormat, format_number, is_valid_number, parse
from prometheus_client import Counter

from contracts import topics, wire
from contracts.message import MessageKind, MessageReceived, MessageText
from contracts.sealed import Sealed
from contracts.wire import Cause, Record
from postbox import outbox
from postbox.message import Connection
from postbox.service import Service
from services.notifications import answers, messages, store, store_messages, store_opt_outs
from services.notifications.answers import Answer
from services.notifications.gateways.inbound import Inbound
from services.notifications.heard import Recipient
from services.notifications.long_messages import AT_ONCE, LongMessages
from services.notifications.manners import PHNOM_PENH
from services.notifications.messages import Kind, Words
from services.notifications.numbers import number_hash
from services.notifications.store_messages import Message, Sender
from services.notifications.wording import Facts, Wording
from vault import keyring
from vault.master import MasterKey
from vault.sealing import Keys

LANE = "inbox"
REGION = "KH"
ANSWERS_A_DAY = 10
SEALED_MULTIPLE_BYTES = 2048
_ANSWERED_WITH = {
    Kind.STOP: answers.STOPPED,
    Kind.START: answers.STARTED,
    Kind.HELP: answers.HELP,
    Kind.OTHER: answers.HELP,
    Kind.PROTECTION: answers.PROTECTION,
}
"""A complaint is answered when it has its number."""
_WITH_TEXT = frozenset({Kind.COMPLAINT, Kind.OTHER})
"""Whose number is kept, too: they may be written to again."""


class Read(NamedTuple):
    """A message, understood: whose it is (`phone` None for a sender that is no telephone)."""

    message_id: str
    kind: Kind
    text: str
    phone: str | None
    number: bytes | None
    received_at: datetime
    language: str


@dataclass
class Inbox:
    """Takes in messages. `lines` are whom to call; without them nothing is answered.

    `protection_key`: requests are sealed to it; None keeps none of them. `counted` counts messages by kind;
    requests for protection count as `help`. What is kept is kept for `kept`.
    """

    master: MasterKey
    words: Words
    wording: Wording
    lines: Facts | None
    senders: Sequence[str]
    protection_key: PublicKey | None
    counted: Counter
    kept: timedelta
    long: LongMessages
    service: Service | None = None

    async def forget_old(self, service: Service) -> bool:
        """Delete what was kept long enough (a job)."""
        async with service.db.acquire() as db, db.transaction():
            await store_messages.forget_older(db, datetime.now(UTC).date() - self.kept)
        return False

    async def receive(self, inbound: Inbound) -> None:
        """Returns once the message is on disk with its answer and event; raises where that failed.

        Of a part of a long one that is so once the part is; the answer comes with the last.
        """
        service = self.service
        assert service is not None
        async with service.db.acquire() as db, db.transaction():
            taken = await self._take_all(db, service, await self.long.whole(db, inbound))
        self._announce(service, taken)

    async def end_overdue(self, service: Service) -> bool:
        """Take what came of long messages whose other parts did not come in time (a job)."""
        async with service.db.acquire() as db, db.transaction():
            overdue = await self.long.overdue(db, datetime.now(UTC))
            taken = await self._take_all(db, service, overdue)
        self._announce(service, taken)
        return len(overdue) == AT_ONCE

    async def _take_all(self, db: Connection, service: Service, whole: Sequence[Inbound]) -> list[Read]:
        taken = []
        for read in map(self._read, whole):
            if await store_messages.is_new(db, read.message_id, _day(read.received_at)):
                event = await self._take(db, read, service.new_traceparent())
                await outbox.write(db, LANE, [event])
                taken.append(read)
        return taken

    def _announce(self, service: Service, taken: Sequence[Read]) -> None:
        for read in taken:
            self.counted.labels(str(_public(read.kind))).inc()
        if taken:
            service.courier.take([LANE])
            for sender in self.senders:
                service.wake(sender)

    def _read(self, inbound: Inbound) -> Read:
        text = messages.read(inbound.text, inbound.encoding)
        phone = _phone(inbound.sender)
        sender = number_hash(self.master, phone or inbound.sender)
        # The hash stands for the number, which no id may give away.
        named = inbound.gateway_message_id or f"{text}/{inbound.received_at:%Y-%m-%dT%H:%M}"
        return Read(
            message_id=wire.uuid5(f"message/{self.master.keyed_hash(f'{sender.hex()}/{named}').hex()}"),
            kind=self.words.kind(text),
            text=text,
            phone=phone,
            number=sender if phone else None,
            received_at=inbound.received_at,
            language=messages.language_of(text),
        )

    async def _take(self, db: Connection, read: Read, traceparent: str) -> Record:
        whose = await store_messages.sender(db, read.number) if read.number else None
        keys = await keyring.load(db, self.master, [whose.key_id] if whose else [])
        read = read._replace(language=_spoken(keys, whose) or read.language)
        if read.number is not None and read.kind is Kind.STOP:
            await store_opt_outs.opt_out(db, read.number)
        if read.number is not None and read.kind is Kind.START:
            await store_opt_outs.opt_in(db, read.number)
        await self._answer(db, read)
        if read.kind is Kind.PROTECTION:
            await self._ask_for_protection(db, read)
        event, kept = self._kept(read, None if _public(read.kind) is Kind.HELP else whose, keys, traceparent)
        await store_messages.add(db, kept)
        return event

    async def _answer(self, db: Connection, read: Read) -> None:
        template = _ANSWERED_WITH.get(read.kind)
        if template is None or self.lines is None or read.number is None or read.phone is None:
            return
        is_unknown = read.kind is Kind.OTHER
        day = _day(read.received_at)
        # A hash of its own: beside the contacts' it would show who asked for what left no trace.
        whom = self.master.keyed_hash(f"answered/{read.phone}/{day}")
        in_all, unknown = await store_messages.count_answer(db, whom, day, unknown=is_unknown)
        if in_all > ANSWERS_A_DAY or (is_unknown and unknown > 1):
            return
        answer = Answer(read.phone, template, read.language, self.lines)
        made = answers.make(self.master, self.wording, answer, str(uuid4()), read.received_at)
        await store.add(db, [made])

    async def _ask_for_protection(self, db: Connection, read: Read) -> None:
        if self.protection_key is None:
            return
        said = {"number": read.phone, "text": read.text, "received_at": read.received_at.isoformat()}
        plain = json.dumps(said, ensure_ascii=False).encode()
        padded = plain + b" " * (-len(plain) % SEALED_MULTIPLE_BYTES)
        sealed = SealedBox(self.protection_key).encrypt(padded)
        await store_messages.ask_for_protection(db, str(uuid4()), sealed, _day(read.received_at))

    def _kept(self, read: Read, whose: Sender | None, keys: Keys, traceparent: str) -> tuple[Record, Message]:
        """The event, and what is kept: the text rests here where no one household's key can seal it.

        HELP names nobody, so that a request for protection, which must not, looks the same.
        """
        topic, household_id = topics.MESSAGE_RECEIVED, whose.household_id if whose else None
        event_id = wire.event_id(topic, read.message_id)
        text = read.text if read.kind in _WITH_TEXT and read.text else None
        sealed = None
        if text is not None and whose is not None and keys.state(whose.key_id) == "active":
            plain = wire.dump(MessageText(text=text))
            blob = keys.seal(whose.key_id, plain, event_id=event_id, event_type=topic.name)
            sealed, text = Sealed(key_id=whose.key_id, blob=blob), None
        said = MessageReceived(
            message_id=read.message_id,
            kind=MessageKind(str(_public(read.kind))),
            household_id=household_id,
            text=sealed,
        )
        cause = Cause(read.message_id, read.message_id, traceparent)
        number = (read.phone or "") if read.kind in _WITH_TEXT else ""
        key = household_id or read.message_id
        record = wire.emit(topic, said, id=event_id, key=key, sequence=1, time=read.received_at, cause=cause)
        kept = Message(
            message_id=read.message_id,
            kind=str(_public(read.kind)),
            household_id=household_id,
            sender=answers.seal(self.master, read.message_id, number),
            text=answers.seal(self.master, read.message_id, text) if text else None,
            language=read.language,
            received_at=read.received_at,
        )
        return record, kept


def _spoken(keys: Keys, whose: Sender | None) -> str | None:
    """The language that a household asked to be written to in."""
    who = answers.recipient(keys, whose) if whose else None
    return who.language if isinstance(who, Recipient) else None


def _public(kind: Kind) -> Kind:
    return Kind.HELP if kind is Kind.PROTECTION else kind


def _phone(sender: str) -> str | None:
    """E.164; None for a sender that is no telephone number, as operators' own messages have."""
    try:
        number = parse(sender, REGION)
    except NumberParseException:
        return None
    return format_number(number, PhoneNumberFormat.E164) if is_valid_number(number) else None


def _day(at: datetime) -> date:
    return at.astimezone(PHNOM_PENH).date()
