"""What the HTTP interface of one process works with."""

from dataclasses import dataclass

from services.notifications.gateways.callbacks import Callbacks
from services.notifications.inbox import Inbox


@dataclass(frozen=True)
class Office:
    """Where gateways call, and what takes in SMS."""

    callbacks: Callbacks
    inbox: Inbox
