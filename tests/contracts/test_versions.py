"""Keys told one by one, before `household.key.v2`, are read as a household's."""

import json
from typing import Any, cast

import pytest

from contracts import versions, wire
from contracts.household import DataKey, HouseholdKeys, KeyPurpose, KeyState
from contracts.release import SAMPLES
from tests.contracts.examples import HOUSEHOLD

TOPIC = "household.key.v1"


def told(kind: str, **changes: object) -> tuple[bytes, bytes, list[tuple[str, bytes | None]]]:
    sample: dict[str, Any] = json.loads((SAMPLES / f"{TOPIC}.{kind}.json").read_text(encoding="utf-8"))
    value = sample["value"] | changes
    headers: list[tuple[str, bytes | None]] = [
        (name, text.encode()) for name, text in sample["headers"].items()
    ]
    return sample["key"].encode(), json.dumps(value).encode(), headers


def decoded(kind: str, **changes: object) -> wire.Received[HouseholdKeys]:
    received = versions.key_v1(TOPIC, *told(kind, **changes))
    return cast(wire.Received[HouseholdKeys], received)


def test_an_old_key_is_a_households_only_one() -> None:
    received = decoded("full")
    (key,) = received.data.keys
    assert (received.data.household_id, received.key) == (HOUSEHOLD, f"{HOUSEHOLD}/person-key-1")
    assert (key.key_id, key.purpose, key.state) == ("person-key-1", KeyPurpose.PERSON, KeyState.ACTIVE)
    assert (key.master_key_id, key.wrapped) == ("0123456789abcdef", bytes(range(60)))


def test_an_old_destroyed_key_stays_destroyed() -> None:
    (key,) = decoded("minimal").data.keys
    assert key == DataKey(key_id="person-key-1", purpose=KeyPurpose.PERSON, state=KeyState.DESTROYED)


def test_what_is_no_key_is_refused_by_its_field() -> None:
    with pytest.raises(wire.WireError, match=r"^purpose: enum$"):
        decoded("full", purpose="diary")
    with pytest.raises(wire.WireError, match="null"):
        versions.key_v1(TOPIC, b"key", None, [])
