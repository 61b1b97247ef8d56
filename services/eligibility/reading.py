"""From the bytes of a file to its document: every refusal says file, line and remedy. Pure."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import yaml
from pydantic import ValidationError

from contracts.money import PAYABLE_MULTIPLE_RIEL
from services.eligibility.documents import Strict

D = TypeVar("D", bound=Strict)
Place = tuple[str | int, ...]
"""Where something stands: keys and positions, from the file's top."""

_REMEDIES = {
    "extra_forbidden": "remove it, or correct its spelling",
    "unexpected_keyword_argument": "remove it: `tonle programmes facts` lists the facts there are",
    "missing": "add it",
    "missing_argument": "add it",
    "multiple_of": f"payments are made in multiples of {PAYABLE_MULTIPLE_RIEL} riel: correct the rate",
    "greater_than": "write a positive amount of whole riel",
    "string_type": "write it within quotes: YAML takes 010201 for a number",
    "int_type": "write a whole number without quotes",
    "bool_type": "write true or false",
    "literal_error": "write one of the words it may be: {expected}",
    "string_pattern_mismatch": "write it in small letters and digits",
    "date_from_datetime_parsing": "write year-month-day, for instance 2020-06-25",
}


class FileRefused(Exception):
    """A file that can't be used: a line for each thing wrong, with where it is and what to do."""


@dataclass(frozen=True)
class Source(Generic[D]):
    """A file as it was read: `file` is its name, `root` its YAML with line numbers."""

    file: str
    document: D
    root: yaml.Node

    def at(self, place: Place) -> str:
        """`file:line`, for a refusal or a hint."""
        return f"{self.file}:{_line(self.root, place)}"


def read(file: str, content: bytes, kind: type[D]) -> Source[D]:
    """A file of this kind from its name and bytes. Raises `FileRefused`."""
    try:
        text = content.decode()
        if any(isinstance(each, yaml.AliasToken) for each in yaml.scan(text, yaml.SafeLoader)):
            raise FileRefused(f"{file}:1: repeats a part by an alias (*name); write it out")
        root = yaml.compose(text, yaml.SafeLoader)
        plain = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        raise FileRefused(
            f"{file}:{mark.line + 1 if mark else 1}: is no YAML; correct the line, and save it as UTF-8"
        ) from None
    if twice := [f"{file}:{line}: {key} stands twice; keep one" for line, key in _repeated(root)]:
        raise FileRefused("\n".join(twice))
    try:
        document = kind.model_validate_json(json.dumps(plain, default=str))
    except ValidationError as error:
        raise FileRefused("\n".join(_problems(file, root, error))) from None
    assert root is not None
    return Source(file, document, root)


def _problems(file: str, root: yaml.Node | None, error: ValidationError) -> Iterable[str]:
    problems = error.errors(include_input=False, include_url=False)
    # A list whose items are wrong is reported as too short, too.
    inner = {problem["loc"][:depth] for problem in problems for depth in range(len(problem["loc"]))}
    for problem in problems:
        if problem["loc"] in inner - {()}:
            continue
        place, kind = problem["loc"], problem["type"]
        said = _said(place, kind, problem["msg"], problem.get("ctx", {}))
        yield f"{file}:{_line(root, place)}: {said}"


def _said(place: Place, kind: str, message: str, context: dict[str, object]) -> str:
    where = ".".join(map(str, place))
    if kind == "programme":
        return f"{where}: {message}" if where else message
    remedy = _REMEDIES.get(kind, "correct it").format(expected=context.get("expected", ""))
    return f"{where}: {message}; {remedy}"


def _line(node: yaml.Node | None, place: Place) -> int:
    """The line (from 1) of the innermost part of `place` that is in the file."""
    if node is None:
        return 1
    for step in place:
        below: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            below = next((value for key, value in node.value if key.value == step), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            below = node.value[step]
        if below is None:
            break
        node = below
    return int(node.start_mark.line) + 1


def _repeated(node: yaml.Node | None) -> Iterator[tuple[int, str]]:
    """Keys that stand twice in one mapping, of which YAML would silently take the last."""
    if isinstance(node, yaml.MappingNode):
        counts = Counter(key.value for key, _ in node.value)
        for key, value in node.value:
            if counts[key.value] > 1:
                yield int(key.start_mark.line) + 1, str(key.value)
            yield from _repeated(value)
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from _repeated(each)
