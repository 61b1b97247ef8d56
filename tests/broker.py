"""Tests send as anybody and read everything: they are the broker's admin."""

from dataclasses import replace

from postbox.service import ServiceSettings


def as_admin(settings: ServiceSettings) -> dict[str, str]:
    """What a client is told to be the admin of the broker that these settings name."""
    mine = settings.broker
    assert mine.password_file is not None
    passwords = mine.password_file.with_name("kafka-admin.password")
    return replace(mine, user="admin", password_file=passwords).options
