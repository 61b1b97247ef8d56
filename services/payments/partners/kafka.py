"""A partner on Kafka: instructions signed by us and encrypted to it, reports signed by it.

`docs/decisions/0005-jose-for-partners.md` and 0011 have the choice of tokens and what they cost.
"""

from datetime import datetime
from functools import cached_property
from typing import Protocol

from joserfc.jwk import OKPKey

from contracts.payment import PaymentInstruction, PaymentReport
from contracts.topics import Topic, partner_instruction, partner_report
from contracts.wire import (
    JOSE,
    Cause,
    Headers,
    Received,
    Record,
    WireError,
    dump,
    emit_bytes,
    envelope,
    event_id,
    load,
)
from vault.jose import Agreement, NotSigned, Signer, Verifier


class Addressee(Protocol):
    """Whom we write to: the topic, our key to sign with, and the key to encrypt to."""

    instructions: Topic
    signer: Signer
    encrypt_to: OKPKey


class KafkaPartner:
    """One partner and the keys between us: ours to sign, theirs to encrypt to and to verify with."""

    def __init__(self, name: str, *, sign_with: OKPKey, encrypt_to: OKPKey, verify_with: OKPKey) -> None:
        self.name = name
        self.instructions = partner_instruction(name)
        self.reports = partner_report(name)
        self.signer = Signer(sign_with)
        self.encrypt_to = encrypt_to
        self._verifier = Verifier(verify_with)

    def mailing(self) -> "Mailing":
        """To instruct this partner in one batch."""
        return Mailing(self)

    def read_report(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers
    ) -> Received[PaymentReport]:
        """A report whose signature holds at the time the event names; all else raises a `WireError`."""
        if value is None:
            raise WireError("value: null")
        try:
            header, said = self._verifier.read(value)
        except NotSigned:
            raise WireError("report: the signature is not the partner's") from None
        report = envelope(load(PaymentReport, said), topic, key, headers)
        if report.data.partner != self.name:
            raise WireError("report: it names another partner than the topic's")
        if not header.exp > report.time.timestamp():
            raise WireError("report: its signature has expired, or says no time")
        return report


class Mailing:
    """One batch of instructions to a partner, under one key agreement, made when the first is written."""

    def __init__(self, to: Addressee) -> None:
        self._to = to

    @cached_property
    def _agreement(self) -> Agreement:
        return Agreement(self._to.encrypt_to)

    def instruction_id(self, *business_key: object) -> str:
        """The same question or order has the same id for ever."""
        return event_id(self._to.instructions, *business_key)

    def instruct(
        self,
        instruction: PaymentInstruction,
        *,
        household_id: str,
        sequence: int,
        time: datetime,
        cause: Cause,
    ) -> Record:
        """An instruction as a record that only this partner can read, kept in order per household."""
        return emit_bytes(
            self._to.instructions,
            self._agreement.encrypt(self._to.signer.sign(dump(instruction))),
            JOSE,
            id=instruction.instruction_id,
            key=household_id,
            sequence=sequence,
            time=time,
            cause=cause,
        )
