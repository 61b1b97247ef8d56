from itertools import count

import pytest

from vault import sealing
from vault.master import MasterKey
from vault.sealing import KeyDestroyed, KeyMissing, Keys, SealBroken, new_key, new_keys

EVENT = {"event_id": "e-1", "event_type": "household.registered.v1"}
PLAIN = "សុខ ដារ៉ា".encode()


@pytest.fixture
def keys() -> Keys:
    keys = Keys({}, destroyed=["gone"])
    keys.add("k-1", b"\x01" * 32)
    return keys


def test_what_was_sealed_opens_for_the_same_event(keys: Keys) -> None:
    blob = keys.seal("k-1", PLAIN, **EVENT)
    assert PLAIN not in blob
    assert keys.open("k-1", blob, **EVENT) == PLAIN


def test_sealing_twice_gives_different_blobs(keys: Keys) -> None:
    assert keys.seal("k-1", PLAIN, **EVENT) != keys.seal("k-1", PLAIN, **EVENT)


@pytest.mark.parametrize(
    ("event_id", "event_type"),
    [("e-2", "household.registered.v1"), ("e-1", "payment.issued.v1")],
    ids=["another event", "another type"],
)
def test_a_blob_moved_elsewhere_is_refused(keys: Keys, event_id: str, event_type: str) -> None:
    blob = keys.seal("k-1", PLAIN, **EVENT)
    with pytest.raises(SealBroken, match=r"^seal-broken$"):
        keys.open("k-1", blob, event_id=event_id, event_type=event_type)


def test_a_blob_of_another_key_is_refused(keys: Keys) -> None:
    keys.add("k-2", b"\x02" * 32)
    with pytest.raises(SealBroken):
        keys.open("k-2", keys.seal("k-1", PLAIN, **EVENT), **EVENT)


@pytest.mark.parametrize("length", [0, 11, 27, 28, -1])
def test_a_truncated_blob_is_refused(keys: Keys, length: int) -> None:
    with pytest.raises(SealBroken):
        keys.open("k-1", keys.seal("k-1", PLAIN, **EVENT)[:length], **EVENT)


def test_every_changed_byte_is_noticed(keys: Keys) -> None:
    blob = keys.seal("k-1", b"12", **EVENT)
    for at in range(len(blob)):
        changed = blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]
        with pytest.raises(SealBroken):
            keys.open("k-1", changed, **EVENT)


@pytest.mark.parametrize(
    ("key_id", "state", "error", "handling"),
    [("nowhere", "missing", KeyMissing, "wait"), ("gone", "destroyed", KeyDestroyed, "park")],
)
def test_a_key_that_cannot_be_used_says_whether_waiting_helps(
    keys: Keys, key_id: str, state: str, error: type[KeyMissing] | type[KeyDestroyed], handling: str
) -> None:
    assert keys.state(key_id) == state
    assert error.handling == handling
    with pytest.raises(error, match=f"^key-{state}$"):
        keys.open(key_id, b"\x00" * 40, **EVENT)
    with pytest.raises(error, match=f"^key-{state}$"):
        keys.seal(key_id, PLAIN, **EVENT)


def test_adding_a_key_does_not_bring_a_destroyed_one_back(keys: Keys) -> None:
    keys.add("gone", b"\x01" * 32)
    assert keys.state("gone") == "destroyed"
    with pytest.raises(KeyDestroyed):
        keys.seal("gone", PLAIN, **EVENT)


def test_a_key_is_unwrapped_once_and_only_when_used() -> None:
    used: list[str] = []

    def unwrap() -> bytes:
        used.append("k-1")
        return b"\x01" * 32

    keys = Keys({"k-1": unwrap})
    assert keys.state("k-1") == "active"
    assert used == []
    keys.open("k-1", keys.seal("k-1", PLAIN, **EVENT), **EVENT)
    assert used == ["k-1"]


def test_one_broken_wrapping_leaves_other_keys_usable() -> None:
    master = MasterKey(b"\x03" * 32)
    keys = Keys({"k-1": lambda: master.unwrap(b"\x00" * 60, bound_to="h/k-1"), "k-2": lambda: b"\x02" * 32})
    with pytest.raises(SealBroken):
        keys.seal("k-1", PLAIN, **EVENT)
    assert keys.seal("k-2", PLAIN, **EVENT)


def test_new_keys_are_long_and_never_the_same() -> None:
    made = [*new_keys(50), *(new_key() for _ in range(50))]
    assert len({key_id for key_id, _ in made}) == len({key for _, key in made}) == 100
    assert all(len(key) == 32 for _, key in made)


def test_keys_made_later_have_later_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count(1_685_577_600_000_000_000, 1_000_000)
    monkeypatch.setattr(sealing, "time_ns", lambda: next(clock))
    made = [new_key()[0] for _ in range(20)]
    assert made == sorted(made)
    assert {len(key_id) for key_id in made} == {24}


def test_no_two_seals_of_a_batch_begin_with_the_same_nonce() -> None:
    keys = Keys({})
    keys.add("k-1", new_key()[1])
    assert len({keys.seal("k-1", PLAIN, **EVENT)[:12] for _ in range(200)}) == 200
