"""How each partner is talked to, as settings say it, and the partners themselves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc.jwk import OKPKey
from nacl.signing import SigningKey, VerifyKey
from pydantic import BaseModel, ConfigDict, Field

from postbox.broker import partition_counts
from postbox.service import Service
from services.payments.partners import g2p
from services.payments.partners.g2p import Sides
from services.payments.partners.iso20022 import pain001
from services.payments.partners.iso20022.pain001 import Debtor
from services.payments.partners.kafka import KafkaPartner
from services.payments.partners.routing import Door
from services.payments.partners.served import ServedPartner
from vault.jose import read_key, read_keys

Partner = KafkaPartner | ServedPartner


class Pays(BaseModel):
    """Whom a partner pays: holders of its `accounts`; with `cash` who has none, in `provinces` (none: all).

    Where `cash` is not said, the first partner pays it. No more than `payments_a_day` go into files or calls
    of one day; the rest waits.
    """

    model_config = ConfigDict(extra="forbid")

    accounts: bool = True
    cash: bool | None = None
    provinces: frozenset[str] = frozenset()
    payments_a_day: int | None = Field(default=None, gt=0)


class PartnerKeys(Pays):
    """A partner on Kafka. Public keys as JWK files: X25519 to encrypt to, Ed25519 to verify with.

    A file may be a JWK Set: the first key is encrypted to, and any may have signed. `bundle_most`: how many
    instructions share a token at most; 1 for a partner that knows single ones alone. It is paused by itself
    where it leaves a question open and has reported nothing for `silent_s` seconds (None: never), until it
    reports again.
    """

    kind: Literal["kafka"] = "kafka"
    encrypt_to: Path
    verify_with: Path
    silent_s: float | None = Field(default=None, gt=0)
    bundle_most: int = Field(default=100, ge=1, le=500)


class FilePartner(Pays):
    """A bank that is told by pain.001 and reports by pain.002 and camt.

    `open_with`: a private X25519 JWK of ours, since we read for it what it is told. A file is written every
    `every_s` seconds where something waits, with `payments_most` payments at most.
    """

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


class HttpPartner(Pays):
    """A partner with the G2P Connect disburse API 1.0.0 at `url`.

    `open_with`: a private X25519 JWK of ours; `verify_with`: its public Ed25519 JWK. `payer`: the account the
    money comes from, as `account:NUMBER@BANK`. `callback_url`: where it reaches payments' API.
    """

    kind: Literal["http"]
    url: str = Field(pattern="^https?://")
    open_with: Path
    verify_with: Path
    token_file: Path | None = None
    sender_id: str = "tonle"
    receiver_id: str
    payer: str = Field(pattern="^[a-zA-Z0-9.:-]+@[a-zA-Z0-9.-]+$")
    callback_url: str = Field(pattern="^https?://")
    payments_most: int = Field(default=500, gt=0)
    timeout_s: float = Field(default=30, gt=0)


PartnerOptions = PartnerKeys | FilePartner | HttpPartner


@dataclass(frozen=True)
class Line:
    """How one partner is called: its options, our key to sign with, and its key to verify with."""

    options: HttpPartner
    signs_with: SigningKey
    verifies_with: VerifyKey
    token: str | None

    @property
    def sides(self) -> Sides:
        """Who speaks to whom."""
        options = self.options
        return Sides(options.sender_id, options.receiver_id, options.payer, options.callback_url)

    def client(self) -> httpx.AsyncClient:
        """To be used for one transaction."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return httpx.AsyncClient(base_url=self.options.url, timeout=self.options.timeout_s, headers=headers)

    def signed(self, body: Mapping[str, object], now: datetime) -> dict[str, object]:
        """A body with our signature."""
        return g2p.signed(body, self.signs_with, f"{self.options.sender_id}|1|ed25519", now)

    def why_not_signed(self, body: Mapping[str, object], now: datetime) -> str | None:
        """Why a body is not the partner's, as its error code; None where it is."""
        return g2p.why_not_signed(body, self.verifies_with, now)


