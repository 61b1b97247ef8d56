"""Secrets for containers: files of the user whom the containers run as."""

import os
from pathlib import Path

import pytest

from tonle.stack import containers, topics


@pytest.fixture
def ordinary_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    monkeypatch.setattr(os, "getegid", lambda: 1235)


@pytest.mark.usefixtures("ordinary_user")
def test_every_secret_is_its_owners_alone(tmp_path: Path) -> None:
    containers.write_secrets(tmp_path / "secrets", tmp_path / ".env")
    files = list((tmp_path / "secrets").iterdir())
    modes = {file.name: file.stat().st_mode & 0o777 for file in files}
    assert modes.pop(containers.KAFKA_SECRETS) == 0o644  # for Kafka's own user, within a folder of mode 0700
    assert set(modes.values()) == {0o600}
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert {file.name for file in files} >= {f"{service}.pgpass" for service in topics.SERVICES}


@pytest.mark.usefixtures("ordinary_user")
def test_a_second_time_keeps_secrets_and_settings(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TONLE_PARTITIONS=8\n")
    containers.write_secrets(tmp_path / "secrets", tmp_path / ".env")
    first = {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}
    containers.write_secrets(tmp_path / "secrets", tmp_path / ".env")
    assert {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()} == first
    assert (tmp_path / ".env").read_text() == "TONLE_PARTITIONS=8\nTONLE_UID=1234\nTONLE_GID=1235\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_gives_the_secrets_to_the_user_of_the_images(tmp_path: Path) -> None:
    containers.write_secrets(tmp_path / "secrets", tmp_path / ".env")
    files = (tmp_path / "secrets", *(tmp_path / "secrets").iterdir())
    owners = {file.name: file.stat().st_uid for file in files}
    assert owners.pop(containers.KAFKA_SECRETS) == containers.KAFKA_USER
    assert set(owners.values()) == {containers.CONTAINER_USER}
    assert {file.stat().st_mode & 0o777 for file in files[1:]} == {0o600}
    assert not (tmp_path / ".env").exists()
