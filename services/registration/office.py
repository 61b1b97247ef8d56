"""What the API and the import job of one process share."""

from dataclasses import dataclass
from pathlib import Path

from services.registration.complaints import Rulebook
from services.registration.household import household_id_of
from services.registration.places import Gazetteer
from vault.master import MasterKey


@dataclass(frozen=True)
class Office:
    """The master key, the gazetteer, the rules of grievances, the folder uploads wait in, and the limits.

    Above `outbox_messages_most` unpublished messages registration answers 503; imports pause at half of it.
    """

    master: MasterKey
    gazetteer: Gazetteer
    rulebook: Rulebook
    spool: Path
    chunk_rows: int
    outbox_messages_most: int
    upload_bytes_most: int

    def household_id(self, reference: str) -> str:
        """The id that a reference has for ever."""
        return household_id_of(self.master.keyed_hash, reference)