@dataclass(frozen=True)
class Exchange:
    """Whom each partner pays, and those that read no topic: `banks` are told by files, `lines` by calls.

    Files lie in `folder`: `<bank>/out` for whoever carries them there, `loaded` while they are taken in.
    `listeners`: those on Kafka, and after how many seconds of silence each is paused. `closed` and `paused`
    are kept by the job `orders`: partners that are down, paused, or have a day's work waiting; and those on
    Kafka that are paused.
    """

    folder: Path
    doors: Sequence[Door]
    banks: Mapping[str, FilePartner]
    lines: Mapping[str, Line]
    listeners: Mapping[str, float | None]
    closed: set[str] = field(default_factory=set)
    paused: set[str] = field(default_factory=set)

    @property
    def capacities(self) -> dict[str, int]:
        """How many payments a day those may be told that have a limit."""
        served = {**self.banks, **{name: each.options for name, each in self.lines.items()}}
        return {name: each.payments_a_day for name, each in served.items() if each.payments_a_day}

    @classmethod
    def of(cls, folder: Path, options: Mapping[str, PartnerOptions], sign_with: OKPKey) -> "Exchange":
        """Of those partners of these options."""
        banks = {name: each for name, each in options.items() if isinstance(each, FilePartner)}
        calls = {name: each for name, each in options.items() if isinstance(each, HttpPartner)}
        doors = [_door(name, each, number) for number, (name, each) in enumerate(options.items())]
        lines = {name: _line(each, sign_with) for name, each in calls.items()}
        listeners = {name: each.silent_s for name, each in options.items() if isinstance(each, PartnerKeys)}
        return cls(folder, doors, banks, lines, listeners)


def partners_of(options: Mapping[str, PartnerOptions], sign_with: Sequence[OKPKey]) -> dict[str, Partner]:
    """The partners by name. Keys are read once: importing one costs more than signing with it."""
    return {name: _partner(name, each, sign_with) for name, each in options.items()}


async def count_partitions(partners: Iterable[Partner], service: Service) -> None:
    """Let partners know how many partitions their topics have: a bundle holds what shares one."""
    settings = service.settings
    named = {settings.topic_prefix + each.instructions.name: each for each in partners}
    for name, count in (await partition_counts(settings.broker, list(named))).items():
        named[name].partitions = count


def _partner(name: str, options: PartnerOptions, sign_with: Sequence[OKPKey]) -> Partner:
    if isinstance(options, PartnerKeys):
        return KafkaPartner(
            name,
            sign_with=sign_with[0],
            encrypt_to=read_key(options.encrypt_to, "X25519"),
            verify_with=read_keys(options.verify_with, "Ed25519"),
            bundle_most=options.bundle_most,
        )
    opens_with = read_keys(options.open_with, "X25519")
    by_call = isinstance(options, HttpPartner)
    return ServedPartner(
        name,
        sign_with=sign_with,
        opens_with=opens_with,
        flaw=g2p.flaw if by_call else pain001.flaw,
        no_cancelling=g2p.NO_CANCELLING if by_call else None,
    )


def _door(name: str, options: PartnerOptions, number: int) -> Door:
    cash = number == 0 if options.cash is None else options.cash
    return Door(name, options.accounts, cash, options.provinces)


def _line(options: HttpPartner, sign_with: OKPKey) -> Line:
    ours, theirs = sign_with.private_key, read_key(options.verify_with, "Ed25519").public_key
    assert isinstance(ours, Ed25519PrivateKey)
    assert isinstance(theirs, Ed25519PublicKey)
    token = options.token_file.read_text().strip() if options.token_file else None
    return Line(options, SigningKey(ours.private_bytes_raw()), VerifyKey(theirs.public_bytes_raw()), token)
