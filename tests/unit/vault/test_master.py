from pathlib import Path

import pytest

from vault.master import MasterKey, MasterKeyUnusable
from vault.sealing import SealBroken

KEY = bytes(range(32))


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_data_key_unwraps_for_its_own_household_and_key_id() -> None:
    master = MasterKey(KEY)
    wrapped = master.wrap(b"\x07" * 32, bound_to="h-1/k-1")
    assert b"\x07" * 4 not in wrapped
    assert master.unwrap(wrapped, bound_to="h-1/k-1") == b"\x07" * 32


def test_keys_wrapped_together_are_each_bound_to_their_own_and_share_no_nonce() -> None:
    master = MasterKey(KEY)
    wrapped = master.wrap_all((b"\x07" * 32, f"h-{n}/k") for n in range(100))
    assert len({each[:12] for each in wrapped}) == 100
    assert {master.unwrap(each, bound_to=f"h-{n}/k") for n, each in enumerate(wrapped)} == {b"\x07" * 32}
    with pytest.raises(SealBroken):
        master.unwrap(wrapped[0], bound_to="h-1/k")


def test_a_wrapped_key_moved_to_another_household_is_refused() -> None:
    master = MasterKey(KEY)
    with pytest.raises(SealBroken):
        master.unwrap(master.wrap(b"\x07" * 32, bound_to="h-1/k-1"), bound_to="h-2/k-1")


def test_another_master_key_unwraps_nothing_and_has_another_id() -> None:
    master, other = MasterKey(KEY), MasterKey(b"\x09" * 32)
    assert master.id != other.id
    with pytest.raises(SealBroken):
        other.unwrap(master.wrap(b"\x07" * 32, bound_to="h-1/k-1"), bound_to="h-1/k-1")


def test_a_file_of_64_digits_is_read_and_always_has_the_same_id(tmp_path: Path) -> None:
    path = write(tmp_path / "master.key", KEY.hex() + "\n")
    assert MasterKey.from_file(path).id == MasterKey.from_file(path).id == MasterKey(KEY).id
    assert KEY.hex()[:8] not in MasterKey(KEY).id


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_file_that_others_can_reach_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "master.key", KEY.hex(), mode)
    with pytest.raises(MasterKeyUnusable, match=r"chmod 600"):
        MasterKey.from_file(path)


@pytest.mark.parametrize("text", ["", KEY.hex()[:-2], KEY.hex() + "00", "z" * 64, "ក" * 64])
def test_a_file_of_anything_else_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "master.key", text)
    with pytest.raises(MasterKeyUnusable, match=r"64 hexadecimal digits") as refused:
        MasterKey.from_file(path)
    assert text == "" or text not in str(refused.value)


def test_a_missing_file_is_named_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(MasterKeyUnusable, match="TONLE_MASTER_KEY_FILE"):
        MasterKey.from_file(tmp_path / "nowhere.key")


def test_a_keyed_hash_is_the_same_for_the_same_text_and_key_alone() -> None:
    master, other = MasterKey(KEY), MasterKey(bytes(32))
    # As it was kept in databases from the first version on.
    assert master.keyed_hash("+85512345678").hex()[:16] == "f28ab04c1d3b809d"  # pragma: allowlist secret
    assert master.keyed_hash("+85512345678") == master.keyed_hash("+85512345678")
    others = {master.keyed_hash("+85512345679"), other.keyed_hash("+85512345678")}
    assert master.keyed_hash("+85512345678") not in others
