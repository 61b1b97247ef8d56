"""What somebody wrote to us by SMS: never the number, and the text only sealed."""

from contracts.household import HouseholdId
from contracts.model import UNRECOGNISED as _UNRECOGNISED
from contracts.model import Contract, OpenEnum
from contracts.sealed import Sealed


class MessageKind(OpenEnum):
    STOP = "stop"
    START = "start"
    HELP = "help"
    COMPLAINT = "complaint"
    OTHER = "other"
    UNRECOGNISED = _UNRECOGNISED


class MessageText(Contract):
    """What `MessageReceived.text` seals."""

    text: str


class MessageReceived(Contract):
    """An SMS that came in. `household_id` where its number is one household's alone, which is then the key.

    `text` is sealed by that household's payee key. Of a number that is nobody's, or several households', the
    text stays with notifications under `message_id`. HELP names nobody, and is what is said of who asks for
    help against violence, too.
    """

    message_id: str
    kind: MessageKind
    household_id: HouseholdId | None = None
    text: Sealed | None = None
