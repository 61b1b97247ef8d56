import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from contracts import wire
from contracts.household import Level, Payee, Persons
from contracts.model import UNRECOGNISED, Contract
from contracts.release import INSTRUCTION, SAMPLES, SCHEMAS, SEALED_PAYEE, SEALED_PERSONS, released
from tests.contracts.examples import (
    EXAMPLES,
    FULL,
    MINIMAL,
    SAMPLE_KEYS,
    TOPIC,
    record,
)
from tests.contracts.sealed_examples import FROZEN_PAYEE, FROZEN_PERSONS
from vault.sealing import Keys

CONTRACTS = released()
SAMPLE_FILES = sorted(SAMPLES.glob("*.json"))
EVENT_FILES = [path for path in SAMPLE_FILES if not path.name.startswith("sealed.")]


def name_of(path: Path) -> str:
    return path.name.removesuffix(".full.json").removesuffix(".minimal.json")


def read(path: Path) -> dict[str, Any]:
    sample: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return sample


def parts(sample: dict[str, Any]) -> tuple[str, bytes, bytes, list[tuple[str, bytes | None]]]:
    headers: list[tuple[str, bytes | None]] = [(k, v.encode()) for k, v in sample["headers"].items()]
    return sample["topic"], sample["key"].encode(), json.dumps(sample["value"]).encode(), headers


def models_in(value: object) -> Iterator[BaseModel]:
    if isinstance(value, BaseModel):
        yield value
        for _, field in value:
            yield from models_in(field)
    elif isinstance(value, tuple):
        for item in value:
            yield from models_in(item)


@pytest.fixture(scope="module")
def sample_keys() -> Keys:
    keys = Keys({})
    for key_id, key in SAMPLE_KEYS.items():
        keys.add(key_id, key)
    return keys


def test_every_contract_has_a_schema_and_a_full_and_a_minimal_sample() -> None:
    assert {path.stem for path in SCHEMAS.glob("*.json")} == set(CONTRACTS)
    expected = {f"{name}.{kind}.json" for name in CONTRACTS for kind in ("full", "minimal")}
    assert {path.name for path in SAMPLE_FILES} == expected


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_full_sample_leaves_no_field_out(name: str) -> None:
    for model in models_in(FULL[name]):
        assert model.model_fields_set == set(type(model).model_fields), type(model).__name__
        assert [field for field, value in model if value is None or value == ()] == []


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_minimal_sample_has_required_fields_only(name: str) -> None:
    required = {field for field, info in CONTRACTS[name].model_fields.items() if info.is_required()}
    assert MINIMAL[name].model_fields_set == required


@pytest.mark.parametrize("path", EVENT_FILES, ids=lambda path: path.stem)
def test_an_old_record_is_read_by_todays_model(path: Path) -> None:
    sample = read(path)
    topic, key, value, headers = parts(sample)
    received = wire.decode(CONTRACTS[name_of(path)], topic, key, value, headers)
    assert received.key == sample["key"]
    assert received.id == sample["headers"]["ce_id"]
    assert received.time.isoformat() == sample["headers"]["ce_time"]
    assert received.sequence == int(sample["headers"]["ce_sequence"])
    assert received.traceparent == sample["headers"]["traceparent"]


@pytest.mark.parametrize("path", SAMPLE_FILES, ids=lambda path: path.stem)
def test_nothing_of_an_old_value_is_lost_when_it_is_written_again(path: Path) -> None:
    value = read(path)["value"]
    again = json.loads(wire.dump(wire.load(CONTRACTS[name_of(path)], json.dumps(value).encode())))
    assert value.items() <= again.items()


@pytest.mark.parametrize("path", SAMPLE_FILES, ids=lambda path: path.stem)
def test_an_old_value_fits_its_released_schema(path: Path) -> None:
    schema = json.loads((SCHEMAS / f"{name_of(path)}.json").read_text())
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(read(path)["value"])


