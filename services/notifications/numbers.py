"""How a telephone number is recognised without being kept."""

from vault.master import MasterKey


def number_hash(master: MasterKey, phone: str) -> bytes:
    """The keyed hash under which a number (E.164) is kept: the same for every household that shares it."""
    return master.keyed_hash(f"number/{phone}")
