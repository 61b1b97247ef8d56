"""The JOSE we exchange with whoever is outside, in compact form: one shape to write, one to read.

A JWS with Ed25519 (RFC 7515, 9864), and one inside a JWE with ECDH-ES+A256KW on X25519 and A256GCM (RFC 7516,
7518, 8037). `docs/decisions/0011-one-key-agreement-a-batch.md` says why no library does it; tests use one.
"""

import json
import os
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

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
from pydantic import BaseModel, ConfigDict, StringConstraints

LONG_BYTES = 8 * 1024
HEADERS_KEPT = 64
"""How many headers of signed tokens are remembered: those of tokens signed together are the same."""
_WRAPPING = "ECDH-ES+A256KW"
_TO_URL_SAFE, _FROM_URL_SAFE = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")
_KEY_BYTES, _NONCE_BYTES, _TAG_BYTES = 32, 12, 16
# Concat KDF (RFC 7518, section 4.6.2): the algorithm's name, no party names, the key's length in bits.
_DERIVED_FOR = len(_WRAPPING).to_bytes(4) + _WRAPPING.encode() + bytes(8) + (_KEY_BYTES * 8).to_bytes(4)


class NotSigned(ValueError):
    """What was to be a signed token is none, or its signature is another's."""


def read_keys(path: Path, curve: Literal["Ed25519", "X25519"]) -> Sequence[OKPKey]:
    """The keys of a JWK file, or of a JWK Set (RFC 7517, section 5) while one takes another's place.

    With the first is signed and encrypted, with each of them verified and opened. Raises `ValueError` for a
    key of another curve, and for no key.
    """
    said = json.loads(path.read_text())
    keys = [OKPKey.import_key(each) for each in said.get("keys", [said])]
    if not keys:
        raise ValueError(f"{path}: a JWK with curve {curve} is needed, this set is empty")
    if others := [key.curve_name for key in keys if key.curve_name != curve]:
        raise ValueError(f"{path}: a JWK with curve {curve} is needed, this one is {others[0]}")
    return keys


def read_key(path: Path, curve: Literal["Ed25519", "X25519"]) -> OKPKey:
    """The first key of a file, to sign with or to encrypt to. Raises `ValueError` as `read_keys` does."""
    return read_keys(path, curve)[0]


class NotForUs(ValueError):
    """What was to be encrypted to us is not, or was changed on its way."""


class Signer:
    """Signs as us."""

    def __init__(self, key: OKPKey) -> None:
        """Raises `ValueError` for a key that is no private Ed25519 key."""
        if not isinstance(key.private_key, Ed25519PrivateKey):
            raise ValueError("a private Ed25519 key is needed to sign")
        self._key, self._key_of_long = SigningKey(key.private_key.private_bytes_raw()), key.private_key
        self._header = {"alg": "Ed25519", "kid": key.thumbprint()}

    def sign(self, payload: bytes, cty: str = "") -> bytes:
        """A JWS of `payload`; `cty` says what it is, where it is not one JSON document."""
        header = {**self._header, "cty": cty} if cty else self._header
        signed = _encoded(header) + b"." + _base64(payload)
        return signed + b"." + _base64(self._signature(signed))

    def _signature(self, signed: bytes) -> bytes:
        # The signature is the same: libsodium multiplies faster, OpenSSL hashes faster.
        if len(signed) > LONG_BYTES:
            return self._key_of_long.sign(signed)
        return self._key.sign(signed).signature


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
    """Opens what was encrypted to one of our keys: the other end of an `Agreement`, which it remembers."""

    def __init__(self, *keys: OKPKey) -> None:
        """Raises `ValueError` for a key that is no private X25519 key."""
        self._keys = {key.thumbprint(): _private_x25519(key) for key in keys}
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
        ours = self._keys.get(header.kid) or next(iter(self._keys.values()))
        return ConcatKDFHash(SHA256(), _KEY_BYTES, _DERIVED_FOR).derive(ours.exchange(theirs))


Word = Annotated[str, StringConstraints(max_length=200)]
"""Headers are remembered, and read before the signature is."""


class SignedHeader(BaseModel):
    """What another may say in a token's header: anything else, `crit` too, is refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    alg: Literal["Ed25519"]
    exp: int = 0
    kid: Word = ""
    typ: Word = ""
    cty: Word = ""


class Verifier:
    """Reads what one other signed, with one of its keys."""

    def __init__(self, *keys: OKPKey) -> None:
        """Raises `ValueError` for a key that is no Ed25519 key."""
        self._keys = {name: _verify_key(key) for key in keys for name in (key.thumbprint(), key.kid) if name}

    def read(self, token: bytes) -> tuple[SignedHeader, bytes]:
        """Header and payload of a JWS whose signature holds; all else raises `NotSigned`."""
        signed, _, signature = token.rpartition(b".")
        encoded, _, payload = signed.partition(b".")
        try:
            header = _signed_header(encoded)
            named = self._keys.get(header.kid)
            self._verify(signed, _plain(signature), [named] if named else set(self._keys.values()))
            return header, _plain(payload)
        except ValueError:
            raise NotSigned from None

    def _verify(self, signed: bytes, signature: bytes, keys: Iterable[VerifyKey]) -> None:
        # A partner may call its keys as it likes, or not at all: then the signature says whose it is.
        for key in keys:
            with suppress(CryptoError):
                key.verify(signed, signature)
                return
        raise NotSigned


def _private_x25519(key: OKPKey) -> X25519PrivateKey:
    if not isinstance(key.private_key, X25519PrivateKey):
        raise ValueError("a private X25519 key is needed to open with")
    return key.private_key


def _verify_key(key: OKPKey) -> VerifyKey:
    if not isinstance(key.public_key, Ed25519PublicKey):
        raise ValueError("an Ed25519 key is needed to verify with")
    return VerifyKey(key.public_key.public_bytes_raw())


@lru_cache(HEADERS_KEPT)
def _signed_header(encoded: bytes) -> SignedHeader:
    return SignedHeader.model_validate_json(_plain(encoded))


def _encoded(header: Mapping[str, object]) -> bytes:
    return _base64(json.dumps(header, separators=(",", ":")).encode())


def _base64(plain: bytes) -> bytes:
    return b2a_base64(plain, newline=False).translate(_TO_URL_SAFE).rstrip(b"=")


def _plain(text: bytes) -> bytes:
    return a2b_base64(text.translate(_FROM_URL_SAFE) + b"=" * (-len(text) % 4), strict_mode=True)
