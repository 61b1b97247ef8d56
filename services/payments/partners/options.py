"""How each partner is talked to, as settings say it, and the partners themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, Field

from services.payments.partners.iso20022 import pain001
from services.payments.partners.iso20022.pain001 import Debtor
from services.payments.partners.kafka import KafkaPartner
from services.payments.partners.served import ServedPartner
from vault.jose import read_key

Partner = KafkaPartner | ServedPartner


class PartnerKeys(BaseModel):
    """A partner on Kafka. Public keys as JWK files: X25519 to encrypt to, Ed25519 to verify with."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["kafka"] = "kafka"
    encrypt_to: Path
    verify_with: Path


class FilePartner(BaseModel):
    """A bank that is told by pain.001 and reports by pain.002 and camt.

    `open_with`: a private X25519 JWK of ours, since we read for it what it is told. A file is written every
    `every_s` seconds where something waits, with `payments_most` payments at most.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["files"]
    open_with: Path
    debtor_name: str = Field(min_length=1, max_length=140)
    debtor_account: str = Field(min_length=1, max_length=34)
    debtor_bank: str = Field(min_length=1, max_length=35)
    every_s: float = Field(default=300, gt=0)
    payments_most: int = Field(default=20_000, gt=0)

    @property
    def debtor(self) -> Debtor:
        """Whose money a file moves."""
        return Debtor(self.debtor_name, self.debtor_account, self.debtor_bank)


PartnerOptions = PartnerKeys | FilePartner


@dataclass(frozen=True)
class Exchange:
    """Where files lie: `<bank>/out` for whoever carries them there, `loaded` while they are taken in."""

    folder: Path
    banks: Mapping[str, FilePartner]

    @classmethod
    def of(cls, folder: Path, options: Mapping[str, PartnerOptions]) -> "Exchange":
        """Of those partners that are told by files."""
        return cls(folder, {name: each for name, each in options.items() if isinstance(each, FilePartner)})


def partners_of(options: Mapping[str, PartnerOptions], sign_with: OKPKey) -> dict[str, Partner]:
    """The partners by name. Keys are read once: importing one costs more than signing with it."""
    return {name: _partner(name, each, sign_with) for name, each in options.items()}


def _partner(name: str, options: PartnerOptions, sign_with: OKPKey) -> Partner:
    if isinstance(options, PartnerKeys):
        return KafkaPartner(
            name,
            sign_with=sign_with,
            encrypt_to=read_key(options.encrypt_to, "X25519"),
            verify_with=read_key(options.verify_with, "Ed25519"),
        )
    opens_with = read_key(options.open_with, "X25519")
    return ServedPartner(name, sign_with=sign_with, opens_with=opens_with, flaw=pain001.flaw)
