"""A partner that reads no topic: what it is told comes back to us, and we carry it on by file or call.

So every partner has the same interface to the rest of payments: instructions out, reports in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from joserfc.jwk import OKPKey

from contracts.payment import InstructionKind, PaymentInstruction, PayTo
from contracts.topics import Topic, partner_instruction
from contracts.wire import Headers, WireError, envelope, load
from postbox import outbox
from services.payments.partners.kafka import Mailing
from vault.jose import NotForUs, NotSigned, Opener, Signer, Verifier


@dataclass(slots=True)
class Told:
    """An instruction for such a partner; `token` is it, sealed to us, until it has been carried on.

    `flaw`: why it can't be told: nobody can be paid so, or nothing be cancelled.
    """

    data: PaymentInstruction
    key: str
    traceparent: str
    token: bytes
    flaw: str | None


class ServedPartner:
    """The keys of one such partner: `opens_with` is ours, too, since nobody else opens what it is told."""

    def __init__(
        self,
        name: str,
        *,
        sign_with: Sequence[OKPKey],
        opens_with: Sequence[OKPKey],
        flaw: Callable[[PayTo], str | None],
        no_cancelling: str | None = None,
    ) -> None:
        """The first key of each writes. `flaw` says as a code why somebody can't be paid so, `no_cancelling`
        why nothing is cancelled."""
        self._flaw, self._no_cancelling = flaw, no_cancelling
        self.name = name
        self.instructions: Topic = partner_instruction(name)
        self.signer = Signer(sign_with[0])
        self.encrypt_to = opens_with[0]
        self.bundle_most = 1  # each token is kept until its instruction was carried on
        self.partitions = outbox.STRANDS
        self._opener = Opener(*opens_with)
        self._verifier = Verifier(*sign_with)

    def mailing(self) -> Mailing:
        """To instruct this partner in one batch."""
        return Mailing(self)

    def read(self, token: bytes) -> PaymentInstruction:
        """What a token says. Raises a `WireError` where it is not ours, or not to this partner."""
        try:
            _, said = self._verifier.read(self._opener.open(token))
        except (NotForUs, NotSigned):
            raise WireError("instruction: not sealed to this partner's courier, or not by us") from None
        instruction = load(PaymentInstruction, said)
        if instruction.partner != self.name:
            raise WireError("instruction: it names another partner than the topic's")
        return instruction

    def read_instruction(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> Told:
        """A record of the instruction topic. Raises a `WireError` for anything else."""
        if value is None:
            raise WireError("value: null")
        told = envelope(self.read(value), topic, key, headers)
        flaw = self._flaw(told.data.pay_to) if told.data.pay_to else None
        if told.data.kind is InstructionKind.CANCEL:
            flaw = self._no_cancelling
        return Told(told.data, told.key, told.traceparent, value, flaw)
