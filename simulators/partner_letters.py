"""How the simulated partner reads what it is told and signs what it says.

JWS with Ed25519 (RFC 7515, 9864) inside JWE with ECDH-ES+A256KW on X25519 and A256GCM (RFC 7516, 7518, 8037),
compact form. It is the other end of payments' JOSE and shares no code with it, so that each proves the other.
A token holds one event, or a CloudEvents batch of many.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey
from pydantic import ConfigDict, TypeAdapter
from pydantic_core import from_json, to_json

from contracts import bundle
from contracts.payment import InstructionKind, PaymentInstruction
from contracts.topics import partner_instruction, partner_report
from contracts.wire import JOSE, Encoded, Received, Record, WireError, decode, emit_bytes
from simulators.partner_reports import Letter

REPORT_HOLDS_S = 86_400
HEADERS_KEPT = 64
"""How many headers are remembered, with what was agreed under them: instructions sent together share one."""
# Base64 as a text in JSON takes pydantic half of what `binascii` takes to write it, a quarter to read it.
_BASE64 = TypeAdapter(bytes, config=ConfigDict(val_json_bytes="base64"))
_WRAPPING = "ECDH-ES+A256KW"
# Concat KDF (RFC 7518, 4.6.2) in one round: its number, the secret, the algorithm, no parties, 256 bits.
_ROUND = (1).to_bytes(4)
_OTHER_INFO = len(_WRAPPING).to_bytes(4) + _WRAPPING.encode() + bytes(8) + (256).to_bytes(4)
_SEALED = {"alg": _WRAPPING, "enc": "A256GCM"}
_SIGNED = {"alg": "Ed25519"}
_SAID_BESIDE = frozenset({"kid", "typ", "cty"})


class NotForUs(ValueError):
    """A value that is not signed by payments and encrypted to this partner."""


class Letters:
    """How this partner reads and signs: our instructions are for it alone, its reports are its own.

    A key file may be a JWK Set: this partner signs with the first, and reads what any of them opens.
    """

    def __init__(self, partner: str, secrets: Path) -> None:
        self._partner = partner
        self._instructions, self._reports = partner_instruction(partner).name, partner_report(partner)
        opens = [
            X25519PrivateKey.from_private_bytes(each) for each in _keys(secrets, f"{partner}-encrypt", "d")
        ]
        self._agreed = lru_cache(HEADERS_KEPT)(partial(_agreed, opens))
        self._theirs = [VerifyKey(each) for each in _keys(secrets, "payments.pub", "x")]
        self._ours = Ed25519PrivateKey.from_private_bytes(_keys(secrets, f"{partner}-sign", "d")[0])

    def read(self, record: Encoded) -> list[Received[PaymentInstruction] | WireError]:
        """The instructions of a record, or why one is none. Raises `NotForUs` or `WireError` for all."""
        header, payload = self._verified(self._opened(record.value or b""))
        if header.get("cty") == bundle.CTY:
            found = bundle.read(PaymentInstruction, self._instructions, payload)
            return [self._checked(each.event) for each in found]
        return [
            self._checked(decode(PaymentInstruction, self._instructions, record.key, payload, record.headers))
        ]

    def _checked(
        self, told: Received[PaymentInstruction] | WireError
    ) -> Received[PaymentInstruction] | WireError:
        if isinstance(told, WireError):
            return told
        if told.data.partner != self._partner or told.data.kind is InstructionKind.UNRECOGNISED:
            return WireError("an instruction for another partner, or of an unknown kind")
        return told

    def write(self, letter: Letter, now: datetime) -> Record:
        """A letter as a record under its first report's key, signed."""
        header: dict[str, object] = {"alg": "Ed25519", "exp": int(now.timestamp()) + REPORT_HOLDS_S}
        if letter.reports > 1:
            header["cty"] = bundle.CTY
        said = json.dumps(header, separators=(",", ":")).encode()
        return emit_bytes(
            self._reports,
            self._sign(_encoded(said) + b"." + _encoded(letter.payload)),
            JOSE,
            id=letter.letter_id,
            key=letter.household_id,
            sequence=letter.number,
            time=now,
            cause=letter.cause,
        )

    def _opened(self, sealed: bytes) -> bytes:
        try:
            header, *parts = sealed.split(b".")
            wrapped, nonce, ciphertext, tag = map(_decoded, parts)
            key = _unwrapped(self._agreed(header), wrapped)
            return AESGCM(key).decrypt(nonce, ciphertext + tag, header)
        except (InvalidUnwrap, InvalidTag, ValueError) as error:
            raise NotForUs("it can't be opened") from error

    def _verified(self, signed: bytes) -> tuple[Mapping[str, object], bytes]:
        message, _, signature = signed.rpartition(b".")
        for key in self._theirs:
            with suppress(BadSignatureError, ValueError):
                header, payload = message.split(b".")
                key.verify(message, _decoded(signature))
                return _signed(header), _decoded(payload)
        raise NotForUs("payments did not sign it")

    def _sign(self, message: bytes) -> bytes:
        return message + b"." + _encoded(self._ours.sign(message))


def _agreed(opens: Sequence[X25519PrivateKey], header: bytes) -> list[bytes]:
    """What may wrap the content key, by each key of ours, from the header's ephemeral key (RFC 7518, 4.6)."""
    said = _said(header, _SEALED, "epk")
    ephemeral = said["epk"]
    if not isinstance(ephemeral, dict) or (ephemeral.get("kty"), ephemeral.get("crv")) != ("OKP", "X25519"):
        raise NotForUs("its ephemeral key is of another curve")
    theirs = X25519PublicKey.from_public_bytes(_decoded(str(ephemeral.get("x")).encode()))
    return [sha256(_ROUND + each.exchange(theirs) + _OTHER_INFO).digest() for each in opens]


def _unwrapped(agreed: Sequence[bytes], wrapped: bytes) -> bytes:
    for each in agreed:
        with suppress(InvalidUnwrap):
            return aes_key_unwrap(each, wrapped)
    raise InvalidUnwrap


@lru_cache(HEADERS_KEPT)
def _signed(header: bytes) -> Mapping[str, object]:
    return _said(header, _SIGNED)


def _said(header: bytes, fixed: dict[str, str], *needed: str) -> dict[str, object]:
    """A header that says what is fixed and what is needed, and nothing this partner can't honour."""
    said = from_json(_decoded(header))
    if not isinstance(said, dict) or not said.items() >= fixed.items() or not said.keys() >= set(needed):
        raise NotForUs("its header says something else")
    if said.keys() - fixed.keys() - set(needed) - _SAID_BESIDE:
        raise NotForUs("its header says something unknown")
    return said


def _keys(secrets: Path, name: str, part: str) -> list[bytes]:
    """One part of each key of a JWK file, or JWK Set: `x` public, `d` private."""
    said = json.loads((secrets / f"{name}.jwk").read_text())
    return [_decoded(each[part].encode()) for each in said.get("keys", [said])]


def _encoded(octets: bytes) -> bytes:
    return to_json(octets, bytes_mode="base64")[1:-1].rstrip(b"=")


def _decoded(text: bytes) -> bytes:
    return _BASE64.validate_json(b'"%b"' % text)
