import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from contracts.release import SCHEMAS, breaks, check, main, released, schema_of, write

NAME = "household.registered.v1"
Schema = dict[str, Any]


def current() -> Schema:
    return schema_of(NAME, released()[NAME])


def removed(schema: Schema) -> None:
    del schema["properties"]["replaces"]


def renamed(schema: Schema) -> None:
    schema["properties"]["registrar"] = schema["properties"].pop("registered_by")
    schema["required"] = [{"registered_by": "registrar"}.get(field, field) for field in schema["required"]]


def retyped(schema: Schema) -> None:
    schema["properties"]["revision"] = {"type": "string"}


def nullable(schema: Schema) -> None:
    schema["properties"]["commune"] = {"anyOf": [schema["properties"]["commune"], {"type": "null"}]}


def newly_required(schema: Schema) -> None:
    schema["properties"]["risk"] = {"type": "integer"}
    schema["required"].append("risk")


def required_no_more(schema: Schema) -> None:
    schema["required"].remove("commune")


def word_removed(schema: Schema) -> None:
    schema["$defs"]["Level"]["x-extensible-enum"].remove("at_risk")


def enum_closed(schema: Schema) -> None:
    schema["$defs"]["Level"]["enum"] = schema["$defs"]["Level"].pop("x-extensible-enum")


def bounds_narrowed(schema: Schema) -> None:
    schema["properties"]["revision"]["minimum"] = 2


def pattern_changed(schema: Schema) -> None:
    schema["properties"]["commune"]["pattern"] = r"^\d{8}$"


def deep_inside(schema: Schema) -> None:
    del schema["$defs"]["Sealed"]["properties"]["key_id"]


def inside_a_choice(schema: Schema) -> None:
    schema["properties"]["replaces"]["anyOf"][0]["type"] = "string"


def optional_field(schema: Schema) -> None:
    schema["properties"]["note"] = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}


def word_added(schema: Schema) -> None:
    schema["$defs"]["Level"]["x-extensible-enum"].append("poor_3")


def described(schema: Schema) -> None:
    schema["description"] = schema["properties"]["level"]["title"] = "in other words"


Change = Callable[[Schema], None]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (removed, "event.replaces: was removed or renamed"),
        (renamed, "event.registered_by: was removed or renamed"),
        (retyped, "event.revision: `type` changed from 'integer' to 'string'"),
        (nullable, "event.commune: its type changed"),
        (newly_required, "event.risk: is now required"),
        (required_no_more, "event.commune: is required no more, and old readers still ask for it"),
        (word_removed, "event.level: the word 'at_risk' was removed"),
        (enum_closed, "event.level: the word 'poor_1' was removed"),
        (bounds_narrowed, "event.revision: `minimum` changed from 1 to 2"),
        (pattern_changed, "event.commune: `pattern` changed"),
        (deep_inside, "event.persons.key_id: was removed or renamed"),
        (inside_a_choice, "event.replaces: `type` changed from 'integer' to 'string'"),
    ],
)
def test_a_change_that_breaks_a_reader_is_named(change: Change, why: str) -> None:
    new = deepcopy(current())
    change(new)
    assert any(found.startswith(why) for found in breaks(current(), new)), breaks(current(), new)


@pytest.mark.parametrize("change", [optional_field, word_added, described])
def test_a_change_that_breaks_nobody_passes(change: Change) -> None:
    new = deepcopy(current())
    change(new)
    assert breaks(current(), new) == []


def test_a_word_added_to_a_closed_set_breaks_its_readers() -> None:
    old = schema_of("household.key.v1", released()["household.key.v1"])
    new = deepcopy(old)
    new["$defs"]["KeyPurpose"]["enum"].append("diary")  # type: ignore[index,call-overload,union-attr]
    assert any("`enum` changed" in why for why in breaks(old, new))


def test_every_model_fits_its_released_schema() -> None:
    assert check() == []


def release_into(folder: Path, change: Change) -> Path:
    """A release in which `NAME` was changed: what today's model is then compared with."""
    assert write(folder) == []
    schema = current()
    change(schema)
    path = folder / f"{NAME}.json"
    path.write_text(json.dumps(schema))
    return path


def test_check_names_contract_and_field(tmp_path: Path) -> None:
    release_into(tmp_path, word_added)
    assert check(tmp_path) == [f"{NAME}: event.level: the word 'poor_3' was removed"]


def test_write_refuses_what_would_break_and_leaves_the_file_alone(tmp_path: Path) -> None:
    path = release_into(tmp_path, word_added)
    before = path.read_text()
    assert write(tmp_path) == [f"{NAME}: event.level: the word 'poor_3' was removed"]
    assert path.read_text() == before


def test_write_releases_what_was_added(tmp_path: Path) -> None:
    path = release_into(tmp_path, word_removed)
    assert write(tmp_path) == []
    assert json.loads(path.read_text()) == current()


def test_an_unreleased_contract_and_a_forgotten_schema_are_both_named(tmp_path: Path) -> None:
    release_into(tmp_path, described).rename(tmp_path / "household.gone.v1.json")
    assert check(tmp_path) == [
        "household.gone.v1: released, but no topic carries it any more",
        f"{NAME}: not released yet; run: python -m contracts.release write",
    ]


def test_the_command_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    assert main([]) == main(["chekc"]) == 2
    assert "check|write" in capsys.readouterr().err


def test_released_schemas_name_themselves() -> None:
    for path in SCHEMAS.glob("*.json"):
        assert json.loads(path.read_text())["$id"] == f"urn:tonle:{path.stem}"
