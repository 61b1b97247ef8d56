"""The JOSE we exchange with whoever is outside, in compact form: one shape to write, one to read.

A JWS with Ed25519 (RFC 7515, 9864), and one inside a JWE with ECDH-ES+A256KW on X25519 and A256GCM (RFC 7516,
7518, 8037). `docs/decisions/0011-one-key-agreement-a-batch.md` says why no library does it; tests use one.
"""

import json
import os
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from joserfc.jwk import OKPKey
from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey
from pydantic import BaseModel, ConfigDict

HEADERS_KEPT = 64
"""How many headers of signed tokens are remembered: those of tokens signed together are the same."""
_WRAPPING = "ECDH-ES+A256KW"
_TO_URL_SAFE, _FROM_URL_SAFE = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")
_KEY_BYTES, _NONCE_BYTES, _TAG_BYTES = 32, 12, 16
# Concat KDF (RFC 7518, section 4.6.2): the algorithm's name, no party names, the key's length in bits.
_DERIVED_FOR = len(_WRAPPING).to_bytes(4) + _WRAPPING.encode() + bytes(8) + (_KEY_BYTES * 8).to_bytes(4)


class NotSigned(ValueError):
    """What was to be a signed token is none, or its signature is another's."""


def read_key(path: Path, curve: Literal["Ed25519", "X25519"]) -> OKPKey:
    """A JWK file as an imported key, once per process. Raises `ValueError` for a key of another curve."""
    key = OKPKey.import_key(json.loads(path.read_text()))
    if key.curve_name != curve:
        raise ValueError(f"{path}: a JWK with curve {curve} is needed, this one is {key.curve_name}")
    return key


class NotForUs(ValueError):
    """What was to be encrypted to us is not, or was changed on its way."""


class Signer:
    """Signs as us."""

    def __init__(self, key: OKPKey) -> None:
        """Raises `ValueError` for a key that is no private Ed25519 key."""
        if not isinstance(key.private_key, Ed25519PrivateKey):
            raise ValueError("a private Ed25519 key is needed to sign")
        self._key = SigningKey(key.private_key.private_bytes_raw())
        self._header = _encoded({"alg": "Ed25519", "kid": key.thumbprint()})

    def sign(self, payload: bytes) -> bytes:
        """A JWS of `payload`."""
        signed = self._header + b"." + _base64(payload)
        return signed + b"." + _base64(self._key.sign(signed).signature)


class Agreement:
    """One key agreement with one recipient, under an ephemeral key of its own: lives as long as one batch.

    What is agreed wraps a fresh content key for every message, so no two messages share key or nonce.
    """

    def __init__(self, recipient: OKPKey) -> None:
        """Raises `ValueError` for a key that is no X25519 key."""
        theirs = recipient.public_key
        if not isinstance(theirs, X25519PublicKey):
            raise ValueError("an X25519 key is needed to encrypt to")
        ephemeral = X25519PrivateKey.generate()
        public = _base64(ephemeral.public_key().public_bytes_raw()).decode()
        derive = ConcatKDFHash(SHA256(), _KEY_BYTES, _DERIVED_FOR)
        self._wrap_with = derive.derive(ephemeral.exchange(theirs))
        self._header = _encoded(
            {
                "alg": _WRAPPING,
                "enc": "A256GCM",
                "cty": "jose",
                "kid": recipient.thumbprint(),
                "epk": {"kty": "OKP", "crv": "X25519", "x": public},
            }
        )

    def encrypt(self, token: bytes) -> bytes:
        """A JWE of a JWS, for the recipient alone."""
        key, nonce = os.urandom(_KEY_BYTES), os.urandom(_NONCE_BYTES)
        sealed = AESGCM(key).encrypt(nonce, token, self._header)
        wrapped = aes_key_wrap(self._wrap_with, key)
        parts = (wrapped, nonce, sealed[:-_TAG_BYTES], sealed[-_TAG_BYTES:])
        return b".".join((self._header, *map(_base64, parts)))


class _EphemeralKey(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    kty: Literal["OKP"]
    crv: Literal["X25519"]
    x: str


class _SealedHeader(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    alg: Literal["ECDH-ES+A256KW"]
    enc: Literal["A256GCM"]
    epk: _EphemeralKey
    cty: str = ""
    kid: str = ""


class Opener:
    """Opens what was encrypted to us: the other end of an `Agreement`, whose keys it remembers."""

    def __init__(self, key: OKPKey) -> None:
        """Raises `ValueError` for a key that is no private X25519 key."""
        if not isinstance(key.private_key, X25519PrivateKey):
            raise ValueError("a private X25519 key is needed to open with")
        self._key = key.private_key
        self._agreed = lru_cache(HEADERS_KEPT)(self._agree)

    def open(self, token: bytes) -> bytes:
        """What a JWE holds; all else raises `NotForUs`."""
        try:
            header, *parts = token.split(b".")
            wrapped, nonce, sealed, tag = map(_plain, parts)
            key = aes_key_unwrap(self._agreed(header), wrapped)
            return AESGCM(key).decrypt(nonce, sealed + tag, header)
        except (InvalidTag, InvalidUnwrap, ValueError):
            raise NotForUs from None

    def _agree(self, encoded: bytes) -> bytes:
        header = _SealedHeader.model_validate_json(_plain(encoded))
        theirs = X25519PublicKey.from_public_bytes(_plain(header.epk.x.encode()))
        return ConcatKDFHash(SHA256(), _KEY_BYTES, _DERIVED_FOR).derive(self._key.exchange(theirs))


class SignedHeader(BaseModel):
    """What another may say in a token's header: anything else, `crit` too, is refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    alg: Literal["Ed25519"]
    exp: int = 0
    kid: str = ""
    typ: str = ""
    cty: str = ""


class Verifier:
    """Reads what one other signed."""

    def __init__(self, key: OKPKey) -> None:
        """Raises `ValueError` for a key that is no Ed25519 key."""
        if not isinstance(key.public_key, Ed25519PublicKey):
            raise ValueError("an Ed25519 key is needed to verify with")
        self._key = VerifyKey(key.public_key.public_bytes_raw())

    def read(self, token: bytes) -> tuple[SignedHeader, bytes]:
        """Header and payload of a JWS whose signature holds; all else raises `NotSigned`."""
        signed, _, signature = token.rpartition(b".")
        header, _, payload = signed.partition(b".")
        try:
            self._key.verify(signed, _plain(signature))
            return _signed_header(header), _plain(payload)
        except (CryptoError, ValueError):
            raise NotSigned from None


@lru_cache(HEADERS_KEPT)
def _signed_header(encoded: bytes) -> SignedHeader:
    return SignedHeader.model_validate_json(_plain(encoded))


def _encoded(header: Mapping[str, object]) -> bytes:
    return _base64(json.dumps(header, separators=(",", ":")).encode())


def _base64(plain: bytes) -> bytes:
    return b2a_base64(plain, newline=False).translate(_TO_URL_SAFE).rstrip(b"=")


def _plain(text: bytes) -> bytes:
    return a2b_base64(text.translate(_FROM_URL_SAFE) + b"=" * (-len(text) % 4), strict_mode=True)
