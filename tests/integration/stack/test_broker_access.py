"""The broker takes passwords on loopback, and lets everybody do only what the flow says."""

import json
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.conn import create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
)
from aiokafka.protocol.fetch import FetchRequest

from contracts import topics
from postbox.broker import Broker
from tonle.stack import access, admission
from tonle.stack.supervisor import Stack

pytestmark = pytest.mark.stack

REPORTS = topics.partner_report("wing").name
INSTRUCTIONS = topics.partner_instruction("wing").name
NOT_YET, TOPIC_REFUSED = 6, 29


async def read(broker: Broker, topic: str) -> int:
    """The broker's answer (an error code) to who asks for a topic's first record, and for nothing before."""
    options = broker.options
    host, _, port = options.pop("bootstrap_servers").partition(":")
    connection = await create_conn(host, int(port), **options)
    code = NOT_YET
    while code == NOT_YET:  # a new topic has its leader before its log is open
        answer = await connection.send(FetchRequest(100, 0, 1024, 0, [(topic, [(0, 0, 1024)])]))
        [(_, [(_, code, *_)])] = answer.topics
    connection.close()
    return int(code)


@pytest.mark.parametrize("forger", ["notifications", "eligibility", "registration", "auditor", "payments"])
async def test_a_report_that_is_not_the_partner_s_is_refused_by_the_broker(
    forger: str, stack: Stack, topic_prefix: str
) -> None:
    partner = AIOKafkaProducer(**stack.state.kafka.broker("partner-wing").options, enable_idempotence=True)
    await partner.start()
    await partner.send_and_wait(topic_prefix + REPORTS, b"settled", key=b"h")
    await partner.stop()
    producer = AIOKafkaProducer(**stack.state.kafka.broker(forger).options)
    await producer.start()
    with pytest.raises(TopicAuthorizationFailedError):
        await producer.send_and_wait(topic_prefix + REPORTS, b"settled", key=b"h")
    await producer.stop()
    assert await read(stack.state.kafka.broker("payments"), topic_prefix + REPORTS) == 0


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("notifications", topics.HOUSEHOLD_EXITED.name),
        ("registration", topics.PAYMENT_ISSUED.name),
        ("eligibility", INSTRUCTIONS),
        ("partner-wing", topics.PAYMENT_ISSUED.name),
        ("partner-wing", topics.HOUSEHOLD_KEY.name),
        ("payments", topics.dead_letter("eligibility")),
    ],
)
async def test_a_topic_that_is_not_ones_own_cannot_be_read(
    user: str, topic: str, stack: Stack, topic_prefix: str
) -> None:
    assert await read(stack.state.kafka.broker("auditor"), topic_prefix + topic) == 0
    assert await read(stack.state.kafka.broker(user), topic_prefix + topic) == TOPIC_REFUSED


async def test_a_group_is_its_service_s_alone(stack: Stack, topic_prefix: str) -> None:
    thief = AIOKafkaConsumer(
        topic_prefix + topics.HOUSEHOLD_KEY.name,
        **stack.state.kafka.broker("notifications").options,
        group_id=f"{topic_prefix}payments",
    )
    with pytest.raises(GroupAuthorizationFailedError):
        await thief.start()
    await thief.stop()


async def test_without_the_password_nobody_is_let_in(stack: Stack, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.password"
    wrong.write_text("guessed")
    address = stack.state.kafka.bootstrap
    assert await admission.answers(stack.state.kafka.broker("payments"))
    assert not await admission.answers(Broker(address))
    assert not await admission.answers(Broker(address, "payments", wrong))
    assert not await admission.answers(Broker(address, "stranger", wrong))
    with pytest.raises(KafkaConnectionError):
        await AIOKafkaProducer(bootstrap_servers=address).start()


async def test_the_controller_knows_the_admin_alone(stack: Stack) -> None:
    ports = json.loads((stack.settings.data_dir / "ports.json").read_text())
    own = f"127.0.0.1:{ports['kafka-controller']}"
    for password in ("guessed", stack.secrets.kafka_password("payments")):
        with pytest.raises(SaslAuthenticationFailed):
            await admission.set_passwords(own, {"admin": password, "payments": "mine now"})
    assert await admission.answers(stack.state.kafka.broker("payments"))


@pytest.mark.parametrize("user", ["payments", "auditor", "partner-wing"])
async def test_only_the_admin_makes_topics_and_rules(user: str, stack: Stack, topic_prefix: str) -> None:
    broker = stack.state.kafka.broker(user)
    rule = access.Rule(user, access.Operation.WRITE, access.Resource.TOPIC, topic_prefix + REPORTS)
    with pytest.raises(ClusterAuthorizationFailedError):
        await admission.allow(broker, [rule])
    admin = AIOKafkaAdminClient(**broker.options)
    await admin.start()
    made = await admin.create_topics([NewTopic("mine", 1, 1)])
    assert [code for _, code, *_ in made.topic_errors] == [TOPIC_REFUSED]
    gone = await admin.delete_topics([topic_prefix + topics.PAYMENT_ISSUED.name])
    assert [code for _, code, *_ in gone.topic_error_codes] == [TOPIC_REFUSED]
    await admin.close()


async def test_a_rule_that_the_flow_no_longer_has_is_taken_away(stack: Stack, topic_prefix: str) -> None:
    operator = stack.state.kafka.broker("admin")
    more = access.Rule("stale", access.Operation.WRITE, access.Resource.TOPIC, topic_prefix + REPORTS)
    kept = more._replace(name=topic_prefix + INSTRUCTIONS)
    foreign = more._replace(user="by hand")
    await admission.allow(operator, [more, kept, foreign])
    await admission.settle(operator, [kept])
    left = await admission.there(operator)
    assert {each for each in left if each.user in ("stale", "by hand")} == {kept, foreign}
    await admission.forbid(operator, [kept, foreign])
