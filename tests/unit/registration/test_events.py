"""What registration tells of a household is what the contracts would write."""

from datetime import UTC, datetime

import pytest

from contracts import wire
from contracts.household import Channel, HouseholdKeys, HouseholdRegistered
from services.registration import events
from services.registration.events import Registration
from tests.unit.registration.samples import household
from vault.master import MasterKey
from vault.sealing import Keys

AT = datetime(2023, 6, 1, tzinfo=UTC)
CAUSE = wire.Cause("cause", "correlation", "")
MASTER = MasterKey(b"m" * 32)


def test_keys_are_told_as_their_contract_writes_them() -> None:
    (made,) = events.fresh_keys(["a-household"], MASTER, Keys({}))
    told = events.keys_record("a-household", made, AT, CAUSE).value
    assert wire.dump(wire.load(HouseholdKeys, told)) == told


@pytest.mark.parametrize("revision", [1, 2])
def test_a_registration_is_told_as_its_contract_writes_it(revision: int) -> None:
    found, keys = household(), Keys({})
    ((person, payee),) = events.fresh_keys(["a-household"], MASTER, keys)
    kept = Registration(
        household_id="a-household",
        reference=found.reference,
        revision=revision,
        commune=found.commune,
        area_type=found.area_type,
        level=found.level,
        content_hash=found.content().hash,
        persons=found.content().persons_of(["head", "child"]),
        payee=found.content().payee_of("head"),
        person_key=person.key_id,
        payee_key=payee.key_id,
    )
    record = events.registered(kept, keys, by="office", channel=Channel.DESK, at=AT, cause=CAUSE)
    told = wire.load(HouseholdRegistered, record.value)
    assert wire.dump(told) == record.value
    assert told.replaces == (None if revision == 1 else 1)
