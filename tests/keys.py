"""A stack's master key where its households, and what chance does with their payments, are to be the same."""

from hashlib import sha256
from pathlib import Path


def give_master_key(home: Path, seed: object) -> None:
    """Put the key of a seed where a stack that was not started yet would draw its own."""
    folder = home / "secrets"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = folder / "master.key"
    if not key.exists():
        key.touch(mode=0o600)
        key.write_text(sha256(f"{seed}".encode()).hexdigest())
