"""How ministries are written to: letters signed by us and encrypted to the ministry that offers the service.

The tokens are those of payment partners (`docs/decisions/0005-jose-for-partners.md`, 0011, 0019).
"""

from collections.abc import Mapping
from datetime import datetime

from joserfc.jwk import OKPKey

from contracts.referral import ReferralMade, ReferralState
from contracts.topics import REFERRAL_MADE
from contracts.wire import Record, emit
from services.eligibility.referring import Told, referral_id
from vault.jose import Agreement, Signer

LETTER_MULTIPLE_BYTES = 1024


class Ministries:
    """The ministries that can be written to, by name, each with its X25519 key."""

    def __init__(self, sign_with: OKPKey, encrypt_to: Mapping[str, OKPKey]) -> None:
        """Raises `ValueError` for a key that is no private Ed25519 key."""
        self.signer = Signer(sign_with)
        self.encrypt_to = encrypt_to

    def mailing(self) -> "Mailing":
        """To write to them in one batch."""
        return Mailing(self)


class Mailing:
    """One batch of letters, under one key agreement with each ministry, made with its first letter."""

    def __init__(self, ministries: Ministries) -> None:
        self._to = ministries
        self._agreements: dict[str, Agreement] = {}

    def record(self, told: Told, now: datetime) -> Record:
        """What a ministry is told, as an event that says to whom, and nothing else."""
        about = told.about
        said = ReferralMade(
            household_id=about.household_id,
            revision=about.revision,
            number=told.number,
            recipient=told.recipient,
            state=ReferralState.MADE if told.withdraws is None else ReferralState.WITHDRAWN,
            decision_id=about.decision_id,
            letter=self._sealed(told).decode(),
        )
        return emit(
            REFERRAL_MADE,
            said,
            id=referral_id(about.household_id, told.number),
            key=about.household_id,
            sequence=told.number,
            time=now,
            cause=about.cause,
        )

    def _sealed(self, told: Told) -> bytes:
        """Padded, so that its length does not tell the service."""
        if told.recipient not in self._agreements:
            self._agreements[told.recipient] = Agreement(self._to.encrypt_to[told.recipient])
        padded = told.letter + b" " * (-len(told.letter) % LETTER_MULTIPLE_BYTES)
        return self._agreements[told.recipient].encrypt(self._to.signer.sign(padded))
