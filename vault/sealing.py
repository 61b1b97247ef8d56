"""Sealing and opening what is said about persons: AES-256-GCM, bound to the event that carries it."""

import hmac
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from time import time_ns
from typing import ClassVar, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_KEY_ID_RANDOM_BYTES = 6
_NONCE_BYTES = 12
_NONCES_AT_ONCE = 64
_TAG_BYTES = 16
_MARK, _MARK_BYTES = b"mark\n", 16


class KeyMissing(Exception):
    """key-missing"""

    handling: ClassVar[Literal["wait"]] = "wait"

    def __init__(self, detail: str = "") -> None:
        super().__init__(f"key-missing: {detail}" if detail else "key-missing")


class KeyDestroyed(Exception):
    """key-destroyed"""

    handling: ClassVar[Literal["park"]] = "park"

    def __init__(self) -> None:
        super().__init__("key-destroyed")


class SealBroken(Exception):
    """seal-broken"""

    handling: ClassVar[Literal["park"]] = "park"

    def __init__(self) -> None:
        super().__init__("seal-broken")


def new_key() -> tuple[str, bytes]:
    """An opaque key id of 24 hexadecimal digits, and 32 random bytes."""
    return new_keys(1)[0]


def new_keys(count: int) -> list[tuple[str, bytes]]:
    """So many key ids and keys, drawn at once; in order of their ids.

    As in UUIDv7 (RFC 9562, section 5.7) the id begins with its time in ms: keys made together are neighbours
    in the index of every service that keeps them. Half of it is random: of a thousand keys made in one ms two
    have the same id once in 560 million times, and then a unique index refuses the second.
    """
    made_at, each = f"{time_ns() // 1_000_000:012x}", _KEY_ID_RANDOM_BYTES + KEY_BYTES
    drawn = os.urandom(count * each)
    return sorted(
        (made_at + drawn[at : at + _KEY_ID_RANDOM_BYTES].hex(), drawn[at + _KEY_ID_RANDOM_BYTES : at + each])
        for at in range(0, len(drawn), each)
    )


def nonces() -> Iterator[bytes]:
    """Random nonces without end, drawn many at a time: for one batch; processes must not share them."""
    while True:
        drawn = os.urandom(_NONCES_AT_ONCE * _NONCE_BYTES)
        for at in range(0, len(drawn), _NONCE_BYTES):
            yield drawn[at : at + _NONCE_BYTES]


def encrypt(cipher: AESGCM, nonce: bytes, plain: bytes, bound_to: bytes) -> bytes:
    """The 12-byte nonce, ciphertext, 16-byte tag."""
    return nonce + cipher.encrypt(nonce, plain, bound_to)


def decrypt(cipher: AESGCM, blob: bytes, bound_to: bytes) -> bytes:
    """What `encrypt` was given. Raises `SealBroken` where key, blob or what it is bound to differ."""
    if len(blob) < _NONCE_BYTES + _TAG_BYTES:
        raise SealBroken
    try:
        return cipher.decrypt(blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], bound_to)
    except InvalidTag:
        raise SealBroken from None


class Keys:
    """The keys one batch needs, loaded in one query; lives no longer than the batch's transaction.

    `wrapped` gives for each active key how to unwrap it, which happens at its first use.
    """

    def __init__(self, wrapped: Mapping[str, Callable[[], bytes]], destroyed: Iterable[str] = ()) -> None:
        self._wrapped = wrapped
        self._destroyed = frozenset(destroyed)
        self._added: dict[str, bytes] = {}
        self._ciphers: dict[str, AESGCM] = {}
        self._nonces = nonces()

    def add(self, key_id: str, key: bytes) -> None:
        """A key just made, so that it can seal before it is kept."""
        self._added[key_id] = key

    def state(self, key_id: str) -> Literal["active", "destroyed", "missing"]:
        """Ask this first where a destroyed key means *forgotten*."""
        if key_id in self._destroyed:
            return "destroyed"
        return "active" if key_id in self._added or key_id in self._wrapped else "missing"

    def seal(self, key_id: str, plain: bytes, *, event_id: str, event_type: str) -> bytes:
        """A blob for that one event: nonce, ciphertext, tag. Raises `KeyMissing` or `KeyDestroyed`."""
        return encrypt(self._cipher(key_id), next(self._nonces), plain, _event(event_id, event_type))

    def open(self, key_id: str, blob: bytes, *, event_id: str, event_type: str) -> bytes:
        """What was sealed for that event. Raises `KeyMissing`, `KeyDestroyed` or `SealBroken`."""
        return decrypt(self._cipher(key_id), blob, _event(event_id, event_type))

    def mark(self, key_id: str, plain: bytes) -> bytes:
        """16 bytes that are the same for the same text, and tell it to nobody without the key (HMAC-SHA256).

        Raises `KeyMissing` or `KeyDestroyed`.
        """
        return hmac.digest(self._key(key_id), _MARK + plain, "sha256")[:_MARK_BYTES]

    def _cipher(self, key_id: str) -> AESGCM:
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            cipher = self._ciphers[key_id] = AESGCM(self._key(key_id))
        return cipher

    def _key(self, key_id: str) -> bytes:
        if key_id in self._destroyed:
            raise KeyDestroyed
        if key_id in self._added:
            return self._added[key_id]
        if key_id not in self._wrapped:
            raise KeyMissing
        return self._wrapped[key_id]()


def _event(event_id: str, event_type: str) -> bytes:
    return f"{event_id}\n{event_type}".encode()
