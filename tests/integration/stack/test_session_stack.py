"""The stack of the tests themselves: cloned databases, own topics, roles that see only what they should."""

from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from contracts import topics
from tests.conftest import MakeDatabase
from tonle.stack.programs import Place, programs
from tonle.stack.supervisor import Stack
from vault import keyring

pytestmark = pytest.mark.stack


async def test_two_clones_of_one_template_share_no_rows(database: MakeDatabase) -> None:
    first = await asyncpg.connect(await database("payments", [keyring.MIGRATIONS]))
    second = await asyncpg.connect(await database("payments", [keyring.MIGRATIONS]))
    await first.execute("insert into migration (component, file, sha256) values ('a', 'b', 'c')")
    assert await second.fetchval("select count(*) from migration where component = 'a'") == 0
    assert await second.fetchval("select count(*) from household_key") == 0
    await first.close()
    await second.close()


async def test_a_service_cannot_enter_the_database_of_another(stack: Stack, database: MakeDatabase) -> None:
    theirs = (await database("payments")).rpartition("/")[2]
    own = stack.state.postgres.dsn["registration"].rpartition("/")[0]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(f"{own}/{theirs}")


@pytest.mark.parametrize("role", ["registration", "payments", "auditor"])
@pytest.mark.parametrize("database", ["postgres", "template1"])
async def test_only_the_superuser_enters_what_is_no_service_s(role: str, database: str, stack: Stack) -> None:
    own = stack.state.postgres.dsn[role].rpartition("/")[0]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(f"{own}/{database}")


@pytest.mark.parametrize("role", ["registration", "eligibility", "payments", "notifications", "auditor"])
async def test_only_the_superuser_makes_databases_and_roles(role: str, stack: Stack) -> None:
    own = stack.state.postgres.dsn["payments" if role == "auditor" else role].rpartition("/")[2]
    db = await asyncpg.connect(stack.state.postgres.dsn[role].rpartition("/")[0] + f"/{own}")
    await db.execute("set default_transaction_read_only = off")
    for forbidden in (
        "create role mine",
        "create database mine",
        "alter role auditor superuser",
        "create extension dblink",
        "copy (select 1) to program 'true'",
        "select pg_read_file('postgresql.conf')",
    ):
        with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.FeatureNotSupportedError)):
            await db.execute(forbidden)
    await db.close()


async def test_no_password_is_in_what_a_process_is_told(stack: Stack) -> None:
    secrets = stack.secrets
    place = Place(
        stack.state.kafka.bootstrap,
        "",
        stack.settings.data_dir,
        secrets,
        stack.state.postgres.passwordless(),
        {"gateway": ""},
    )
    words = {path.read_text().strip() for path in secrets.folder.iterdir()}
    told = [value for program in programs() for value in program.environment(place).values()]
    assert not [value for value in told if any(word in value for word in words)]


async def test_the_auditor_reads_every_table_and_writes_none(
    database: MakeDatabase, auditor_dsn: Callable[[str], str]
) -> None:
    dsn = await database("payments", [keyring.MIGRATIONS])
    auditor = await asyncpg.connect(auditor_dsn(dsn))
    assert await auditor.fetchval("select count(*) from household_key") == 0
    await auditor.execute("set default_transaction_read_only = off")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await auditor.execute("delete from household_key")
    await auditor.close()


async def test_a_message_comes_back_from_a_topic_of_the_test(stack: Stack, topic_prefix: str) -> None:
    topic = topic_prefix + topics.PAYMENT_ISSUED.name
    producer = AIOKafkaProducer(**stack.state.kafka.broker("payments").options, enable_idempotence=True)
    await producer.start()
    await producer.send_and_wait(topic, b"value", key=b"key")
    await producer.stop()
    consumer = AIOKafkaConsumer(
        topic,
        **stack.state.kafka.broker("notifications").options,
        group_id=f"{topic_prefix}notifications",
        auto_offset_reset="earliest",
    )
    await consumer.start()
    assert (await consumer.getone()).value == b"value"
    assert len(consumer.partitions_for_topic(topic) or ()) == 2
    await consumer.stop()


async def test_the_data_folder_and_its_secrets_are_the_owners_alone(stack: Stack) -> None:
    data: Path = stack.settings.data_dir
    assert (data.stat().st_mode & 0o777, stack.secrets.folder.stat().st_mode & 0o777) == (0o700, 0o700)
    files = [*stack.secrets.folder.iterdir(), data / "stack.json"]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
