"""A partner on Kafka: instructions signed by us and encrypted to it, reports signed by it.

`docs/decisions/0005-jose-for-partners.md`, 0011 and 0039 have the choice of tokens and what they cost.
"""

from collections.abc import Sequence
from datetime import datetime
from math import lcm
from typing import Protocol

from joserfc.jwk import OKPKey

from contracts import bundle
from contracts.bundle import Bundle
from contracts.payment import PaymentReport
from contracts.topics import Topic, partner_instruction, partner_report
from contracts.wire import (
    JOSE,
    JSON,
    Cause,
    Headers,
    Received,
    Record,
    WireError,
    decode,
    emit_bytes,
)
from postbox import outbox
from postbox.message import Item
from vault.jose import Agreement, NotSigned, SignedHeader, Signer, Verifier


class Addressee(Protocol):
    """Whom we write to: the topic, our key to sign with, the key to encrypt to, and how many events at most
    in one token; `partitions` are the topic's, 0 while they are not known."""

    instructions: Topic
    signer: Signer
    encrypt_to: OKPKey
    bundle_most: int
    partitions: int


class KafkaPartner:
    """One partner and the keys between us: ours to sign, theirs to encrypt to and to verify with."""

    def __init__(
        self,
        name: str,
        *,
        sign_with: OKPKey,
        encrypt_to: OKPKey,
        verify_with: Sequence[OKPKey],
        bundle_most: int = 1,
    ) -> None:
        self.name = name
        self.instructions = partner_instruction(name)
        self.reports = partner_report(name)
        self.signer = Signer(sign_with)
        self.encrypt_to = encrypt_to
        self.bundle_most = bundle_most
        self.partitions = outbox.STRANDS
        self._verifier = Verifier(*verify_with)

    def mailing(self) -> "Mailing":
        """To instruct this partner in one batch."""
        return Mailing(self)

    def read_report(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers
    ) -> Received[PaymentReport] | list[Item]:
        """A report, or many, whose signature holds at the time the event names; all else is a `WireError`."""
        if value is None:
            raise WireError("value: null")
        try:
            header, said = self._verifier.read(value)
        except NotSigned:
            raise WireError("report: the signature is not the partner's") from None
        if header.cty == bundle.CTY:
            read = bundle.read(PaymentReport, topic, said)
            return [Item(key, self._checked(header, event)) for key, event in read]
        report = self._checked(header, decode(PaymentReport, topic, key, said, headers))
        if isinstance(report, WireError):
            raise report
        return report

    def _checked(
        self, header: SignedHeader, report: Received[PaymentReport] | WireError
    ) -> Received[PaymentReport] | WireError:
        if isinstance(report, WireError):
            return report
        if report.data.partner != self.name:
            return WireError("report: it names another partner than the topic's")
        if not header.exp > report.time.timestamp():
            return WireError("report: its signature has expired, or says no time")
        return report


class Mailing:
    """One batch of instructions to a partner, under one key agreement, made when they are sealed."""

    def __init__(self, to: Addressee) -> None:
        self._to = to
        # What shares a bundle shares its partition, however many there are, and its strand of the outbox.
        self._shares = lcm(outbox.STRANDS, max(1, to.partitions))
        self._written: dict[int, list[Record]] = {}

    def instruct(
        self,
        said: bytes,
        *,
        id: str,
        household_id: str,
        sequence: int,
        time: datetime,
        cause: Cause,
    ) -> None:
        """Write an instruction, given as JSON; a household's stay in order."""
        written = emit_bytes(
            self._to.instructions,
            said,
            JSON,
            id=id,
            key=household_id,
            sequence=sequence,
            time=time,
            cause=cause,
        )
        share = outbox.partition_of(written.key, self._shares)
        self._written.setdefault(share, []).append(written)

    def sealed(self) -> list[Record]:
        """What was written, as records that only this partner can read: bundles of what may go together."""
        written, self._written = self._written, {}
        if not written:
            return []
        agreement = Agreement(self._to.encrypt_to)
        most = self._to.bundle_most if self._to.partitions else 1
        return [
            self._seal(together, agreement)
            for share in written.values()
            for together in bundle.bundles(share, most)
        ]

    def _seal(self, together: Bundle, agreement: Agreement) -> Record:
        first, sign = together.records[0], self._to.signer.sign
        headers = {**dict(first.headers), "content-type": JOSE}
        if len(together.records) == 1:
            token = sign(first.value)
        else:
            token = sign(together.batch, bundle.CTY)
            headers["ce_id"] = together.id_in(self._to.instructions).encode()
            headers[bundle.BUNDLED] = together.listing
        return first._replace(value=agreement.encrypt(token), headers=tuple(headers.items()))
