"""The id that a reference has."""

from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from services.registration.household import household_id_of
from vault.master import MasterKey

KEYED_HASH, ANOTHER = MasterKey(b"m" * 32).keyed_hash, MasterKey(b"n" * 32).keyed_hash


@given(st.text(min_size=1, max_size=64))
def test_an_id_is_a_uuid_of_version_8_and_the_same_for_ever(reference: str) -> None:
    made = household_id_of(KEYED_HASH, reference)
    assert made == household_id_of(KEYED_HASH, reference) == str(UUID(made))
    assert (UUID(made).version, UUID(made).variant) == (8, RFC_4122)


def test_who_has_not_the_key_cannot_tell_the_id_of_a_reference() -> None:
    ours, others = (household_id_of(keyed_hash, "R-1") for keyed_hash in (KEYED_HASH, ANOTHER))
    assert ours[:2] != others[:2]
    assert ours[2:] != others[2:]


def test_neighbours_begin_alike_and_many_others_do_too() -> None:
    village = {household_id_of(KEYED_HASH, f"010203-{number:03d}") for number in range(1000)}
    assert len(village) == 1000
    assert len({each[:2] for each in village}) == 1
    assert len({household_id_of(KEYED_HASH, f"{code:06d}-001")[:2] for code in range(5000)}) == 256
