"""Sets the broker's passwords and rules: aiokafka's admin client (0.14) has no call for either."""

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol import types
from aiokafka.protocol.admin import CreateAclsRequest_v1, DeleteAclsRequest_v1, DescribeAclsRequest_v1
from aiokafka.protocol.api import RequestStruct, Response

from postbox.broker import Broker
from tonle.stack import process
from tonle.stack.access import ADMIN, Operation, Resource, Rule
from tonle.stack.errors import StackError

ITERATIONS = 4096
"""The fewest Kafka takes; a password of 192 random bits is not found by trying."""
SETTLED_S_MAX = 30
_SCRAM_SHA_256 = 1
_ANY, _LITERAL, _ALLOW = 1, 3, 3
_USER = "User:"
_TAGS = ("tags", types.TaggedFields)
_NAME = types.CompactString("utf-8")
_Binding = tuple[int, str, int, str, str, int, int]


async def set_passwords(controller: str, passwords: Mapping[str, str]) -> None:
    """Give each user (the admin among them) its password. `controller` is the address of that listener.

    It knows the admin from the broker's own settings, so this works before there is any user. Raises
    aiokafka's errors, OSError, TimeoutError.
    """
    admin = {"sasl_plain_username": ADMIN, "sasl_plain_password": passwords[ADMIN]}
    salted = [_salted(user, password) for user, password in passwords.items()]
    with _untroubled():
        async with _connected(controller, {"sasl_mechanism": "PLAIN", **admin}) as connection:
            answer = await connection.send(_Fixed(_AlterUserScramCredentials([], salted, {})))
    _raise_refusal((code, f"{user}: {text}") for user, code, text, _ in answer.results)


async def settle(broker: Broker, rules: Collection[Rule]) -> None:
    """Make the rules of these users just these, and wait until the broker goes by them; asked by the admin.

    What other users may do is not touched: an operator may have said so. Raises `StackError`, aiokafka's
    errors.
    """
    users = {rule.user for rule in rules}
    async with _asking(broker) as connection:
        there = {rule for rule in await _rules(connection) if rule.user in users}
        await _allow(connection, set(rules) - there)
        await _forbid(connection, there - set(rules))
        await _wait_for(connection, rules)


async def allow(broker: Broker, rules: Collection[Rule]) -> None:
    """Add to the rules there are, and wait until the broker goes by them."""
    async with _asking(broker) as connection:
        await _allow(connection, rules)
        await _wait_for(connection, rules)


async def forbid(broker: Broker, rules: Collection[Rule]) -> None:
    """Take rules away."""
    async with _asking(broker) as connection:
        await _forbid(connection, rules)


async def answers(broker: Broker) -> bool:
    """Whether a broker lets this user in and answers metadata requests now."""
    host, _, port = broker.address.rpartition(":")
    if not await process.listens(host, int(port)):  # aiokafka would log each refusal
        return False
    admin = AIOKafkaAdminClient(**broker.options, request_timeout_ms=5000)
    try:
        await admin.start()
    except (KafkaError, OSError):
        return False
    else:
        return True
    finally:
        await admin.close()


async def there(broker: Broker) -> set[Rule]:
    """The rules the broker goes by now; kinds of rules that are never made here are left out."""
    async with _asking(broker) as connection:
        return await _rules(connection)


async def _allow(connection: AIOKafkaConnection, rules: Collection[Rule]) -> None:
    if rules:
        answer = await connection.send(_Fixed(CreateAclsRequest_v1([_binding(each) for each in rules])))
        _raise_refusal(answer.creation_responses)


async def _forbid(connection: AIOKafkaConnection, rules: Collection[Rule]) -> None:
    if rules:
        answer = await connection.send(_Fixed(DeleteAclsRequest_v1([_binding(each) for each in rules])))
        _raise_refusal((code, text) for code, text, _ in answer.filter_responses)


async def _rules(connection: AIOKafkaConnection) -> set[Rule]:
    everything = DescribeAclsRequest_v1(_ANY, None, _ANY, None, None, _ANY, _ANY)
    answer = await connection.send(_Fixed(everything))
    _raise_refusal([(answer.error_code, answer.error_message)])
    return {
        Rule(principal.removeprefix(_USER), Operation(operation), Resource(kind), name)
        for kind, name, pattern, bindings in answer.resources
        for principal, host, operation, permission in bindings
        if kind in set(Resource) and operation in set(Operation)
        if (pattern, host, permission) == (_LITERAL, "*", _ALLOW)
    }


async def _wait_for(connection: AIOKafkaConnection, rules: Collection[Rule]) -> None:
    deadline = time.monotonic() + SETTLED_S_MAX
    while not set(rules) <= await _rules(connection):
        if time.monotonic() > deadline:
            raise StackError("Kafka took the access rules but does not go by them.", "See Kafka's log.")
        await asyncio.sleep(0.02)


def _binding(rule: Rule) -> _Binding:
    return (rule.resource, rule.name, _LITERAL, _USER + rule.user, "*", rule.operation, _ALLOW)


def _salted(user: str, password: str) -> tuple[str, int, int, bytes, bytes, Mapping[int, bytes]]:
    salt = secrets.token_bytes(24)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    return (user, _SCRAM_SHA_256, ITERATIONS, salt, salted, {})


def _raise_refusal(results: Iterable[tuple[int, str | None]]) -> None:
    for code, text in results:
        if code:
            raise for_code(code)(text)


def _asking(broker: Broker) -> AbstractAsyncContextManager[AIOKafkaConnection]:
    options = broker.options
    options.pop("bootstrap_servers")
    return _connected(broker.address, options)


@contextmanager
def _untroubled() -> Iterator[None]:
    """Without aiokafka's warning at each connection that this password goes as it is; it is on purpose."""
    logger, on_purpose = logging.getLogger("aiokafka.conn"), lambda record: "in the clear" not in record.msg
    logger.addFilter(on_purpose)
    try:
        yield
    finally:
        logger.removeFilter(on_purpose)


@asynccontextmanager
async def _connected(address: str, options: Mapping[str, str]) -> AsyncIterator[AIOKafkaConnection]:
    """One connection to this very listener: a controller does not tell clients of its cluster."""
    host, _, port = address.rpartition(":")
    told = {"security_protocol": "SASL_PLAINTEXT", **options}
    connection = await create_conn(host, int(port), request_timeout_ms=10_000, **told)
    try:
        yield connection
    finally:
        connection.close()


@dataclass(frozen=True)
class _Fixed:
    """A request of one version, which every Kafka since 2.7 takes."""

    request: RequestStruct

    def prepare(self, _versions: object) -> RequestStruct:
        return self.request


class _AlterUserScramCredentialsAnswer(Response):  # type: ignore[misc]
    API_KEY = 51
    API_VERSION = 0
    SCHEMA = types.Schema(
        ("throttle_time_ms", types.Int32),
        (
            "results",
            types.CompactArray(("user", _NAME), ("error_code", types.Int16), ("error_message", _NAME), _TAGS),
        ),
        _TAGS,
    )


class _AlterUserScramCredentials(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 51
    API_VERSION = 0
    RESPONSE_TYPE = _AlterUserScramCredentialsAnswer
    SCHEMA = types.Schema(
        ("deletions", types.CompactArray(("name", _NAME), ("mechanism", types.Int8), _TAGS)),
        (
            "upsertions",
            types.CompactArray(
                ("name", _NAME),
                ("mechanism", types.Int8),
                ("iterations", types.Int32),
                ("salt", types.CompactBytes),
                ("salted_password", types.CompactBytes),
                _TAGS,
            ),
        ),
        _TAGS,
    )