@pytest.mark.parametrize("kind", EXAMPLES)
@pytest.mark.parametrize("name", CONTRACTS)
def test_what_is_written_today_fits_the_released_schema(name: str, kind: str) -> None:
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    Draft202012Validator(schema).validate(json.loads(wire.dump(EXAMPLES[kind][name])))


@pytest.mark.parametrize("kind", EXAMPLES)
@pytest.mark.parametrize("name", TOPIC)
def test_todays_envelope_is_the_one_that_was_frozen(name: str, kind: str) -> None:
    frozen, made = read(SAMPLES / f"{name}.{kind}.json"), record(name, kind)
    assert (made.topic, made.key.decode()) == (frozen["topic"], frozen["key"])
    assert {header: value.decode() for header, value in made.headers} == frozen["headers"]


@pytest.mark.parametrize("path", SAMPLE_FILES, ids=lambda path: path.stem)
def test_a_field_that_comes_later_is_ignored_by_todays_reader(path: Path) -> None:
    contract, value = CONTRACTS[name_of(path)], read(path)["value"]
    later = {**value, "a_later_field": {"of": ["any", "shape"]}}
    assert wire.load(contract, json.dumps(later).encode()) == wire.load(contract, json.dumps(value).encode())
    Draft202012Validator(json.loads((SCHEMAS / f"{name_of(path)}.json").read_text())).validate(later)


def test_a_word_that_comes_later_is_read_but_never_written() -> None:
    value = read(SAMPLES / "household.registered.v1.full.json")["value"] | {"level": "poor_3"}
    Draft202012Validator(json.loads((SCHEMAS / "household.registered.v1.json").read_text())).validate(value)
    contract = CONTRACTS["household.registered.v1"]
    household = wire.load(contract, json.dumps(value).encode())
    assert household.model_dump()["level"] is Level.UNRECOGNISED
    with pytest.raises(wire.WireError, match="holds a word this version does not know"):
        wire.dump(household)


def test_no_schema_offers_the_word_for_unknown_words() -> None:
    assert [path.name for path in SCHEMAS.glob("*.json") if UNRECOGNISED in path.read_text()] == []


def test_a_closed_set_of_words_refuses_a_later_one() -> None:
    value = read(SAMPLES / "household.key.v1.full.json")["value"] | {"purpose": "diary"}
    with pytest.raises(wire.WireError, match=r"^purpose: enum$"):
        wire.load(CONTRACTS["household.key.v1"], json.dumps(value).encode())


@pytest.mark.parametrize(
    ("name", "field", "contract", "expected"),
    [
        ("household.registered.v1", "persons", Persons, FROZEN_PERSONS),
        ("household.registered.v1", "payee", Payee, FROZEN_PAYEE),
        ("eligibility.scored.v1", "payee", Payee, FROZEN_PAYEE),
        ("payment.issued.v1", "payee", Payee, FROZEN_PAYEE),
    ],
)
def test_a_blob_sealed_long_ago_still_opens(
    sample_keys: Keys, name: str, field: str, contract: type[Contract], expected: Contract
) -> None:
    topic, key, value, headers = parts(read(SAMPLES / f"{name}.full.json"))
    event = wire.decode(CONTRACTS[name], topic, key, value, headers)
    sealed = getattr(event.data, field)
    plain = sample_keys.open(sealed.key_id, sealed.blob, event_id=event.id, event_type=event.type)
    assert wire.load(contract, plain) == expected


def test_sealed_documents_are_released_like_events() -> None:
    assert (CONTRACTS[SEALED_PERSONS], CONTRACTS[SEALED_PAYEE]) == (Persons, Payee)


# An instruction is left out: its value is encrypted to the partner as a whole.
@pytest.mark.parametrize("name", sorted(set(TOPIC) - {INSTRUCTION}))
def test_no_event_shows_a_person_outside_its_seal(name: str) -> None:
    made = record(name, "full")
    shown = made.key + made.value + b"".join(value for _, value in made.headers)
    for personal in ("ដារ៉ា", "Dara", "85512345678", "00123456", "EC-1201", "disability", "1986-04-13"):
        assert personal.encode() not in shown
