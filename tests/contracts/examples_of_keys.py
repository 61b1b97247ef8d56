"""What is said of a household's data keys, now and before: the full examples."""

from contracts.household import DataKey, HouseholdKey, HouseholdKeys, KeyPurpose, KeyState
from contracts.model import Contract

PERSON = DataKey(
    key_id="person-key-1",
    purpose=KeyPurpose.PERSON,
    state=KeyState.ACTIVE,
    master_key_id="0123456789abcdef",
    wrapped=bytes(range(60)),
)
PAYEE = PERSON.model_copy(
    update={"key_id": "payee-key-1", "purpose": KeyPurpose.PAYEE, "wrapped": bytes(range(60, 120))}
)
DESTROYED = DataKey(key_id="person-key-1", purpose=KeyPurpose.PERSON, state=KeyState.DESTROYED)


def keyed(household_id: str) -> dict[str, Contract]:
    """A household's keys by the names of their topics."""
    return {
        "household.key.v1": HouseholdKey(household_id=household_id, **PERSON.model_dump()),
        "household.key.v2": HouseholdKeys(household_id=household_id, keys=(PERSON, PAYEE)),
    }
