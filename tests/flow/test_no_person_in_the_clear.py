"""Names, phones, accounts, cards and national ids of a finished run are nowhere but where they must be."""

import base64
import binascii
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import asyncpg
import httpx
import pytest
import pytest_asyncio

from tests.flow.conftest import Run
from tonle.checking.told import whole
from tonle.monitor import flow_topics
from tonle.stack.postgres import AUDITOR, SUPERUSER

pytestmark = pytest.mark.stack
KHMER = re.compile(r"[\u1780-\u17ff\u200b]+")
LATIN = re.compile(r"[A-Za-z]+")
DIGITS = re.compile(r"\d{6,}")
CONDITION = re.compile(r"\b(disability|disabled|pregnan\w*|hiv)\b", re.IGNORECASE)
READABLE = re.compile(r"[ -~]{8,}")  # three letters between other bytes may be anything's, a cipher's too
SEALED = re.compile(r"[\w+/=-]{60,}")
JOSE = re.compile(r"^[\w-]+\.[\w-]+\.[\w-]+$")


class Persons:
    """What must not be found: full names as word pairs, long numbers, conditions beside a household id."""

    def __init__(self, rows: list[dict[str, str]], households: set[str]) -> None:
        self.names: set[tuple[str, ...]] = set()
        self.numbers: set[str] = set()
        self.households = households
        for row in rows:
            for column, value in row.items():
                if not value:
                    continue
                if column.endswith("name_km"):
                    self.names.add(tuple(KHMER.findall(value)))
                elif column.endswith("name_latin"):
                    self.names.add(tuple(LATIN.findall(value.lower())))
                elif column in ("phone", "card_number", "account_number") or column.endswith("national_id"):
                    digits = re.sub(r"\D", "", value)
                    self.numbers |= {
                        digits,
                        digits.removeprefix("855"),
                        digits.removeprefix("855").lstrip("0"),
                    }
        self.names = {name for name in self.names if len(name) > 1}
        self.numbers = {number for number in self.numbers if len(number) >= 8}

    def found_in(self, data: bytes | str) -> str | None:
        """What of a person stands in there; None when nothing does."""
        text = data.decode("utf-8", errors="replace") if isinstance(data, bytes) else data
        for reading in _readings(text):
            unsealed = SEALED.sub(" ", reading)  # a cipher's text may spell two short names
            for pattern in (KHMER, LATIN):
                words = pattern.findall(unsealed.lower())
                for length in {len(name) for name in self.names}:
                    for name in zip(*(words[start:] for start in range(length)), strict=False):
                        if name in self.names:
                            return "a name"
            if any(_number(number) in self.numbers for number in DIGITS.findall(reading)):
                return "a number"
            beside = SEALED.sub(" ", " ".join(READABLE.findall(reading)))
            if CONDITION.search(beside) and any(each in self.households for each in _ids(beside)):
                return "a condition beside a household id"
        return None


def _readings(text: str) -> Iterator[str]:
    """The text, and what it says once escapes and JOSE payloads are undone."""
    yield text
    if "\\u" in text:
        yield re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    if JOSE.match(text):
        for part in text.split("."):
            with suppress(binascii.Error):
                plain = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
                yield plain.decode("utf-8", errors="replace")


def _number(digits: str) -> str:
    """The same for +855 12…, 012… and 12…."""
    return digits.removeprefix("855").lstrip("0")


def _ids(text: str) -> list[str]:
    return re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", text)


@pytest_asyncio.fixture(scope="module")
async def persons(run: Run) -> Persons:
    db = await asyncpg.connect(_dsn(run, "registration"))
    households = {each["household_id"] for each in await db.fetch("select household_id from household")}
    await db.close()
    return Persons(run.rows, households)


def test_the_search_itself_finds_persons(run: Run, persons: Persons) -> None:
    row = next(row for row in run.rows if row["phone"] and row["member_1_name_km"] and row["card_number"])
    assert persons.found_in(f"paid to {row['member_1_name_km']} today") == "a name"
    assert persons.found_in(json.dumps({"name": row["member_1_name_km"]})) == "a name"
    assert persons.found_in(row["member_1_name_latin"].upper()) == "a name"
    assert persons.found_in(f'{{"to": "{row["phone"]}"}}') == "a number"
    assert persons.found_in(row["card_number"]) == "a number"
    household = next(iter(persons.households))
    assert persons.found_in(f"{household} has hiv") is not None
    assert persons.found_in(f"household {household}: vulnerable members 1") is None


@pytest.mark.parametrize("topic", flow_topics())
async def test_no_topic_holds_a_person(run: Run, persons: Persons, topic: str) -> None:
    async for records in whole(run.stack.state.kafka.broker(AUDITOR), topic):
        for record in records:
            for part in (record.key, record.value, *(value for _, value in record.headers)):
                assert persons.found_in(part or b"") is None, f"{topic} at {record.partition}/{record.offset}"


@pytest.mark.parametrize("database", ["eligibility", "payments", "notifications"])
async def test_no_table_but_registration_s_holds_a_person(run: Run, persons: Persons, database: str) -> None:
    async for table, row in _rows(run, database):
        assert persons.found_in(row) is None, f"{database}: {table}"


async def test_registration_s_outbox_and_parking_hold_no_person(run: Run, persons: Persons) -> None:
    async for table, row in _rows(run, "registration"):
        if table in ("outbox", "parked", "hold", "position", "caller", "household_change", "household_key"):
            assert persons.found_in(row) is None, table


def test_no_file_of_the_data_folder_holds_a_person(run: Run, persons: Persons) -> None:
    """Logs, traces, uploads, states: all but the folders of Kafka and PostgreSQL, searched as such."""
    searched = 0
    for path in sorted(run.data_dir.rglob("*")):
        inside = path.relative_to(run.data_dir).parts[0]
        if path.is_file() and inside not in ("postgres", "kafka") and not _of_a_simulator(path.name):
            searched += 1
            for line in path.read_bytes().splitlines():
                assert persons.found_in(line) is None, str(path)
    assert searched > 10


async def test_no_metric_holds_a_person(run: Run, persons: Persons) -> None:
    async with httpx.AsyncClient(verify=False) as http:
        for service, part in run.stack.state.services.items():
            text = (await http.get(f"{part.url}/metrics")).text
            assert "postbox_handled" in text
            assert persons.found_in(text) is None, service


def _of_a_simulator(name: str) -> bool:
    return name.startswith(("gateway.sqlite", "partner-"))


def _dsn(run: Run, database: str) -> str:
    return run.stack.state.postgres.dsn[SUPERUSER].rpartition("/")[0] + f"/{database}"


async def _rows(run: Run, database: str) -> AsyncIterator[tuple[str, bytes]]:
    """Every row of every table, its columns' bytes one after the other."""
    db = await asyncpg.connect(_dsn(run, database))
    try:
        tables = await db.fetch("select tablename from pg_tables where schemaname = 'public' order by 1")
        assert tables
        for (table,) in tables:
            for row in await db.fetch(f'select * from "{table}"'):
                yield (
                    table,
                    b"\n".join(each if isinstance(each, bytes) else str(each).encode() for each in row),
                )
    finally:
        await db.close()
