"""Released JSON Schemas: `python -m contracts.release check` fails when a model no longer fits its own.

A released contract may gain optional fields and, in an open enum, words. All else breaks somebody: a reader
of old events, or an old reader of new ones. What has to break is a `v2` topic beside the `v1`.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import JsonValue
from pydantic.json_schema import GenerateJsonSchema

from contracts.appeal import Ruling
from contracts.condition import ConditionReport
from contracts.eligibility import SensitiveDecisions
from contracts.household import Payee, Persons
from contracts.message import MessageText
from contracts.model import Contract
from contracts.referral import Referral
from contracts.topics import TOPICS, partner_instruction, partner_report

SCHEMAS = Path(__file__).parent / "schemas"
SAMPLES = Path(__file__).parent / "samples"
INSTRUCTION = "partner.instruction.v1"
REPORT = "partner.report.v1"
SEALED_PERSONS = "sealed.persons.v1"
SEALED_PAYEE = "sealed.payee.v1"
SEALED_DECISIONS = "sealed.decisions.v1"
SEALED_REPORT = "sealed.report.v1"
SEALED_RULING = "sealed.ruling.v1"
SEALED_MESSAGE = "sealed.message.v1"
SEALED_REFERRAL = "sealed.referral.v1"

Schema = dict[str, JsonValue]

_ANNOTATIONS = {"title", "description", "examples", "$defs", "$schema", "$id"}
_COMPARED_APART = {"properties", "required", "x-extensible-enum", "items", "anyOf"}


def released() -> dict[str, type[Contract]]:
    """Every document that leaves a process, by name: topics, partner topics, and what is inside seals."""
    return {topic.name: topic.contract for topic in TOPICS} | {
        INSTRUCTION: partner_instruction("").contract,
        REPORT: partner_report("").contract,
        SEALED_PERSONS: Persons,
        SEALED_PAYEE: Payee,
        SEALED_DECISIONS: SensitiveDecisions,
        SEALED_REPORT: ConditionReport,
        SEALED_RULING: Ruling,
        SEALED_MESSAGE: MessageText,
        SEALED_REFERRAL: Referral,
    }


def schema_of(name: str, contract: type[Contract]) -> Schema:
    """The JSON Schema (2020-12) of what a reader must accept."""
    written = contract.model_json_schema(mode="validation")
    return {"$schema": GenerateJsonSchema.schema_dialect, "$id": f"urn:tonle:{name}", **written}


def breaks(old: Schema, new: Schema) -> list[str]:
    """Why events of one schema can't be read with the other; empty when they can."""
    return list(_breaks(old, new, old, new, "event"))


def check(folder: Path = SCHEMAS) -> list[str]:
    """What is wrong with the released schemas, a line each; empty when every model fits its own."""
    documents = released()
    problems = [
        f"{path.stem}: released, but no topic carries it any more"
        for path in sorted(folder.glob("*.json"))
        if path.stem not in documents
    ]
    for name, contract in documents.items():
        path = folder / f"{name}.json"
        if not path.exists():
            problems.append(f"{name}: not released yet; run: python -m contracts.release write")
            continue
        old = json.loads(path.read_text(encoding="utf-8"))
        problems += [f"{name}: {why}" for why in breaks(old, schema_of(name, contract))]
    return problems


def write(folder: Path = SCHEMAS) -> list[str]:
    """Release what fits; returns what was refused because it would break a released schema."""
    folder.mkdir(exist_ok=True)
    refused: list[str] = []
    for name, contract in released().items():
        path = folder / f"{name}.json"
        new = schema_of(name, contract)
        found = breaks(json.loads(path.read_text(encoding="utf-8")), new) if path.exists() else []
        if not found:
            path.write_text(json.dumps(new, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        refused += [f"{name}: {why}" for why in found]
    return refused


def _breaks(old: JsonValue, new: JsonValue, old_root: Schema, new_root: Schema, at: str) -> Iterator[str]:
    old, new = _resolved(old, old_root), _resolved(new, new_root)
    if not isinstance(old, dict) or not isinstance(new, dict):
        if old != new:
            yield f"{at}: its type changed"
        return
    for keyword in sorted((set(old) | set(new)) - _ANNOTATIONS - _COMPARED_APART):
        if old.get(keyword) != new.get(keyword):
            yield f"{at}: `{keyword}` changed from {old.get(keyword)!r} to {new.get(keyword)!r}"
    yield from _broken_fields(old, new, old_root, new_root, at)
    for word in _list(old, "x-extensible-enum"):
        if word not in _list(new, "x-extensible-enum"):
            yield f"{at}: the word {word!r} was removed"
    yield from _breaks(old.get("items"), new.get("items"), old_root, new_root, f"{at}[]")
    choices = _list(old, "anyOf"), _list(new, "anyOf")
    if len(choices[0]) != len(choices[1]):
        yield f"{at}: its type changed"
        return
    for one, other in zip(*choices, strict=True):
        yield from _breaks(one, other, old_root, new_root, at)


def _broken_fields(old: Schema, new: Schema, old_root: Schema, new_root: Schema, at: str) -> Iterator[str]:
    before, after = old.get("properties") or {}, new.get("properties") or {}
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    for field in before:
        if field in after:
            yield from _breaks(before[field], after[field], old_root, new_root, f"{at}.{field}")
        else:
            yield f"{at}.{field}: was removed or renamed"
    was, now = set(_words(old, "required")), set(_words(new, "required"))
    for field in sorted(now - was):
        yield f"{at}.{field}: is now required"
    for field in sorted((was - now) & set(after)):
        yield f"{at}.{field}: is required no more, and old readers still ask for it"


def _resolved(schema: JsonValue, root: Schema) -> JsonValue:
    """A `$ref` followed into `$defs`; what stands beside it (a default, say) is kept."""
    if not isinstance(schema, dict) or not isinstance(schema.get("$ref"), str):
        return schema
    beside = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
    definitions = root["$defs"]
    assert isinstance(definitions, dict)
    target = definitions[str(schema["$ref"]).removeprefix("#/$defs/")]
    assert isinstance(target, dict)
    return {**target, **beside}


def _list(schema: Schema, keyword: str) -> list[JsonValue]:
    found = schema.get(keyword, [])
    assert isinstance(found, list)
    return found


def _words(schema: Schema, keyword: str) -> list[str]:
    return [str(word) for word in _list(schema, keyword)]


def main(arguments: Sequence[str]) -> int:
    """`check` or `write`; 0 when all is well, 1 when something would break, 2 for another argument."""
    commands = {"check": check, "write": write}
    if len(arguments) != 1 or arguments[0] not in commands:
        sys.stderr.write("usage: python -m contracts.release check|write\n")
        return 2
    problems = commands[arguments[0]]()
    for problem in problems:
        sys.stderr.write(problem + "\n")
    if not problems:
        sys.stdout.write(f"{len(released())} contracts fit their released schemas\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
