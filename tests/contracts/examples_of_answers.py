"""What is said of SMS that come in, and of complaints: the full examples."""

from collections.abc import Callable
from datetime import date

from contracts import wire
from contracts.grievance import GrievanceChannel, GrievanceOpened, GrievanceState, GrievanceUpdated
from contracts.message import MessageKind, MessageReceived, MessageText
from contracts.model import Contract
from contracts.sealed import Sealed

MESSAGE = "66666666-7777-5888-8999-aaaabbbbcccc"
GRIEVANCE = "55555555-6666-5777-8888-99990000aaaa"
MESSAGE_TEXT = MessageText(text="complaint: the money of May did not come")


def answered(household_id: str, seal: Callable[[str, bytes, str, str], Sealed]) -> dict[str, Contract]:
    """Events of one household, its text sealed."""
    return {
        "message.received.v1": MessageReceived(
            message_id=MESSAGE,
            kind=MessageKind.COMPLAINT,
            household_id=household_id,
            text=seal("payee-key-1", wire.dump(MESSAGE_TEXT), "message.received.v1", "full"),
        ),
        "grievance.opened.v1": GrievanceOpened(
            grievance_id=GRIEVANCE,
            number="G-000123",
            household_id=household_id,
            message_id=MESSAGE,
            channel=GrievanceChannel.SMS,
            level=1,
            due_on=date(2023, 6, 15),
            opened_by="sms",
        ),
        "grievance.updated.v1": GrievanceUpdated(
            grievance_id=GRIEVANCE,
            number="G-000123",
            household_id=household_id,
            message_id=MESSAGE,
            state=GrievanceState.RESOLVED,
            level=2,
            due_on=date(2023, 6, 22),
            actor="district office",
        ),
    }
