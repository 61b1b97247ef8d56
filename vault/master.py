"""The master key that wraps data keys: a file on one machine, a KMS behind the same calls elsewhere."""

import hashlib
import hmac
import stat
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.sealing import KEY_BYTES, decrypt, encrypt, nonces


class MasterKeyUnusable(Exception):
    """The master key's file can't be used; the text says what to do."""


class MasterKey:
    """32 bytes that never leave the process. `id` is a fingerprint, so that a wrong file is recognised."""

    def __init__(self, key: bytes) -> None:
        self.id = hashlib.sha256(b"tonle master key\n" + key).hexdigest()[:16]
        self._cipher = AESGCM(key)
        mac_key = hmac.digest(key, b"tonle keyed hashes", "sha256")
        self._keyed = hmac.new(mac_key, digestmod="sha256")

    @classmethod
    def from_file(cls, path: Path) -> "MasterKey":
        """Read 64 hexadecimal digits. Raises `MasterKeyUnusable` when others than the owner can read them."""
        try:
            mode = path.stat().st_mode
            text = path.read_text(encoding="ascii").strip()
            key = bytes.fromhex(text)
        except OSError as error:
            raise MasterKeyUnusable(f"{path}: {error.strerror}; set TONLE_MASTER_KEY_FILE to it") from None
        except ValueError:
            raise MasterKeyUnusable(f"{path}: holds something else than 64 hexadecimal digits") from None
        if len(key) != KEY_BYTES:
            raise MasterKeyUnusable(f"{path}: 64 hexadecimal digits expected, found {len(text)}")
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise MasterKeyUnusable(f"{path}: others can reach it; run: chmod 600 {path}")
        return cls(key)

    def wrap(self, key: bytes, *, bound_to: str) -> bytes:
        """A data key, encrypted; `bound_to` is `<household id>/<key id>`, so it can't pass for another's."""
        return self.wrap_all([(key, bound_to)])[0]

    def wrap_all(self, keys: Iterable[tuple[bytes, str]]) -> list[bytes]:
        """Each key wrapped and bound as by `wrap`."""
        own = nonces()
        return [encrypt(self._cipher, next(own), key, bound_to.encode()) for key, bound_to in keys]

    def unwrap(self, wrapped: bytes, *, bound_to: str) -> bytes:
        """The data key. Raises `SealBroken` for another master key, household, key id or damaged bytes."""
        return decrypt(self._cipher, wrapped, bound_to.encode())

    def keyed_hash(self, text: str) -> bytes:
        """32 bytes (HMAC-SHA256): always the same for this text, and saying nothing without this key."""
        keyed = self._keyed.copy()
        keyed.update(text.encode())
        return keyed.digest()
