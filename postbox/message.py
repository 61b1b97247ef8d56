"""The shapes that pass between the loop and the handlers."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from asyncpg import Connection as _Connection
from asyncpg.pool import PoolConnectionProxy

from postbox.errors import BEHIND, Handling, handling_of, reason_of

Connection = _Connection | PoolConnectionProxy
Headers = Sequence[tuple[str, bytes | None]]


class Event(Protocol):
    """What the loop needs to know of a decoded event."""

    key: str
    traceparent: str


class Raw(Protocol):
    """A record as the broker gave it."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


class Outgoing(Protocol):
    """A record to publish; `partition_by` places it where another key's records are."""

    @property
    def topic(self) -> str: ...
    @property
    def key(self) -> bytes: ...
    @property
    def value(self) -> bytes: ...
    @property
    def headers(self) -> tuple[tuple[str, bytes], ...]: ...
    @property
    def partition_by(self) -> bytes | None: ...


class Item(NamedTuple):
    """One message of a record that holds many: its own key, and the event, or why it is none."""

    key: bytes | None
    event: Event | Exception


E = TypeVar("E", bound=Event)
S = TypeVar("S")


@dataclass(slots=True)
class Parking:
    """One message that is set aside, and why."""

    index: int
    handling: Handling
    reason: str


@dataclass(slots=True)
class Batch(Generic[E]):
    """Decoded events of one topic, in order. `now` is the edge's clock: for records, never for rules."""

    messages: list[E]
    now: datetime
    holds: bool = False
    parked: list[Parking] = field(default_factory=list)
    known: int = 0
    """How many messages changed nothing, because what they say was known."""
    wakes: set[str] = field(default_factory=set)
    """Jobs of the service to run once the batch is committed, not only at their next time."""

    @property
    def keys(self) -> list[str]:
        """The distinct keys, sorted, so that every statement locks in the same order."""
        return sorted({message.key for message in self.messages})

    def fold(self, states: Mapping[str, S], decide: Callable[[S | None, E], S | None]) -> list[S]:
        """Decide message by message; a key's second message sees the first's effect.

        `decide(state, message)` is pure and returns the key's new state, or None where nothing changes. What
        raises is parked alone; on a topic that holds, later messages of its key are parked behind it.
        Returns the changed states, sorted by key.
        """
        current: dict[str, S] = dict(states)
        changed: set[str] = set()
        held: set[str] = set()
        for index, message in enumerate(self.messages):
            if message.key in held:
                self.parked.append(Parking(index, "behind", BEHIND))
                continue
            try:
                state = decide(current.get(message.key), message)
            except Exception as error:
                self.park(index, error)
                if self.holds:
                    held.add(message.key)
                continue
            if state is None:
                self.known += 1
            else:
                current[message.key] = state
                changed.add(message.key)
        return [current[key] for key in sorted(changed)]

    def park(self, index: int, error: Exception) -> None:
        """Set the message at `index` aside with the error's reason; its neighbours go on."""
        self.parked.append(Parking(index, handling_of(error), reason_of(error)))


Handler = Callable[[Batch[Any], Connection], Awaitable[Sequence[Outgoing]]]
Decode = Callable[[str, bytes | None, bytes | None, Headers], Event | list[Item]]
"""Topic, key, value and headers of a record to its event, or to its many; raises what parks it as one."""
DecodeAll = Callable[[str, Sequence[Raw]], Sequence[Event]]
"""Topic and records to the event of each, as `Decode` reads them alone; raises where any is unusual."""


@dataclass(frozen=True)
class Subscription:
    """One topic a service reads: how its records are decoded and which function handles them.

    `holds`: parking a message holds back later ones of its key (money's path). `compacted`: gaps in the
    offsets are natural, and it is read ahead of the topics that refer to it. `wants` may say of a value,
    before it is decoded, that it is not for this service. `decode_all` is there where many cost less in one
    go. `contract` is documentation.
    """

    topic: str
    decode: Decode
    handler: Handler
    contract: type[Any]
    holds: bool = False
    compacted: bool = False
    wants: Callable[[bytes], bool] | None = None
    decode_all: DecodeAll | None = None

    def key_is_held(self, handling: Handling) -> bool:
        """Whether a message parked like this holds back later ones of its key."""
        return handling == "wait" or (handling == "park" and self.holds)
