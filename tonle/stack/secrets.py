"""The keys and tokens of one stack: made at its first start, readable by their owner alone, then kept."""

import json
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from joserfc.jwk import OKPKey

from postbox.broker import Broker
from tonle.stack import access
from tonle.stack.topics import CALLED, MINISTRIES, SERVED

Curve = Literal["Ed25519", "X25519"]


@dataclass(frozen=True)
class Secrets:
    """The folder `<data>/secrets` and what lies in it."""

    folder: Path

    @property
    def master_key(self) -> Path:
        """64 hexadecimal digits: the key that wraps every household's keys."""
        return self.folder / "master.key"

    @property
    def admin_token_file(self) -> Path:
        """The bearer token of the stack's owner."""
        return self.folder / "admin.token"

    @property
    def admin_token(self) -> str:
        """The text of that token."""
        return self.admin_token_file.read_text().strip()

    @property
    def gateway_password_file(self) -> Path:
        """What notifications shows to the SMS gateway."""
        return self.folder / "gateway.password"

    @property
    def callback_secret_file(self) -> Path:
        """What the SMS gateway shows to notifications when it calls."""
        return self.folder / "gateway-callback.secret"

    def jwk(self, name: str) -> Path:
        """A private key: `payments`, `eligibility`, `ministry-<name>`, `<partner>-sign`,
        `<partner>-encrypt` (of a bank: ours)."""
        return self.folder / f"{name}.jwk"

    def public_jwk(self, name: str) -> Path:
        """The public half of `jwk(name)`."""
        return self.folder / f"{name}.pub.jwk"

    def database_password(self, role: str) -> str:
        """The PostgreSQL password of a role."""
        return (self.folder / f"postgres-{role}.password").read_text().strip()

    def passfile(self, role: str) -> Path:
        """The same in the form that PostgreSQL's clients read (PGPASSFILE)."""
        return self.folder / f"{role}.pgpass"

    def kafka_password_file(self, user: str) -> Path:
        """The Kafka password of a user."""
        return self.folder / f"kafka-{user}.password"

    def kafka_password(self, user: str) -> str:
        """The text of it."""
        return self.kafka_password_file(user).read_text().strip()

    def kafka_passwords(self) -> dict[str, str]:
        """The password of each user."""
        return {user: self.kafka_password(user) for user in access.users()}

    def broker(self, address: str, user: str) -> Broker:
        """How a user reaches the broker."""
        return Broker(address, user, self.kafka_password_file(user))


def ensure(folder: Path, *, roles: Sequence[str], partners: Sequence[str]) -> Secrets:
    """Make what is missing under `folder` (mode 0700, files 0600) and return it all."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    found = Secrets(folder)
    _once(found.master_key, lambda: secrets.token_hex(32))
    _once(found.admin_token_file, lambda: secrets.token_urlsafe(32))
    _once(found.gateway_password_file, lambda: secrets.token_urlsafe(24))
    _once(found.callback_secret_file, lambda: secrets.token_urlsafe(24))
    for role in roles:
        _once(folder / f"postgres-{role}.password", lambda: secrets.token_hex(24))
        _once(found.passfile(role), lambda: f"*:*:*:{role}:{found.database_password(role)}")  # noqa: B023
    for user in access.users(partners):
        _once(found.kafka_password_file(user), lambda: secrets.token_hex(24))
    _key_pair(found, "payments", "Ed25519")
    for partner in partners:
        _key_pair(found, f"{partner}-sign", "Ed25519")
        _key_pair(found, f"{partner}-encrypt", "X25519")
    for name in SERVED:
        _key_pair(found, f"{name}-encrypt", "X25519")
    for name in CALLED:
        _key_pair(found, f"{name}-sign", "Ed25519")
    _key_pair(found, "eligibility", "Ed25519")
    for name in MINISTRIES:
        _key_pair(found, access.ministry(name), "X25519")
    return found


def _key_pair(found: Secrets, name: str, curve: Curve) -> None:
    use = "sig" if curve == "Ed25519" else "enc"

    def generate() -> str:
        key = OKPKey.generate_key(curve, {"use": use, "kid": f"{name}-{secrets.token_hex(4)}"}, private=True)
        return json.dumps(key.as_dict(private=True), sort_keys=True)

    _once(found.jwk(name), generate)
    private = OKPKey.import_key(json.loads(found.jwk(name).read_text()))
    _once(found.public_jwk(name), lambda: json.dumps(private.as_dict(private=False), sort_keys=True))


def _once(path: Path, make: Callable[[], str]) -> None:
    """Write whole or not at all: a crash half-way must not leave half a key."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(make() + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
