"""What registration tells the other services: households' keys, registrations, revisions and exits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from contracts import topics, wire
from contracts.household import (
    AreaType,
    ExitReason,
    HouseholdExited,
    HouseholdKey,
    HouseholdRegistered,
    KeyPurpose,
    KeyState,
    Level,
)
from contracts.sealed import Sealed
from vault.keyring import WrappedKey
from vault.master import MasterKey
from vault.sealing import Keys, new_key


@dataclass(frozen=True, slots=True)
class Registration:
    """One revision of a household as it is kept and told; `persons` and `payee` are JSON in the clear."""

    household_id: str
    reference: str
    revision: int
    commune: str
    area_type: AreaType
    level: Level
    content_hash: bytes
    persons: bytes
    payee: bytes
    person_key: str
    payee_key: str


def new_keys(household_id: str, master: MasterKey, keys: Keys) -> tuple[WrappedKey, WrappedKey]:
    """A fresh key per purpose (person, payee), wrapped; `keys` can seal with them at once."""
    person, payee = (_new_key(household_id, purpose, master, keys) for purpose in KeyPurpose)
    return person, payee


def _new_key(household_id: str, purpose: KeyPurpose, master: MasterKey, keys: Keys) -> WrappedKey:
    key_id, key = new_key()
    keys.add(key_id, key)
    wrapped = master.wrap(key, bound_to=f"{household_id}/{key_id}")
    return WrappedKey(household_id, key_id, purpose, KeyState.ACTIVE, master.id, wrapped)


def key_records(made: Sequence[WrappedKey], at: datetime, cause: wire.Cause) -> list[wire.Record]:
    """The new keys, placed on the partition where their household's other events are."""
    return [
        wire.emit(
            topics.HOUSEHOLD_KEY,
            HouseholdKey(
                household_id=key.household_id,
                key_id=key.key_id,
                purpose=KeyPurpose(key.purpose),
                state=KeyState.ACTIVE,
                master_key_id=key.master_key_id,
                wrapped=key.wrapped,
            ),
            id=wire.event_id(topics.HOUSEHOLD_KEY, key.household_id, key.key_id, key.state),
            key=f"{key.household_id}/{key.key_id}",
            sequence=1,
            time=at,
            cause=cause,
            partition_by=key.household_id,
        )
        for key in made
    ]


def registered(
    household: Registration, keys: Keys, *, by: str, at: datetime, cause: wire.Cause
) -> wire.Record:
    """The household as of its revision, persons and payee sealed for this one event."""
    topic = topics.HOUSEHOLD_REGISTERED
    event_id = wire.event_id(topic, household.household_id, household.revision)

    def sealed(key_id: str, plain: bytes) -> Sealed:
        return Sealed(key_id=key_id, blob=keys.seal(key_id, plain, event_id=event_id, event_type=topic.name))

    return wire.emit(
        topic,
        HouseholdRegistered(
            household_id=household.household_id,
            revision=household.revision,
            replaces=household.revision - 1 or None,
            commune=household.commune,
            area_type=household.area_type,
            level=household.level,
            registered_by=by,
            persons=sealed(household.person_key, household.persons),
            payee=sealed(household.payee_key, household.payee),
        ),
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
