"""Each rule sees what it is there for, and lets pass what is meant."""

import ast

import pytest

from tests.architecture import rules

BROKEN = {
    rules.long_functions: ["def f():\n" + "    x = 1\n" * 40, "async def f():\n" + "    x = 1\n" * 40],
    rules.abbreviations: ["def hh_id(): ...", "class Common: ...", "pmt = 1", "def f(util): ..."],
    rules.clock_or_chance: [
        "datetime.now(UTC)",
        "datetime.datetime.utcnow()",
        "date.today()",
        "time.time()",
        "make = uuid.uuid4",
        "os.urandom(3)",
        "import random",
        "import secrets",
        "from uuid import uuid4",
        "from random import choice",
        "from vault.sealing import Keys, new_key",
        "field(default_factory=datetime.now)",
    ],
    rules.input_or_output: [
        "import asyncpg",
        "from aiokafka.errors import KafkaError",
        "import os.path",
        "from pathlib import Path",
        "from postbox.service import Service",
        "from postbox import outbox",
        "from pydantic_settings import BaseSettings",
        "open('x')",
        "print('x')",
    ],
    rules.settings: [
        "os.environ['X']",
        "os.getenv('X')",
        "from os import environ",
        "from pydantic_settings import BaseSettings",
    ],
    rules.sql: [
        "q = 'select a from b'",
        "q = '''\n  insert into a (b) values (1)'''",
        "q = f'update a set b = {c}'",
        "q = 'with x as (select 1) select * from x'",
        "await db.fetch(STATEMENT)",
        "await db.execute(statement)",
    ],
    rules.personal_data_told: [
        "log.info('sent', payee.phone)",
        "logger.warning('x %s', household['village'])",
        "logging.error(f'{member}')",
        "log.info('x', extra={'account': number})",
        "log.bind(phone=1)",
        "span.set_attribute('x', person.name_km)",
        "metric.labels(village).inc()",
        "raise Park(f'no such {card_number}')",
    ],
    rules.validation_errors_told: [
        f"try: x()\nexcept {caught} as error: {told}"
        for caught in ("ValidationError", "(ValueError, pydantic.ValidationError)")
        for told in (
            "raise E(str(error))",
            "raise E(f'{error}')",
            "log(repr(error))",
            "return error.errors()",
            "return error.json()",
            "log.exception('x')",
            "log.error('x', exc_info=True)",
        )
    ],
    rules.any_used: ["from typing import Any", "x: typing.Any = 1"],
    rules.sleeps: [
        "time.sleep(1)",
        "for _ in range(3): sleep(1)",
        "async def test_x(): await asyncio.sleep(1)",
    ],
    rules.fakes: ["from faststream.kafka import TestKafkaBroker", "from unittest.mock import patch"],
}
KEPT = {
    rules.long_functions: ["def f():\n" + "    x = 1\n" * 39],
    rules.abbreviations: ["commonly = 1", "def household_id(): ..."],
    rules.clock_or_chance: [
        "def f(now: datetime) -> None: ...",
        "from uuid import uuid5",
        "from datetime import datetime",
    ],
    rules.input_or_output: [
        "from postbox.errors import Park",
        "from postbox.message import Batch",
        "from contracts import wire",
        "from datetime import date",
    ],
    rules.settings: ["settings.data_dir", "import os"],
    rules.sql: ['def f():\n    """select a household from those known"""', "x = 'selected from many'"],
    rules.personal_data_told: [
        "log.info('sent %s', household_id)",
        "raise Park('no such account')",
        "keep(payee.phone)",
    ],
    rules.validation_errors_told: [
        "try: x()\nexcept ValidationError as error: return error.errors(include_input=False)",
        "try: x()\nexcept ValueError as error: raise E(str(error))",
    ],
    rules.any_used: ["from typing import NamedTuple", "any(x)"],
    rules.sleeps: [
        "async def wait_until(x): await asyncio.sleep(0.01)",
        "async def f(x):\n    while not x():\n        await asyncio.sleep(0.01)",
    ],
    rules.fakes: ["from faststream.kafka import KafkaBroker"],
}


@pytest.mark.parametrize(
    ("rule", "source"), [(rule, source) for rule, sources in BROKEN.items() for source in sources]
)
def test_the_rule_notices(rule: rules.Rule, source: str) -> None:
    assert list(rule(ast.parse(source))) != []


@pytest.mark.parametrize(
    ("rule", "source"), [(rule, source) for rule, sources in KEPT.items() for source in sources]
)
def test_the_rule_lets_pass(rule: rules.Rule, source: str) -> None:
    assert list(rule(ast.parse(source))) == []
