"""How the records of a topic are read: those of a version that was replaced, as what replaced it."""

from collections.abc import Callable, Sequence
from functools import partial

from contracts import topics, wire
from contracts.household import DataKey, HouseholdKey, HouseholdKeys
from contracts.model import Contract
from contracts.topics import Topic
from contracts.wire import Encoded, Headers, Received

Decode = Callable[[str, bytes | None, bytes | None, Headers], Received[Contract]]
DecodeAll = Callable[[str, Sequence[Encoded]], list[Received[Contract]]]


def decoders(topic: Topic, heard_as: type[Contract] | None = None) -> tuple[Decode, DecodeAll | None]:
    """What decodes a record of this topic, and many in one go (None where they are read one by one).

    `heard_as` is a narrower contract than the topic's own.
    """
    if topic is topics.HOUSEHOLD_KEY:
        return key_v1, None
    contract = heard_as or topic.contract
    return partial(wire.decode, contract), partial(wire.decode_all, contract)


def key_v1(topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> Received[Contract]:
    """A key told alone, as `household.key.v2` says it. Raises `WireError` as `decode` does."""
    if value is None:
        raise wire.WireError("value: null")
    old = wire.load(HouseholdKey, value)
    one = DataKey(
        key_id=old.key_id,
        purpose=old.purpose,
        state=old.state,
        master_key_id=old.master_key_id,
        wrapped=old.wrapped,
    )
    return wire.envelope(HouseholdKeys(household_id=old.household_id, keys=(one,)), topic, key, headers)
