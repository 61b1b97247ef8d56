"""What registration does with each message."""

from collections.abc import Sequence

from contracts import wire
from contracts.grievance import GrievanceChannel
from contracts.message import MessageKind, MessageReceived, MessageText
from contracts.wire import Received, Record
from postbox.message import Batch, Connection
from services.registration import complaints, store
from services.registration.complaints import Complaint
from services.registration.office import Office
from vault import keyring
from vault.sealing import Keys

BY_SMS = "sms"
UNSORTED = "other"


async def open_grievances(
    office: Office, batch: Batch[Received[MessageReceived]], db: Connection
) -> Sequence[Record]:
    """Open a grievance for each complaint; the same message again opens none."""
    said = [(at, each) for at, each in enumerate(batch.messages) if each.data.kind is MessageKind.COMPLAINT]
    sealed = {each.data.text.key_id for _, each in said if each.data.text}
    keys = await keyring.load(db, office.master, sealed)
    told: list[Record] = []
    for index, each in said:
        try:
            complaint = await _complaint(db, keys, each)
        except Exception as error:
            batch.park(index, error)
            continue
        _, records = await complaints.open_grievance(db, office.rulebook, complaint)
        told += records
    return told


async def _complaint(db: Connection, keys: Keys, event: Received[MessageReceived]) -> Complaint:
    """Raises what the vault raises where the text can't be opened; of a forgotten household there is none."""
    said, text = event.data, None
    if said.text is not None and keys.state(said.text.key_id) != "destroyed":
        plain = keys.open(said.text.key_id, said.text.blob, event_id=event.id, event_type=event.type)
        text = wire.load(MessageText, plain).text
    kept = await store.find(db, said.household_id) if said.household_id else None
    return Complaint(
        grievance_id=wire.uuid5(f"grievance/{said.message_id}"),
        household_id=said.household_id,
        message_id=said.message_id,
        commune=kept.registration.commune if kept else "",
        channel=GrievanceChannel.SMS,
        category=UNSORTED,
        text=text,
        by=BY_SMS,
        at=event.time,
        cause=wire.Cause(event.id, event.correlation_id, event.traceparent),
    )
