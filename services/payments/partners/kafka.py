"""A partner on Kafka: instructions signed by us and encrypted to it, reports signed by it.

JWS with Ed25519 (RFC 9864) inside JWE with ECDH-ES on X25519 and A256GCM (RFC 7518, 8037), compact form.
`docs/decisions/0005-jose-for-partners.md` has the choice and what it costs.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwe import JWERegistry
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry
from joserfc.registry import HeaderParameter

from contracts.payment import PaymentInstruction, PaymentReport
from contracts.topics import partner_instruction, partner_report
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

_SIGNATURES = JWSRegistry({"exp": HeaderParameter("Expiration Time", "int")}, algorithms=["Ed25519"])
_ENCRYPTION = JWERegistry(algorithms=["ECDH-ES", "A256GCM"])


def read_key(path: Path, curve: Literal["Ed25519", "X25519"]) -> OKPKey:
    """A JWK file as an imported key, once per process. Raises `ValueError` for a key of another curve."""
    key = OKPKey.import_key(json.loads(path.read_text()))
    if key.curve_name != curve:
        raise ValueError(f"{path}: a JWK with curve {curve} is needed, this one is {key.curve_name}")
    return key


class KafkaPartner:
    """One partner and the keys between us: ours to sign, theirs to encrypt to and to verify with."""

    def __init__(self, name: str, *, sign_with: OKPKey, encrypt_to: OKPKey, verify_with: OKPKey) -> None:
        self.name = name
        self.instructions = partner_instruction(name)
        self.reports = partner_report(name)
        self._sign_with = sign_with
        self._encrypt_to = encrypt_to
        self._verify_with = verify_with
        self._signed = {"alg": "Ed25519", "kid": sign_with.thumbprint()}
        self._sealed = {
            "alg": "ECDH-ES",
            "enc": "A256GCM",
            "cty": "jose",
            "kid": encrypt_to.thumbprint(),
        }

    def instruction_id(self, *business_key: object) -> str:
        """The same question or order has the same id for ever."""
        return event_id(self.instructions, *business_key)

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
        signed = jws.serialize_compact(
            {**self._signed}, dump(instruction), self._sign_with, registry=_SIGNATURES
        )
        sealed = jwe.encrypt_compact({**self._sealed}, signed, self._encrypt_to, registry=_ENCRYPTION)
        return emit_bytes(
            self.instructions,
            sealed.encode(),
            JOSE,
            id=instruction.instruction_id,
            key=household_id,
            sequence=sequence,
            time=time,
            cause=cause,
        )

    def read_report(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers
    ) -> Received[PaymentReport]:
        """A report whose signature holds at the time the event names; all else raises a `WireError`."""
        if value is None:
            raise WireError("value: null")
        try:
            token = jws.deserialize_compact(value, self._verify_with, registry=_SIGNATURES)
        except (JoseError, ValueError):
            raise WireError("report: the signature is not the partner's") from None
        report = envelope(load(PaymentReport, token.payload), topic, key, headers)
        if report.data.partner != self.name:
            raise WireError("report: it names another partner than the topic's")
        expires: Mapping[str, Any] = token.headers()
        if not expires.get("exp", 0) > report.time.timestamp():
            raise WireError("report: its signature has expired, or says no time")
        return report
