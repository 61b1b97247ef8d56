"""What may go wrong with one message, and whether waiting helps.

An error class declares its `handling`: `park` (a person must look) or `wait` (tried again by itself until a
deadline). Anything else that a rule raises parks too, with the class's name as its reason.
"""

from typing import ClassVar, Literal

import asyncpg
from aiokafka.errors import KafkaError

Handling = Literal["park", "wait", "behind"]

BEHIND = "behind a parked message"
DATABASE_AWAY = (
    *(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
    *(OSError, TimeoutError),
)
"""What a query may raise while PostgreSQL is killed: asyncpg may lose count of what it asked, too."""

_PASSING = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.InternalClientError,
    asyncpg.ReadOnlySQLTransactionError,
)


class Park(Exception):
    """This message can't be handled; its text is the reason, and never holds a person's data."""

    handling: ClassVar[Handling] = "park"


class Wait(Exception):
    """This message can't be handled yet; it is tried again until a deadline, then parks."""

    handling: ClassVar[Handling] = "wait"


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed a little later: connections, locks, time-outs, full disks."""
    return isinstance(error, _PASSING) or (isinstance(error, KafkaError) and error.retriable)


def handling_of(error: Exception) -> Handling:
    """What an error class declares; undeclared ones park."""
    return "wait" if getattr(error, "handling", "park") == "wait" else "park"


def reason_of(error: Exception) -> str:
    """The reason to write down: the text where the class declares its handling, else the class's name."""
    if hasattr(error, "handling"):
        return str(error)
    constraint = getattr(error, "constraint_name", None)
    return f"error: {type(error).__name__}" + (f" ({constraint})" if constraint else "")
