"""What registration tells the other services: households' keys, registrations, revisions and exits."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from pydantic_core import to_json

from contracts import topics, wire
from contracts.condition import ConditionReport, ConditionReported
from contracts.household import Channel, ExitReason, HouseholdExited, KeyPurpose, KeyState
from contracts.sealed import Sealed
from vault.keyring import WrappedKey
from vault.master import MasterKey
from vault.sealing import Keys, new_keys

_ACTIVE, _PERSON, _PAYEE = KeyState.ACTIVE.value, KeyPurpose.PERSON.value, KeyPurpose.PAYEE.value
REPORT_BYTES = 512
"""Reports are padded to a multiple of this, so that their length does not tell what was reported."""


class Registration(NamedTuple):
    """One revision of a household as it is kept and told; `persons` and `payee` are JSON in the clear."""

    household_id: str
    reference: str
    revision: int
    commune: str
    area_type: str
    level: str
    content_hash: bytes
    persons: bytes
    payee: bytes
    person_key: str
    payee_key: str


def fresh_keys(
    household_ids: Sequence[str], master: MasterKey, keys: Keys
) -> list[tuple[WrappedKey, WrappedKey]]:
    """For each household a fresh key per purpose (person, payee), wrapped; `keys` can seal with them."""
    owners = [(each, purpose) for each in household_ids for purpose in (_PERSON, _PAYEE)]
    made = new_keys(len(owners))
    for key_id, key in made:
        keys.add(key_id, key)
    wrapped = master.wrap_all(
        (key, f"{owner}/{key_id}") for (owner, _), (key_id, key) in zip(owners, made, strict=True)
    )
    told = [
        WrappedKey(owner, key_id, purpose, _ACTIVE, master.id, blob)
        for (owner, purpose), (key_id, _), blob in zip(owners, made, wrapped, strict=True)
    ]
    return list(zip(told[::2], told[1::2], strict=True))


def keys_record(
    household_id: str, made: Sequence[WrappedKey], at: datetime, cause: wire.Cause
) -> wire.Record:
    """A new household's keys (`HouseholdKeys`)."""
    topic = topics.HOUSEHOLD_KEYS
    said = {
        "household_id": household_id,
        "keys": [
            {
                "key_id": key.key_id,
                "purpose": key.purpose,
                "state": key.state,
                "master_key_id": key.master_key_id,
                "wrapped": key.wrapped,
            }
            for key in made
        ],
    }
    return wire.emit_bytes(
        topic,
        to_json(said, bytes_mode="base64"),
        wire.JSON,
        id=wire.event_id(topic, household_id, 1),
        key=household_id,
        sequence=1,
        time=at,
        cause=cause,
    )


def registered(
    household: Registration, keys: Keys, *, by: str, channel: Channel, at: datetime, cause: wire.Cause
) -> wire.Record:
    """The household as of its revision (`HouseholdRegistered`), its persons sealed for this one event."""
    topic = topics.HOUSEHOLD_REGISTERED
    event_id = wire.event_id(topic, household.household_id, household.revision)

    def sealed(key_id: str, plain: bytes) -> dict[str, object]:
        return {
            "key_id": key_id,
            "blob": keys.seal(key_id, plain, event_id=event_id, event_type=topic.name),
        }

    said = {
        "household_id": household.household_id,
        "revision": household.revision,
        **({"replaces": household.revision - 1} if household.revision > 1 else {}),
        "commune": household.commune,
        "area_type": household.area_type,
        "level": household.level,
        "registered_by": by,
        "channel": channel.value,
        "persons": sealed(household.person_key, household.persons),
        "payee": sealed(household.payee_key, household.payee),
    }
    return wire.emit_bytes(
        topic,
        to_json(said, bytes_mode="base64"),
        wire.JSON,
        id=event_id,
        key=household.household_id,
        sequence=household.revision,
        time=at,
        cause=cause,
    )


def exited(
    household_id: str, revision: int, reason: ExitReason, *, by: str, at: datetime, cause: wire.Cause
) -> wire.Record:
    """The household left; decisions at or below `revision` are void."""
    topic = topics.HOUSEHOLD_EXITED
    return wire.emit(
        topic,
        HouseholdExited(household_id=household_id, revision=revision, reason=reason, exited_by=by),
        id=wire.event_id(topic, household_id, revision),
        key=household_id,
        sequence=revision,
        time=at,
        cause=cause,
    )


def condition_reported(
    household_id: str,
    number: int,
    report: ConditionReport,
    keys: Keys,
    *,
    key_id: str,
    by: str,
    at: datetime,
    cause: wire.Cause,
) -> wire.Record:
    """Report `number` of a household (`ConditionReported`), sealed by its person key for this one event."""
    topic = topics.CONDITION_REPORTED
    event_id = wire.event_id(topic, household_id, number)
    plain = wire.dump(report)
    padded = plain + b" " * (-len(plain) % REPORT_BYTES)
    sealed = Sealed(key_id=key_id, blob=keys.seal(key_id, padded, event_id=event_id, event_type=topic.name))
    said = ConditionReported(household_id=household_id, number=number, reported_by=by, report=sealed)
    return wire.emit(topic, said, id=event_id, key=household_id, sequence=number, time=at, cause=cause)
